// The stream's key material is the seed (8 bytes, big-endian), then the name.
#include "crypto/seeded_rng.hpp"

#include "base/byte_writer.hpp"

namespace quicmesh {

SeededRng::SeededRng(std::uint64_t seed, std::string_view name) {
  Bytes material;
  ByteWriter writer(material);
  writer.u64(seed);
  writer.bytes(as_bytes(name));
  Blake3 hash = Blake3::derive_key("quicmesh 2025 seeded rng for simulations and tests");
  hash.update(material);
  stream_ = hash.output();
}

}  // namespace quicmesh
