// xoshiro256** 1.0 (Blackman & Vigna 2018, "Scrambled linear pseudorandom number generators"),
// seeded by SplitMix64 as its authors recommend, and the unbiased bounded draw of Lemire 2019
// ("Fast random integer generation in an interval").
#include "base/rng.hpp"

#include <bit>

#include "base/assert.hpp"
#include "base/hash.hpp"

namespace quicmesh {
namespace {

__extension__ using Uint128 = unsigned __int128;

constexpr std::uint64_t golden_gamma = 0x9e3779b97f4a7c15U;

std::uint64_t split_mix_64(std::uint64_t& state) {
  state += golden_gamma;
  return mix64(state);
}

}  // namespace

Rng::Rng(std::uint64_t seed) : seed_(seed), state_{} {
  for (std::uint64_t& word : state_)
    word = split_mix_64(seed);
}

Rng Rng::fork(std::string_view name) const {
  // The parent's seed is mixed before the name goes in, so that fork("a").fork("b") and
  // fork("b").fork("a") differ, and so that no child shares its parent's seed.
  return Rng(hash_combine(mix64(seed_ + golden_gamma), hash_bytes(as_bytes(name))));
}

std::uint64_t Rng::next() {
  const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const std::uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

std::uint64_t Rng::below(std::uint64_t bound) {
  QM_ASSERT(bound > 0);
  // The high half of draw x bound is uniform once the low halves under 2^64 mod bound are redrawn.
  Uint128 product = Uint128{next()} * bound;
  if (static_cast<std::uint64_t>(product) < bound) {
    const std::uint64_t threshold = (0 - bound) % bound;
    while (static_cast<std::uint64_t>(product) < threshold)
      product = Uint128{next()} * bound;
  }
  return static_cast<std::uint64_t>(product >> 64);
}

bool Rng::chance(std::uint64_t numerator, std::uint64_t denominator) {
  return below(denominator) < numerator;
}

Duration Rng::between(Duration low, Duration high) {
  QM_ASSERT(low <= high);
  const auto first = static_cast<std::uint64_t>(low.count());
  const std::uint64_t width = static_cast<std::uint64_t>(high.count()) - first;
  const std::uint64_t offset = width == max() ? next() : below(width + 1);
  return Duration(static_cast<Duration::rep>(first + offset));
}

void Rng::fill(MutableByteView out) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (i % 8 == 0) word = next();
    out[i] = static_cast<std::uint8_t>(word >> (8 * (i % 8)));
  }
}

std::uint64_t SecureRng::next_u64() {
  std::array<std::uint8_t, 8> bytes{};
  fill(bytes);
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes)
    value = value << 8 | byte;
  return value;
}

}  // namespace quicmesh
