// A thin wrapper of crypto_sign_ed25519; what it adds is the wiping.
#include "crypto/ed25519.hpp"

#include <sodium.h>

#include <algorithm>

#include "base/assert.hpp"
#include "crypto/constant_time.hpp"

namespace quicmesh {

static_assert(crypto_sign_ed25519_SEEDBYTES == 32);
static_assert(crypto_sign_ed25519_SECRETKEYBYTES == 64);
static_assert(crypto_sign_ed25519_PUBLICKEYBYTES == PublicKey::size);
static_assert(crypto_sign_ed25519_BYTES == Signature::size);

Ed25519Secret Ed25519Secret::from_seed(const Ed25519Seed& seed) {
  Ed25519Secret secret;
  PublicKey derived;  // also the second half of the secret key
  const int status = crypto_sign_ed25519_seed_keypair(derived.bytes.data(),
                                                      secret.seed_and_public_.data(), seed.data());
  QM_ASSERT(status == 0);
  return secret;
}

Ed25519Secret::~Ed25519Secret() {
  secure_wipe(seed_and_public_);
}

Ed25519Secret::Ed25519Secret(Ed25519Secret&& other) noexcept
    : seed_and_public_(other.seed_and_public_) {
  secure_wipe(other.seed_and_public_);
}

Ed25519Secret& Ed25519Secret::operator=(Ed25519Secret&& other) noexcept {
  if (this != &other) {
    seed_and_public_ = other.seed_and_public_;
    secure_wipe(other.seed_and_public_);
  }
  return *this;
}

PublicKey Ed25519Secret::public_key() const {
  PublicKey key;
  std::copy_n(seed_and_public_.begin() + 32, PublicKey::size, key.bytes.begin());
  return key;
}

Signature Ed25519Secret::sign(ByteView message) const {
  Signature signature;
  const int status = crypto_sign_ed25519_detached(signature.bytes.data(), nullptr, message.data(),
                                                  message.size(), seed_and_public_.data());
  QM_ASSERT(status == 0);
  return signature;
}

std::span<const std::uint8_t, 32> Ed25519Secret::seed() const {
  return std::span(seed_and_public_).first<32>();
}

bool ed25519_verify(const PublicKey& key, ByteView message, const Signature& signature) {
  return crypto_sign_ed25519_verify_detached(signature.bytes.data(), message.data(), message.size(),
                                             key.bytes.data()) == 0;
}

bool ed25519_is_valid(const PublicKey& key) {
  return crypto_core_ed25519_is_valid_point(key.bytes.data()) == 1;
}

}  // namespace quicmesh
