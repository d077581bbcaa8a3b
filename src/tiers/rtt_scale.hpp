// Round trips on the logarithmic scale on which they are compared and clustered.
//
// A step of the scale is 1/1024 of an octave above one millisecond, in sixteen bits. Ratios are
// what matters to whoever waits: 5 ms against 10 is as much of a difference as 100 against 200,
// queueing adds noise in proportion, and on a linear scale the slow tail of the internet would take
// all tiers for itself. The ends are clamped: below a millisecond nothing is gained by being
// nearer, so a liar that answers in no time gets no more weight than a neighbour; beyond 65 s
// nobody waits.
//
// Whole numbers only, so that tiers replay alike on every machine. The binary logarithm is taken
// bit by bit, by squaring the mantissa (Knuth, TAOCP vol. 1, s1.2.2).
#pragma once

#include <cstdint>

#include "quicmesh/time.hpp"

namespace quicmesh {

/// log2(RTT / 1 ms) in steps of 1/1024, clamped to [0, log_rtt_max].
using LogRtt = std::uint16_t;

inline constexpr unsigned log_rtt_bits = 10;  // of the fraction
inline constexpr LogRtt log_rtt_octave = LogRtt{1} << log_rtt_bits;
inline constexpr LogRtt log_rtt_max = 16 * log_rtt_octave - 1;

/// log2 of `value` (> 0) in steps of 1/1024, rounded down.
[[nodiscard]] std::int64_t log2_steps(std::uint64_t value);

[[nodiscard]] LogRtt log_rtt(Duration rtt);

/// The shortest round trip, in whole microseconds, whose `log_rtt` is at least `value`.
[[nodiscard]] Duration rtt_of(LogRtt value);

}  // namespace quicmesh
