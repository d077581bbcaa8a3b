// How long to wait for an answer, from what answers took before.
//
// RFC 6298 s2 for all peers together: the prior for whoever was never measured. A peer with samples
// of its own gets their median plus four times their spread, at least a quarter of the median: what
// RFC 6298's variance becomes after three equal samples.
#pragma once

#include <algorithm>

#include "dht/contact.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

class RoundTrip {
 public:
  static constexpr Duration first_patience = 1s;  // RFC 6298 s2.1
  static constexpr Duration patience_min = 50ms;
  static constexpr Duration patience_max = 3s;
  /// The clock granularity G of RFC 6298; a peer may also have something else to do.
  static constexpr Duration slack = 20ms;
  /// Opening a connection and asking: a handshake and, behind NATs, the way over a relay.
  static constexpr int cold_factor = 3;
  /// A request unanswered for so many patiences is given up, within these bounds.
  static constexpr int give_up_factor = 4;
  static constexpr Duration give_up_min = 1s;
  static constexpr Duration give_up_max = 5s;
  /// A first flight that is lost is sent again after 0.3, 0.9 and 2.1 s (RFC 9002 s6.2.2, with
  /// QuicConfig's first estimate): who opens a connection waits for all three.
  static constexpr Duration give_up_cold_min = 3500ms;

  void add_sample(Duration rtt) {
    if (!measured_) {
      measured_ = true;
      smoothed_ = rtt;
      variation_ = rtt / 2;
      return;
    }
    const Duration error = smoothed_ > rtt ? smoothed_ - rtt : rtt - smoothed_;
    variation_ += (error - variation_) / 4;
    smoothed_ += (rtt - smoothed_) / 8;
  }

  /// For a peer that was never measured.
  [[nodiscard]] Duration patience() const {
    if (!measured_) return first_patience;
    return bounded(smoothed_ + std::max(slack, 4 * variation_));
  }

  [[nodiscard]] Duration patience(const Contact* contact) const {
    const auto rtt = contact == nullptr ? std::nullopt : contact->rtt();
    if (!rtt) return patience();
    Duration longest = *rtt;
    for (std::size_t i = 0; i < contact->samples; ++i)
      longest = std::max(longest, contact->rtts[i].duration());
    return bounded(*rtt + std::max(slack, 4 * std::max(longest - *rtt, *rtt / 4)));
  }

  [[nodiscard]] static Duration give_up(Duration patience) {
    return std::clamp(give_up_factor * patience, give_up_min, give_up_max);
  }
  [[nodiscard]] static Duration give_up_cold(Duration patience) {
    return std::max(give_up(patience), give_up_cold_min);
  }

 private:
  static Duration bounded(Duration wait) { return std::clamp(wait, patience_min, patience_max); }

  bool measured_ = false;
  Duration smoothed_{};
  Duration variation_{};
};

}  // namespace quicmesh::dht
