// A probability as a fraction of whole numbers: simulated chance replays alike on every machine,
// which floating point does not promise.
#pragma once

#include <cstdint>

#include "base/rng.hpp"

namespace quicmesh::sim {

struct Ratio {
  std::uint64_t numerator = 0;
  std::uint64_t denominator = 1;

  [[nodiscard]] constexpr bool is_zero() const { return numerator == 0; }
  auto operator<=>(const Ratio&) const = default;
};

/// The largest numerator and denominator anywhere: the product of two stays far inside 64 bits.
inline constexpr std::uint64_t ratio_term_max = 1'000'000;

constexpr bool is_probability(const Ratio& ratio) {
  return ratio.denominator > 0 && ratio.denominator <= ratio_term_max &&
         ratio.numerator <= ratio.denominator;
}

/// Draws nothing for an impossible event, so that switching a fault off leaves the other draws
/// alone.
inline bool happens(Rng& rng, const Ratio& probability) {
  return !probability.is_zero() && rng.chance(probability.numerator, probability.denominator);
}

}  // namespace quicmesh::sim
