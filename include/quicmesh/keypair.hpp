// Keypair: the secret that makes a node the one it is.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/public_key.hpp"

namespace quicmesh {

class Ed25519Secret;
class SecureRng;

/// An Ed25519 key pair (RFC 8032). It moves but does not copy; the secret stays in one place in
/// memory and is wiped with its owner. A moved-from pair may only be destroyed or assigned to.
class Keypair {
 public:
  /// From the operating system's randomness.
  static Keypair generate();
  static Keypair generate(SecureRng& rng);

  /// The pair of a 32-byte secret. The caller wipes its own copy of `seed`.
  static Keypair from_seed(const std::array<std::uint8_t, 32>& seed);

  ~Keypair();
  Keypair(Keypair&& other) noexcept;
  Keypair& operator=(Keypair&& other) noexcept;

  [[nodiscard]] const PublicKey& public_key() const { return public_key_; }
  [[nodiscard]] const NodeId& node_id() const { return node_id_; }

  /// Signs `message` as it is. Protocols sign through identity/signed_record.hpp, which keeps a
  /// signature made for one purpose from being good for another.
  [[nodiscard]] Signature sign(ByteView message) const;

  /// The secret, to store it or to hand it to TLS; valid as long as this pair is.
  [[nodiscard]] std::span<const std::uint8_t, 32> seed() const;

 private:
  explicit Keypair(std::unique_ptr<Ed25519Secret> secret);

  std::unique_ptr<Ed25519Secret> secret_;
  PublicKey public_key_;
  NodeId node_id_;
};

/// Whether `signature` is one of `message` by the holder of `key`.
[[nodiscard]] bool verify(const PublicKey& key, ByteView message, const Signature& signature);

}  // namespace quicmesh
