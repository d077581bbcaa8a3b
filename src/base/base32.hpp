// Base32 text of byte strings: the alphabet of RFC 4648 s6 in lower case, without padding.
//
// Reading is strict, so that one byte string has one text up to case: lengths that no byte string
// has, and left-over bits that are not zero, are refused (RFC 4648 s3.5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// Characters that `size_bytes` bytes become.
constexpr std::size_t base32_size(std::size_t size_bytes) {
  return (size_bytes * 8 + 4) / 5;
}

/// The character of a symbol in [0, 32), and back (either case; nothing for other characters).
[[nodiscard]] char base32_character(std::uint8_t symbol);
[[nodiscard]] std::optional<std::uint8_t> base32_symbol(char character);

[[nodiscard]] std::string to_base32(ByteView bytes);

/// The bytes of `text`; `malformed_base32` for anything that `to_base32` does not write.
[[nodiscard]] Result<Bytes> from_base32(std::string_view text);

}  // namespace quicmesh
