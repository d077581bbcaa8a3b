// How many requests a node may send: a token bucket (GCRA, ITU-T I.371).
//
// It keeps a node that is told to look everything up, or whose alpha was driven up, from becoming a
// flood (TD11). What counts is what a request costs others: one that opens a connection is several
// kilobytes and a millisecond of processor time, to somebody who may never have asked for it; one
// over a connection that stands is a small part of that, and its peer can say that it is busy. Two
// seconds' worth may go at once.
#pragma once

#include <algorithm>
#include <cstdint>

#include "quicmesh/time.hpp"

namespace quicmesh::dht {

class RequestBudget {
 public:
  /// So many requests over connections that stand cost as much as one that opens one.
  static constexpr int warm_share = 8;

  /// `a_second`: those that open a connection, in [1, 1,000,000].
  RequestBudget(Instant now, std::uint32_t a_second)
      : interval_(Duration(1s) / a_second), full_at_(now) {}

  /// Spends one, whether there is one or not: if there was none those that follow wait the longer.
  void spend(Instant now, bool opens) {
    full_at_ = std::max(full_at_, now) + (opens ? interval_ : interval_ / warm_share);
  }
  /// Spends a whole one, if there is one.
  bool take(Instant now) {
    if (!has_one(now)) return false;
    spend(now, true);
    return true;
  }
  [[nodiscard]] bool has_one(Instant now) const { return next() <= now; }
  /// When the next one is there; not after the present if one is there now.
  [[nodiscard]] Instant next() const { return full_at_ - burst; }

 private:
  static constexpr Duration burst = 2s;

  Duration interval_;
  Instant full_at_;  // when nothing is owed any more
};

}  // namespace quicmesh::dht
