// Ed25519 signatures (RFC 8032), by libsodium.
//
// Verification is libsodium's strict one: it refuses signatures whose scalar is not reduced (RFC
// 8032 s5.1.7, so that nobody can make a second signature of the same message) and public keys or
// commitments of small order, for which one signature fits many messages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "quicmesh/bytes.hpp"
#include "quicmesh/public_key.hpp"

namespace quicmesh {

using Ed25519Seed = std::array<std::uint8_t, 32>;

/// A secret key. It moves but never copies, and is wiped where it is left or destroyed.
class Ed25519Secret {
 public:
  /// RFC 8032 s5.1.5: key pair of a 32-byte secret. The caller wipes its own copy of `seed`.
  static Ed25519Secret from_seed(const Ed25519Seed& seed);

  ~Ed25519Secret();
  Ed25519Secret(Ed25519Secret&& other) noexcept;
  Ed25519Secret& operator=(Ed25519Secret&& other) noexcept;
  Ed25519Secret(const Ed25519Secret&) = delete;
  Ed25519Secret& operator=(const Ed25519Secret&) = delete;

  [[nodiscard]] PublicKey public_key() const;
  [[nodiscard]] Signature sign(ByteView message) const;

  /// The 32 secret bytes, for storing them; valid as long as this object is.
  [[nodiscard]] std::span<const std::uint8_t, 32> seed() const;

 private:
  Ed25519Secret() = default;

  std::array<std::uint8_t, 64> seed_and_public_{};  // libsodium's layout
};

[[nodiscard]] bool ed25519_verify(const PublicKey& key, ByteView message,
                                  const Signature& signature);

/// Whether `key` is a canonical encoding of a point in the prime-order group, which every honestly
/// made key is. Others have no owner: anybody can sign for a point of small order.
[[nodiscard]] bool ed25519_is_valid(const PublicKey& key);

}  // namespace quicmesh
