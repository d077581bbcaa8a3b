// The key space of the DHT: 256 bits, with the XOR metric (Maymounkov & Mazieres 2002, s2.1).
//
// Nodes and values share it: a node stands at its NodeId, a value at the BLAKE3 hash that names it.
// The distance of two keys is their XOR, read as a big-endian number.
#pragma once

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>

#include "quicmesh/node_id.hpp"

namespace quicmesh {

class Rng;

struct DhtKey {
  std::array<std::uint8_t, NodeId::size> bytes{};

  static DhtKey of(const NodeId& id) { return {id.bytes}; }

  auto operator<=>(const DhtKey&) const = default;
};

/// How far two keys are apart: the most significant word first, so that `<` is "nearer".
struct Distance {
  std::array<std::uint64_t, 4> words{};

  auto operator<=>(const Distance&) const = default;
};

constexpr Distance distance(const DhtKey& a, const DhtKey& b) {
  using Words = std::array<std::uint64_t, 4>;
  const auto from = std::bit_cast<Words>(a.bytes);
  const auto to = std::bit_cast<Words>(b.bytes);
  Distance result;
  for (std::size_t i = 0; i < result.words.size(); ++i) {
    const std::uint64_t word = from[i] ^ to[i];
    result.words[i] = std::endian::native == std::endian::little ? std::byteswap(word) : word;
  }
  return result;
}

/// The first word of a key, as a number: that of the distance is the XOR of both.
constexpr std::uint64_t prefix(const DhtKey& key) {
  return distance(key, DhtKey{}).words.front();
}

/// Leading bits that two keys at that distance share: 0 to 256.
constexpr unsigned shared_bits(const Distance& distance) {
  unsigned bits = 0;
  for (const std::uint64_t word : distance.words) {
    bits += static_cast<unsigned>(std::countl_zero(word));
    if (word != 0) break;
  }
  return bits;
}

constexpr unsigned shared_bits(const DhtKey& a, const DhtKey& b) {
  return shared_bits(distance(a, b));
}

/// A random key that shares the first `bits` bits with `key`, and not the next one; `bits` is below
/// 256.
[[nodiscard]] DhtKey random_key_beside(const DhtKey& key, unsigned bits, Rng& rng);

}  // namespace quicmesh
