// The quantities of scenario files as people write them: "1.5s", "100Mbit/s", "256KiB", "2.5%".
//
// A number is decimal digits with at most nine after the point, fifteen in all; a unit follows
// without a space. All arithmetic is on whole numbers and exact; what is not representable (half a
// nanosecond) or out of range is no value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "quicmesh/time.hpp"
#include "sim/ratio.hpp"

namespace quicmesh::sim {

/// ns, us, ms, s, min, h.
std::optional<Duration> parse_duration(std::string_view text);

/// bit/s, kbit/s, Mbit/s, Gbit/s (decimal); "unlimited" is 0, as in LinkConfig.
std::optional<std::uint64_t> parse_bit_rate(std::string_view text);

/// B, kB, MB, GB (decimal), KiB, MiB, GiB (binary), or a bare number of bytes.
std::optional<std::uint64_t> parse_byte_count(std::string_view text);

/// "0", "1", "0.25", "25%", "1/4"; in [0, 1] and with terms of at most `ratio_term_max`.
std::optional<Ratio> parse_probability(std::string_view text);

/// "4", "2.5", "5/2": any ratio with terms of at most `ratio_term_max`.
std::optional<Ratio> parse_ratio(std::string_view text);

}  // namespace quicmesh::sim
