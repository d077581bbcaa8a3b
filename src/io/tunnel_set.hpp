// All tunnels of one node: those that it opens to relays, and those that its listeners take if
// it is a relay. One descriptor for the network thread, and SocketIds of the tunnels' own range for
// the core (base/tunnel_path.hpp).
//
// A SocketId is not given again before all others were; and a datagram goes through a tunnel only
// if its path names the tunnel's remote address, so what was meant for one that is gone reaches
// nobody else.
//
// Bounds: TunnelLimits for what strangers open, `own_max` for this node's own, TunnelBudget for
// what waits to be sent, TunnelFrameReader::buffered_max for each tunnel's half frame. Nothing
// waits in here between turns that only another readiness would bring out.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <system_error>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "base/tunnel_path.hpp"
#include "io/tunnel_admission.hpp"
#include "io/tunnel_listener.hpp"
#include "io/tunnel_socket.hpp"
#include "node/tunnel_request.hpp"
#include "quicmesh/keypair.hpp"

namespace quicmesh::io {

/// The tunnel asked for as `request` is open; datagrams go on `path`.
struct TunnelOpened {
  TunnelRequestId request{};
  NetworkPath path;
};
struct TunnelFailed {
  TunnelRequestId request{};
  std::error_code error;
};
/// One that was asked for and opened has ended.
struct TunnelClosed {
  NetworkPath path;
  std::error_code error;
};
using TunnelEvent = std::variant<TunnelOpened, TunnelFailed, TunnelClosed>;

struct TunnelSetCounters {
  TunnelCounters datagrams;  // of all tunnels, also of those that are closed
  std::uint64_t opened = 0;
  std::uint64_t handshakes_failed = 0;  // of those taken: garbage, silence, other protocols
  std::uint64_t closed_bad_frame = 0;
  std::uint64_t closed_idle = 0;
  std::uint64_t closed_stalled = 0;
  std::uint64_t strays = 0;  // datagrams for a tunnel that is not there
};

class TunnelSet {
 public:
  static constexpr std::size_t own_max = 32;  // newest refused
  static constexpr std::size_t accepts_per_turn = 32;
  static constexpr std::size_t trains_per_turn = 16;  // of one tunnel
  /// Tunnels are looked at for time-outs no more often, and no later than so.
  static constexpr Duration sweep_min = 1s;
  static constexpr Duration sweep_max = 5s;

  /// `identity` and `rng` outlive it.
  static Result<std::unique_ptr<TunnelSet>> create(const Keypair& identity, SecureRng& rng,
                                                   const TunnelLimits& limits = {});
  ~TunnelSet();
  TunnelSet(const TunnelSet&) = delete;
  TunnelSet& operator=(const TunnelSet&) = delete;

  /// Takes tunnels of others at `local`; the result is the address bound.
  Result<SocketAddress> listen(const SocketAddress& local);
  /// Opens a tunnel to a relay: TunnelOpened or TunnelFailed follows, for `request`.
  void open(Instant now, TunnelRequestId request, const SocketAddress& remote);
  /// Ends a tunnel, or gives up `request`. No event follows. Nothing happens if there is none.
  void close(SocketId socket);
  void give_up(TunnelRequestId request);

  /// Readable when there is something to do: then `handle_ready`, and `receive` until it gives
  /// nothing.
  [[nodiscard]] int descriptor() const { return epoll_.get(); }
  void handle_ready(Instant now);
  struct Arrival {
    NetworkPath path;
    ReceivedTrain train;
  };
  /// `buffer` as for UdpSocket.
  std::optional<Arrival> receive(Instant now, MutableByteView buffer);

  /// Sends, or drops what has no room or no tunnel.
  void send(Instant now, const Transmit& transmit, ByteView data);

  std::optional<TunnelEvent> poll_event();
  [[nodiscard]] Instant deadline() const { return tunnels_.empty() ? never : sweep_at_; }
  void handle_timeout(Instant now);

  [[nodiscard]] std::size_t count() const { return tunnels_.size(); }
  [[nodiscard]] TunnelSetCounters counters() const;
  /// Connections that the listener dropped because the process had no descriptor left.
  [[nodiscard]] std::uint64_t dropped_without_descriptor() const;
  [[nodiscard]] const TunnelAdmission& admission() const { return admission_; }
  [[nodiscard]] const TunnelBudget& budget() const { return budget_; }

 private:
  struct Tunnel {
    std::unique_ptr<TunnelSocket> socket;
    std::optional<TunnelRequestId> request;  // of this node; others were taken by a listener
    bool open = false;
    bool watched_for_writing = false;
    std::list<SocketId>::iterator half_open;  // its place, of a taken one that is not open
  };
  using Tunnels = std::map<SocketId, Tunnel>;

  TunnelSet(const Keypair& identity, SecureRng& rng, const TunnelLimits& limits)
      : identity_(identity), admission_(limits, rng) {}

  void accept_waiting(Instant now, TunnelListener& listener);
  void take(Instant now, TunnelListener::Accepted accepted);
  [[nodiscard]] SocketId free_id();
  Tunnels::iterator add(Instant now, Tunnel tunnel);
  /// After anything was done with a tunnel: what its state is now is told and watched; a closed
  /// one is removed, and then the result is false.
  bool settle(Tunnels::iterator tunnel);
  void count_end(const Tunnel& tunnel);
  void remove(Tunnels::iterator tunnel);
  [[nodiscard]] static NetworkPath path_of(const Tunnels::value_type& tunnel);

  const Keypair& identity_;
  TunnelAdmission admission_;
  TunnelBudget budget_;
  FileDescriptor epoll_;
  std::unique_ptr<TlsContext> dialler_tls_;   // made when first used
  std::unique_ptr<TlsContext> acceptor_tls_;  // with the first listener
  std::vector<TunnelListener> listeners_;
  Tunnels tunnels_;
  std::list<SocketId> half_open_;  // taken ones, oldest first
  std::size_t own_ = 0;
  std::uint16_t next_id_ = std::to_underlying(first_tunnel_socket);
  std::deque<SocketId> readable_;
  std::size_t trains_of_front_ = 0;
  std::deque<TunnelEvent> events_;
  Instant sweep_at_ = never;
  TunnelSetCounters counters_;  // of its `datagrams` those of tunnels that are gone
};

}  // namespace quicmesh::io
