// Hexadecimal, digit by digit.
#include "base/hex.hpp"

#include <optional>

#include "base/base_errc.hpp"

namespace quicmesh {
namespace {

std::optional<std::uint8_t> digit_of(char character) {
  if (character >= '0' && character <= '9') return static_cast<std::uint8_t>(character - '0');
  if (character >= 'a' && character <= 'f') return static_cast<std::uint8_t>(character - 'a' + 10);
  if (character >= 'A' && character <= 'F') return static_cast<std::uint8_t>(character - 'A' + 10);
  return std::nullopt;
}

}  // namespace

std::string to_hex(ByteView bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  text.reserve(2 * bytes.size());
  for (const std::uint8_t byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Result<Bytes> from_hex(std::string_view text) {
  Bytes bytes(text.size() / 2);
  if (const auto read = from_hex(text, bytes); !read) return failure(read.error());
  return bytes;
}

Result<void> from_hex(std::string_view text, MutableByteView out) {
  if (text.size() != 2 * out.size()) return failure(BaseErrc::malformed_hex);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto high = digit_of(text[2 * i]);
    const auto low = digit_of(text[2 * i + 1]);
    if (!high || !low) return failure(BaseErrc::malformed_hex);
    out[i] = static_cast<std::uint8_t>(*high << 4 | *low);
  }
  return {};
}

}  // namespace quicmesh
