// Time as the library sees it: always passed in, never read from a clock by protocol code.
#pragma once

#include <chrono>
#include <cstdint>

namespace quicmesh {

using Duration = std::chrono::nanoseconds;
using namespace std::chrono_literals;

/// Names the monotonic time line of one driver or one simulation; it has no `now()` on purpose.
struct MonotonicTimeline {
  using duration = Duration;
  using rep = Duration::rep;
  using period = Duration::period;
  static constexpr bool is_steady = true;
};

/// A point of monotonic time. Its origin is the driver's business; it only compares and subtracts.
using Instant = std::chrono::time_point<MonotonicTimeline, Duration>;

/// "No deadline": later than every instant that occurs.
inline constexpr Instant never = Instant::max();

/// Seconds since 1970-01-01 UTC, for signed records and logs only.
enum class WallTime : std::int64_t {};

}  // namespace quicmesh
