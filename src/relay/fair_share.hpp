// How many bytes a second each client of a relay may send: the max-min fair share of the relay's
// rate, so that one who floods takes from nobody who stays within a fair share.
//
// Source: Stoica, Shenker, Zhang, "Core-Stateless Fair Queueing" (1998), s3.2.2. The share a is
// found from totals alone, once a tick: F(a), what was forwarded while no client passed more than
// a, is concave in a. So a * C / F, with C the relay's rate, comes down from above without ever
// going below the fair share, and comes up from below without passing it. While nobody is refused
// anything the share grows to what one client may have at most.
//
// Departure: the paper drops with a probability; here every client has a bucket (relay_rate.hpp)
// that is filled at the rate of the share. There is no queue, so nobody waits for a flood.
#pragma once

#include <cstdint>

#include "quicmesh/time.hpp"

namespace quicmesh {

class FairShare {
 public:
  static constexpr Duration tick = 100ms;
  static constexpr std::uint64_t share_min = 16'384;

  /// Bytes a second, both in [share_min, RelayRate::rate_max]; others are brought into the range.
  FairShare(std::uint64_t client_max, std::uint64_t total_max);

  /// Bytes a second that a client may send now.
  std::uint64_t share(Instant now) {
    if (now - began_ >= tick) end_tick(now);
    return share_;
  }

  void count(std::uint64_t forwarded, std::uint64_t refused) {
    forwarded_ += forwarded;
    refused_ += refused;
  }

  /// Bytes a second in the last complete tick, and what may pass at most.
  [[nodiscard]] std::uint64_t measured(Instant now) const;
  [[nodiscard]] std::uint64_t total_max() const { return total_max_; }

 private:
  void end_tick(Instant now);

  std::uint64_t client_max_;
  std::uint64_t total_max_;
  std::uint64_t share_;
  std::uint64_t measured_ = 0;
  std::uint64_t forwarded_ = 0;  // in the present tick
  std::uint64_t refused_ = 0;
  Instant began_{};
};

}  // namespace quicmesh
