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

  /// For NAT discovery, which has 3 s in all and for which silence is a result: six transmissions,
  /// spread so that one burst of losses does not take them all. `rtt` is that of an earlier answer,
  /// or a guess.
  /// Departure: RFC 8489 s6.2.1 asks for an RTO of 500 ms at least unless the RTT is known.
  static constexpr Retransmission discovery(Duration rtt) {
    const Duration rto = std::clamp<Duration>(rtt + rtt / 2, 50ms, 250ms);
    return {
        .rto = rto, .sends = 6, .interval_max = 2 * rto, .final_wait = std::max(rto, rtt + 50ms)};
  }
};

}  // namespace quicmesh
