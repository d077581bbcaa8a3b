// Hashes for our own hash tables: fast, the same in every run, and not for secrets.
//
// Eight bytes at a time are folded into the state with the 64-bit finaliser of SplitMix64 (Steele,
// Lea & Flood 2014), which is a bijection with good avalanche. Whoever fills a table can find
// collisions of it, so every table that a peer fills is bounded (ARCHITECTURE.md, "Bounds").
#pragma once

#include <cstddef>
#include <cstdint>

#include "quicmesh/bytes.hpp"

namespace quicmesh {

/// The finaliser of SplitMix64: every output bit depends on every input bit.
constexpr std::uint64_t mix64(std::uint64_t value) {
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31);
}

/// Folds `value` into `state`; the order of the values matters. The state is multiplied first, lest
/// two hashes made alike (of both ends of a path, say) cancel each other out.
constexpr std::uint64_t hash_combine(std::uint64_t state, std::uint64_t value) {
  return mix64(state * 0xd1342543de82ef95U + value + 0x9e3779b97f4a7c15U);
}

/// The length is part of the hash, so that no string collides with itself plus zeros.
constexpr std::uint64_t hash_bytes(ByteView bytes) {
  std::uint64_t state = mix64(bytes.size() + 0x9e3779b97f4a7c15U);
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    word |= std::uint64_t{bytes[i]} << (8 * (i % 8));
    if (i % 8 == 7 || i + 1 == bytes.size()) {
      state = hash_combine(state, word);
      word = 0;
    }
  }
  return state;
}

}  // namespace quicmesh
