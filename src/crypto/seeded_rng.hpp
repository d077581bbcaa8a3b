// SecureRng that replays from a seed, for simulations and tests only: whoever knows the seed knows
// every key made from it.
//
// Source: BLAKE3's extendable output as a stream; the seed and a name are the key material.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/rng.hpp"
#include "crypto/blake3.hpp"

namespace quicmesh {

class SeededRng final : public SecureRng {
 public:
  /// Different names give unrelated streams of one seed (one per node, say).
  explicit SeededRng(std::uint64_t seed, std::string_view name = {});

  void fill(MutableByteView out) override { stream_.fill(out); }

 private:
  Blake3Output stream_;
};

}  // namespace quicmesh
