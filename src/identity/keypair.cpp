// The pair, its public half computed once.
#include "quicmesh/keypair.hpp"

#include "base/assert.hpp"
#include "crypto/constant_time.hpp"
#include "crypto/ed25519.hpp"
#include "crypto/system_rng.hpp"

namespace quicmesh {

Keypair Keypair::generate() {
  SystemRng rng;
  return generate(rng);
}

Keypair Keypair::generate(SecureRng& rng) {
  Ed25519Seed seed;
  rng.fill(seed);
  Keypair pair = from_seed(seed);
  secure_wipe(seed);
  return pair;
}

Keypair Keypair::from_seed(const std::array<std::uint8_t, 32>& seed) {
  return Keypair(std::make_unique<Ed25519Secret>(Ed25519Secret::from_seed(seed)));
}

Keypair::Keypair(std::unique_ptr<Ed25519Secret> secret)
    : secret_(std::move(secret)),
      public_key_(secret_->public_key()),
      node_id_(NodeId::of(public_key_)) {}

Keypair::~Keypair() = default;
Keypair::Keypair(Keypair&& other) noexcept = default;
Keypair& Keypair::operator=(Keypair&& other) noexcept = default;

Signature Keypair::sign(ByteView message) const {
  QM_ASSERT(secret_ != nullptr);
  return secret_->sign(message);
}

std::span<const std::uint8_t, 32> Keypair::seed() const {
  QM_ASSERT(secret_ != nullptr);
  return secret_->seed();
}

bool verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return ed25519_verify(key, message, signature);
}

}  // namespace quicmesh
