// How many requests a node may send: a token bucket, in tokens of a thousandth of a request.
//
// It keeps a node that is told to look everything up, or whose alpha was driven up, from becoming a
// flood (TD11). Two seconds' worth may go at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "quicmesh/time.hpp"

namespace quicmesh::dht {

class RequestBudget {
 public:
  /// `a_second` in [1, 1,000,000].
  RequestBudget(Instant now, std::uint32_t a_second)
      : interval_(Duration(1s) / a_second), full_at_(now) {}

  /// Spends one, if there is one.
  bool take(Instant now) {
    if (full_at_ > now + burst) return false;
    full_at_ = std::max(full_at_, now) + interval_;
    return true;
  }
  /// Spends one, whether there is one or not: those that follow wait the longer.
  void owe(Instant now) { full_at_ = std::max(full_at_, now) + interval_; }
  /// When the next one is there; not after the present if one is there now.
  [[nodiscard]] Instant next() const { return full_at_ - burst; }

 private:
  static constexpr Duration burst = 2s;

  Duration interval_;
  Instant full_at_;  // when nothing is owed any more (GCRA, ITU-T I.371)
};

}  // namespace quicmesh::dht
