// A router with a line: the gateway of a home and, on its outer side, the wire to the internet with
// delay, jitter, loss, rate, MTU and hops (sim/link.hpp, one link a direction).
//
//   inner --> gateway --> hops, line up  --> outer
//   inner <-- gateway <-- line down, hops <-- outer
//
// A hairpinned packet sees the gateway only. Packets wait in the line here, at most `waiting_max`
// of them in both directions; a packet too big for the line vanishes and nobody is told.
//
// Bytes are counted by remote address where they cross the outer side: outbound when they have left
// the gateway, inbound when they arrive at the line, so a punch packet shows here even if the far
// side drops it or the line loses it. Sizes are those of IP packets.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "gateway.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/time.hpp"
#include "sim/link.hpp"

namespace quicmesh::natlab {

struct RouterConfig {
  GatewayConfig gateway;
  sim::LinkConfig up;
  sim::LinkConfig down;
  unsigned hops = 0;  // of the line, besides the gateway's own
};

/// What went to and came from one remote address, over the outer side.
struct RemoteCounters {
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t packets_passed_in = 0;  // what the line and the gateway let through
  std::uint64_t bytes_passed_in = 0;
  std::uint64_t largest_out = 0;  // bytes of the largest packet
};

class Router {
 public:
  static constexpr std::size_t waiting_max = 32'768;
  static constexpr std::size_t remotes_max = 256;  // beyond, counted under the unspecified address

  /// The links have passed `sim::check`; see `Gateway` for the rest.
  Router(const RouterConfig& config, Rng rng);

  /// Takes a packet that came in on `from`.
  void handle_packet(Instant now, Side from, ByteView packet);

  struct Outgoing {
    Side to;
    Bytes packet;
  };
  /// The next packet that is due by `now`; hand its buffer back to `recycle`.
  std::optional<Outgoing> poll_packet(Instant now);
  void recycle(Bytes buffer);
  [[nodiscard]] Instant poll_timeout() const;

  void rebind() { gateway_.rebind(); }
  Gateway& gateway() { return gateway_; }
  /// The configurations have passed `sim::check`.
  void set_lines(Instant now, const sim::LinkConfig& up, const sim::LinkConfig& down);
  [[nodiscard]] const sim::LinkConfig& up() const { return up_.config(); }
  [[nodiscard]] const sim::LinkConfig& down() const { return down_.config(); }

  /// All counters as one JSON object without a line feed.
  [[nodiscard]] std::string counters_json() const;

 private:
  struct Waiting {
    Side to;
    Bytes packet;
  };

  void enter_line(Instant now, Side to, const IpPacket& packet, Bytes buffer);
  void leave_line_inbound(Instant now, Bytes buffer);
  void queue(Instant when, Side to, Bytes buffer);
  Bytes buffer_of(ByteView packet);
  RemoteCounters& counters_of(const IpAddress& remote);

  Gateway gateway_;
  sim::Link up_;
  sim::Link down_;
  unsigned hops_;
  std::multimap<Instant, Waiting> waiting_;  // in the lines, by when they come out
  std::deque<Outgoing> ready_;               // behind the gateway, not polled yet
  std::vector<Bytes> spare_;
  std::map<IpAddress, RemoteCounters> remotes_;
  std::uint64_t malformed_ = 0;
  std::uint64_t of_one_link_ = 0;  // multicast, link-local: no router forwards it
  std::uint64_t died_on_line_ = 0;
  std::uint64_t waiting_overflow_ = 0;
};

}  // namespace quicmesh::natlab
