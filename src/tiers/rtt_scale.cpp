#include "tiers/rtt_scale.hpp"

#include <algorithm>
#include <bit>

#include "base/assert.hpp"

namespace quicmesh {

std::int64_t log2_steps(std::uint64_t value) {
  QM_ASSERT(value > 0);
  const int whole = 63 - std::countl_zero(value);
  // The mantissa, in [1, 2) with 31 bits of fraction: its square fits 64 bits.
  std::uint64_t mantissa = whole >= 31 ? value >> (whole - 31) : value << (31 - whole);
  std::int64_t steps = whole;
  for (unsigned bit = 0; bit < log_rtt_bits; ++bit) {
    mantissa = (mantissa * mantissa) >> 31;
    const std::uint64_t carry = mantissa >> 32;
    mantissa >>= carry;
    steps = steps * 2 + static_cast<std::int64_t>(carry);
  }
  return steps;
}

LogRtt log_rtt(Duration rtt) {
  if (rtt <= 1ms) return 0;
  // 1 ms is 2^20 units, so that a whole octave is exact.
  const auto ns = static_cast<std::uint64_t>(std::min<Duration>(rtt, 100s).count());
  const std::uint64_t units = (ns << 20U) / 1'000'000U;
  const std::int64_t steps = log2_steps(units) - 20 * std::int64_t{log_rtt_octave};
  return static_cast<LogRtt>(std::clamp<std::int64_t>(steps, 0, log_rtt_max));
}

Duration rtt_of(LogRtt value) {
  std::int64_t low = 1'000;  // microseconds; log_rtt is monotone, so bisection finds the first
  std::int64_t high = 66'000'000;
  while (low < high) {
    const std::int64_t middle = low + (high - low) / 2;
    if (log_rtt(std::chrono::microseconds(middle)) >= value) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return std::chrono::microseconds(low);
}

}  // namespace quicmesh
