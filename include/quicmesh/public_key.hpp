// Ed25519 public keys and signatures as plain values (RFC 8032).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>

namespace quicmesh {

struct PublicKey {
  static constexpr std::size_t size = 32;
  std::array<std::uint8_t, size> bytes{};

  auto operator<=>(const PublicKey&) const = default;
};

struct Signature {
  static constexpr std::size_t size = 64;
  std::array<std::uint8_t, size> bytes{};

  auto operator<=>(const Signature&) const = default;
};

}  // namespace quicmesh
