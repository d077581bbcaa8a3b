// Written and read without temporary strings: these would leave the secret behind in memory.
#include "identity/key_text.hpp"

#include <array>

#include "base/hex.hpp"
#include "crypto/constant_time.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::string_view magic = "quicmesh-key-";
constexpr std::string_view first_line = "quicmesh-key-v1 ed25519\n";
constexpr std::size_t hex_line = 65;

static_assert(key_text_size == first_line.size() + 2 * hex_line);

void append_hex_line(Bytes& text, ByteView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  for (const std::uint8_t byte : bytes) {
    text.push_back(static_cast<std::uint8_t>(digits[byte >> 4]));
    text.push_back(static_cast<std::uint8_t>(digits[byte & 15]));
  }
  text.push_back('\n');
}

}  // namespace

Bytes encode_key_text(const Keypair& keypair) {
  Bytes text;
  text.reserve(key_text_size);  // a reallocation would leave a copy
  text.assign(first_line.begin(), first_line.end());
  append_hex_line(text, keypair.seed());
  append_hex_line(text, keypair.public_key().bytes);
  return text;
}

Result<Keypair> parse_key_text(std::string_view text) {
  if (!text.starts_with(first_line)) {
    const bool ours = text.starts_with(magic) && text.find('\n') != std::string_view::npos;
    return failure(ours ? IdentityErrc::key_text_version : IdentityErrc::malformed_key_text);
  }
  text.remove_prefix(first_line.size());
  if (text.size() != 2 * hex_line || text[hex_line - 1] != '\n' || text.back() != '\n') {
    return failure(IdentityErrc::malformed_key_text);
  }
  PublicKey expected;
  std::array<std::uint8_t, 32> seed{};
  const bool read = from_hex(text.substr(0, hex_line - 1), seed).has_value() &&
                    from_hex(text.substr(hex_line, hex_line - 1), expected.bytes).has_value();
  auto keypair = Keypair::from_seed(seed);
  secure_wipe(seed);
  if (!read) return failure(IdentityErrc::malformed_key_text);
  if (keypair.public_key() != expected) return failure(IdentityErrc::key_text_mismatch);
  return keypair;
}

}  // namespace quicmesh
