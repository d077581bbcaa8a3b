// NodeId: who a node is. The BLAKE3 hash of its Ed25519 public key, 32 bytes.
//
// Two texts mean the same id. The long form is 64 hexadecimal digits. The short form is 58
// characters: the 32 bytes in base32 (RFC 4648 alphabet, lower case, 52 characters), then 6
// characters of checksum. The checksum is the BCH code of BIP-173 over 5-bit symbols, with the
// final constant of BIP-350: it finds every error in up to four characters, so every single wrong
// character and every transposition of two neighbours, and misses any other error once in 2^30.
//
// Departure from BIP-173: our base32 alphabet and no human-readable prefix. Hashing a key is no
// defence against Sybils: keys, and so ids, cost nothing.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "quicmesh/public_key.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

struct NodeId {
  static constexpr std::size_t size = 32;
  static constexpr std::size_t short_form_size = 58;
  std::array<std::uint8_t, size> bytes{};

  /// The id of the holder of `key`.
  static NodeId of(const PublicKey& key);

  /// Either form, in either case. `IdentityErrc::malformed_node_id` for anything that is neither,
  /// `node_id_checksum` for a short form with a typing error.
  static Result<NodeId> parse(std::string_view text);

  [[nodiscard]] std::string to_hex() const;
  [[nodiscard]] std::string to_short_string() const;
  /// The first 10 characters of the short form, for logs: 50 bits, never an identity.
  [[nodiscard]] std::string prefix() const;

  auto operator<=>(const NodeId&) const = default;
};

}  // namespace quicmesh

template <>
struct std::hash<quicmesh::NodeId> {
  std::size_t operator()(const quicmesh::NodeId& id) const noexcept;
};
