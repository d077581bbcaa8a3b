// Two kinds of randomness, never mixed: `Rng` decides (jitter, sampling, simulated loss) and
// replays from its seed; `SecureRng` makes what an attacker must not guess (keys, nonces, tokens,
// ids).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// A small deterministic generator: xoshiro256** (Blackman & Vigna 2018), seeded by SplitMix64.
/// A value: copies run on alike. Not for secrets.
class Rng {
 public:
  using result_type = std::uint64_t;

  explicit Rng(std::uint64_t seed);

  /// A child whose stream depends on this generator's seed and `name` only, not on what was drawn.
  [[nodiscard]] Rng fork(std::string_view name) const;

  std::uint64_t next();

  /// Uniform in [0, bound), `bound` > 0; without modulo bias (Lemire 2019).
  std::uint64_t below(std::uint64_t bound);

  /// True with probability `numerator / denominator`; integers, so that runs replay everywhere.
  bool chance(std::uint64_t numerator, std::uint64_t denominator);

  /// Uniform in [low, high]; `low` <= `high`.
  Duration between(Duration low, Duration high);

  void fill(MutableByteView out);

  static constexpr result_type min() { return 0; }
  static constexpr result_type max() { return ~result_type{0}; }
  result_type operator()() { return next(); }

 private:
  std::uint64_t seed_;
  std::array<std::uint64_t, 4> state_;
};

/// Source of secrets. `crypto/system_rng.hpp` reads getrandom(2); a simulation seeds its own.
class SecureRng {
 public:
  virtual ~SecureRng() = default;
  virtual void fill(MutableByteView out) = 0;

  std::uint64_t next_u64();
};

}  // namespace quicmesh
