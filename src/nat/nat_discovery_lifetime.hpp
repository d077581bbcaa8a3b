// NatLifetime: how long the NAT keeps a mapping that nothing uses (RFC 5780 s4.6), as a core of its
// own: it takes minutes, and keep-alives can be spaced by it afterwards.
//
// One fresh socket for each time to try makes its mapping at the beginning and then rests. When its
// time has come, another socket asks the server to answer to the port that the resting one is
// mapped to (RESPONSE-PORT). If the answer arrives there, the mapping was still alive. All times
// run at once, so that the whole takes as long as the longest that still lives, not their sum; a
// socket is asked for once only, because the answer itself may refresh its mapping.
//
// The first socket rests for no time at all: if nothing reaches it, the server does not do as asked
// or the NAT pairs addresses anew for each socket, and nothing can be measured. The result is the
// longest time survived and the shortest not survived.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <variant>
#include <vector>

#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "nat/nat_discovery.hpp"
#include "stun/stun_client.hpp"

namespace quicmesh {

struct NatLifetimeMeasured {
  /// Nothing if it could not be measured.
  std::optional<Duration> survived;
  /// Nothing if every time was survived.
  std::optional<Duration> expired;
};
using NatLifetimeEvent = std::variant<OpenSocket, CloseSocket, NatLifetimeMeasured>;

class NatLifetime {
 public:
  /// RFC 4787 REQ-5 asks for two minutes at least; real ones begin at 20 s.
  static constexpr std::array<Duration, 9> times{0s, 15s, 25s, 40s, 60s, 90s, 120s, 180s, 300s};
  static constexpr std::size_t sockets_max = times.size() + 1;

  /// `rng` outlives the measurement.
  explicit NatLifetime(SecureRng& rng) : client_(rng) {}

  /// Begins the one run of this object.
  void start(const SocketAddress& server);
  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local);
  void handle_socket_failed(Instant now, SocketRequestId id);
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) {
    return client_.poll_transmit(now, buffer);
  }
  std::optional<NatLifetimeEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

 private:
  static constexpr std::size_t asking_socket = times.size();
  enum class Stage : std::uint8_t { idle, opening, running, over };
  struct Socket {
    std::optional<SocketId> id;
    SocketAddress local;
    std::optional<TransactionId> request;  // under way: its own, then the asking socket's for it
    std::optional<SocketAddress> external;
    Instant test_at = never;
    Finding alive{};
  };

  std::optional<TransactionId> ask(Instant now, const Socket& from,
                                   std::optional<std::uint16_t> response_port);
  void drain_client(Instant now);
  void step(Instant now);
  void finish();

  Stage stage_ = Stage::idle;
  SocketAddress server_;
  StunClient client_;
  std::array<Socket, sockets_max> sockets_;
  std::size_t waiting_for_ = 0;  // sockets not opened yet
  std::deque<NatLifetimeEvent> events_;
};

}  // namespace quicmesh
