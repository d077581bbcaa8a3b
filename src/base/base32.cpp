// Base32: bits are shifted through an accumulator, five at a time.
#include "base/base32.hpp"

#include "base/assert.hpp"
#include "base/base_errc.hpp"

namespace quicmesh {

char base32_character(std::uint8_t symbol) {
  static constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz234567";
  QM_ASSERT(symbol < alphabet.size());
  return alphabet[symbol];
}

std::optional<std::uint8_t> base32_symbol(char character) {
  if (character >= 'a' && character <= 'z') return static_cast<std::uint8_t>(character - 'a');
  if (character >= 'A' && character <= 'Z') return static_cast<std::uint8_t>(character - 'A');
  if (character >= '2' && character <= '7') return static_cast<std::uint8_t>(character - '2' + 26);
  return std::nullopt;
}

std::string to_base32(ByteView bytes) {
  std::string text;
  text.reserve(base32_size(bytes.size()));
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (const std::uint8_t byte : bytes) {
    pending = pending << 8 | byte;
    pending_bits += 8;
    while (pending_bits >= 5) {
      pending_bits -= 5;
      text += base32_character(static_cast<std::uint8_t>(pending >> pending_bits & 31));
    }
  }
  if (pending_bits > 0) {
    text += base32_character(static_cast<std::uint8_t>(pending << (5 - pending_bits) & 31));
  }
  return text;
}

Result<Bytes> from_base32(std::string_view text) {
  const std::size_t size = text.size() * 5 / 8;
  if (base32_size(size) != text.size()) return failure(BaseErrc::malformed_base32);
  Bytes bytes;
  bytes.reserve(size);
  std::uint32_t pending = 0;
  unsigned pending_bits = 0;
  for (const char character : text) {
    const auto symbol = base32_symbol(character);
    if (!symbol) return failure(BaseErrc::malformed_base32);
    pending = pending << 5 | *symbol;
    pending_bits += 5;
    if (pending_bits >= 8) {
      pending_bits -= 8;
      bytes.push_back(static_cast<std::uint8_t>(pending >> pending_bits));
    }
  }
  const std::uint32_t left_over = pending & ((1U << pending_bits) - 1);
  if (left_over != 0) return failure(BaseErrc::malformed_base32);
  return bytes;
}

}  // namespace quicmesh
