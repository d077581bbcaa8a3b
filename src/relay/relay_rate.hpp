// How often, or how many bytes, somebody may: the virtual scheduling form of the generic cell rate
// algorithm (ITU-T I.371, annex A), a token bucket that keeps nothing but one instant.
//
// `next_` is when the bucket would be full again. What passes moves it onwards by its cost in time;
// what would move it further ahead of now than the burst is refused. So a rate may change at any
// time, and nothing has to be refilled.
#pragma once

#include <algorithm>
#include <cstdint>

#include "quicmesh/time.hpp"

namespace quicmesh {

class RelayRate {
 public:
  /// Whether one more may pass: one every `interval` on average, `burst` > 0 of them at once.
  bool allow(Instant now, Duration interval, unsigned burst) {
    const Instant next = std::max(next_, now);
    if (next - now > interval * (burst - 1)) return false;
    next_ = next + interval;
    return true;
  }

  /// The bytes that may pass now. Both arguments are in [1, rate_max].
  [[nodiscard]] std::uint64_t room(Instant now, std::uint64_t bytes_per_s,
                                   std::uint64_t burst_bytes) const {
    const std::int64_t burst_ns = static_cast<std::int64_t>(burst_bytes * second_ns / bytes_per_s);
    const std::int64_t ahead_ns = next_ <= now ? 0 : (next_ - now).count();
    if (ahead_ns >= burst_ns) return 0;
    return static_cast<std::uint64_t>(burst_ns - ahead_ns) * bytes_per_s / second_ns;
  }

  /// Takes `bytes`, at most what `room` said.
  void take(Instant now, std::uint64_t bytes, std::uint64_t bytes_per_s) {
    next_ = std::max(next_, now) +
            Duration(static_cast<Duration::rep>(bytes * second_ns / bytes_per_s));
  }

  /// Keeps every product with a second's nanoseconds below 2^63.
  static constexpr std::uint64_t rate_max = (std::uint64_t{1} << 32) - 1;

 private:
  static constexpr std::uint64_t second_ns = 1'000'000'000;

  Instant next_ = Instant::min();
};

}  // namespace quicmesh
