// When a STUN request is sent again (RFC 8489 s6.2.1): after RTO, then each time after twice as
// long, up to `interval_max`; given up `final_wait` after the last of `sends` transmissions.
#pragma once

#include <algorithm>

#include "quicmesh/time.hpp"

namespace quicmesh {

struct Retransmission {
  Duration rto = 500ms;
  unsigned sends = 7;                // Rc
  Duration interval_max = 32s;       // never reached with Rc 7
  Duration final_wait = 16 * 500ms;  // Rm x RTO

  /// How long to wait after transmission number `sent`, counted from 1.
  [[nodiscard]] constexpr Duration wait_after(unsigned sent) const {
    if (sent >= sends) return final_wait;
    return std::min(rto * (std::int64_t{1} << std::min(sent - 1, 20u)), interval_max);
  }

  /// From the first transmission to giving up.
  [[nodiscard]] constexpr Duration total() const {
    Duration sum{};
    for (unsigned sent = 1; sent <= sends; ++sent)
      sum += wait_after(sent);
    return sum;
  }

  /// For NAT discovery, where silence is a result: eight transmissions at even intervals, whatever
  /// is under way, so that neither a few losses nor a long round trip make one. `rtt` is that of an
  /// earlier answer, or a guess.
  /// Departure: RFC 8489 s6.2.1 wants an RTO above the RTT, and 500 ms if that is unknown.
  static constexpr Retransmission discovery(Duration rtt) {
    const Duration interval = std::clamp<Duration>(rtt, 60ms, 150ms);
    return {.rto = interval,
            .sends = 8,
            .interval_max = interval,
            .final_wait = std::max(interval, rtt + 50ms)};
  }

  /// For the first questions of a discovery: over 2.5 s, so that an outage of a second is not taken
  /// for a network that blocks UDP.
  static constexpr Retransmission first_contact() {
    return {.rto = 150ms, .sends = 8, .interval_max = 400ms, .final_wait = 350ms};
  }
};

}  // namespace quicmesh
