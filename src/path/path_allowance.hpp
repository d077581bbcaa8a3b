// How many new paths a peer may make this node probe: a burst, and then a few a minute.
//
// Every address that a peer names, or from which it seems to send, gets some probes of ours. So a
// peer could aim them at a victim, or at one after another.
#pragma once

#include <algorithm>

#include "quicmesh/time.hpp"

namespace quicmesh {

class PathAllowance {
 public:
  static constexpr int burst = 20;
  static constexpr Duration interval = 3s;  // 20 a minute

  /// Takes one if there is one.
  bool take(Instant now) {
    const auto earned = (now - refilled_) / interval;
    if (earned > 0) {
      left_ = static_cast<int>(std::min<std::int64_t>(burst, left_ + earned));
      refilled_ += earned * interval;
    }
    if (left_ == 0) return false;
    --left_;
    return true;
  }

 private:
  int left_ = burst;
  Instant refilled_{};
};

}  // namespace quicmesh
