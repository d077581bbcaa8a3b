// The simulator's own guinea pig: a request/response core with a window and retransmission timers.
//
// It shows what a DatagramCore must look like, proves the simulator deterministic, and loads it in
// the packet benchmark; no product speaks this. A client keeps `window` requests open; each is sent
// again after `retry` plus up to a quarter of it, doubled at each try, at most eight-fold. A server
// echoes the number. A checksum over the header and filling detects damage; a damaged datagram is
// ignored. The server is stateless but for a bounded queue of answers not yet sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/core.hpp"
#include "base/rng.hpp"

namespace quicmesh::sim {

struct RequestCoreConfig {
  SocketId socket{};
  std::optional<SocketAddress> server;  // none: be the server
  std::uint32_t requests = 100;
  std::uint32_t window = 4;
  Duration retry = 100ms;
  std::size_t datagram_bytes = 1200;  // at least 16
};

struct RequestAnswered {
  std::uint32_t number;
  std::uint32_t tries;
};
std::string trace_text(const RequestAnswered& event);

class RequestCore {
 public:
  static constexpr std::size_t answers_max = 4096;  // the newest is refused
  static constexpr std::size_t header_bytes = 16;

  RequestCore(const RequestCoreConfig& config, Rng rng);

  /// Begins with the first requests; for clients.
  void begin(Instant now);

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<RequestAnswered> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  [[nodiscard]] std::uint32_t answered() const { return answered_; }
  [[nodiscard]] bool is_done() const { return answered_ == config_.requests; }
  [[nodiscard]] std::uint64_t damaged() const { return damaged_; }
  [[nodiscard]] std::uint64_t answers_refused() const { return answers_refused_; }

 private:
  struct Open {
    std::uint32_t number;
    std::uint32_t tries = 0;
    Instant next_try;
  };
  struct Answer {
    NetworkPath path;
    std::uint32_t number;
  };

  void fill_window(Instant now);
  Transmit write(MutableByteView buffer, const NetworkPath& path, std::uint32_t type,
                 std::uint32_t number) const;

  RequestCoreConfig config_;
  Rng rng_;
  std::uint32_t next_number_ = 0;
  std::uint32_t answered_ = 0;
  std::uint64_t damaged_ = 0;
  std::uint64_t answers_refused_ = 0;
  std::vector<Open> open_;
  std::deque<Answer> answers_;
  std::deque<RequestAnswered> events_;
};

}  // namespace quicmesh::sim
