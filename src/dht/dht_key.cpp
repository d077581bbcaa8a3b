#include "dht/dht_key.hpp"

#include <algorithm>

#include "base/rng.hpp"

namespace quicmesh {

DhtKey random_key_beside(const DhtKey& key, unsigned bits, Rng& rng) {
  DhtKey other;
  rng.fill(other.bytes);
  const std::size_t whole = bits / 8;
  std::copy_n(key.bytes.begin(), whole, other.bytes.begin());
  // In the byte that is left: the key's bits, then the one that differs, then random ones.
  const unsigned differs = 0x80U >> bits % 8;
  const unsigned random_bits = differs - 1;
  const unsigned prefix = (key.bytes[whole] ^ differs) & ~random_bits;
  other.bytes[whole] = static_cast<std::uint8_t>(prefix | (other.bytes[whole] & random_bits));
  return other;
}

}  // namespace quicmesh
