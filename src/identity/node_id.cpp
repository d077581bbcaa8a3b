// Ids as bytes and as text; the checksum of the short form.
#include "quicmesh/node_id.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

#include "base/base32.hpp"
#include "base/hash.hpp"
#include "base/hex.hpp"
#include "crypto/blake3.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t checksum_size = 6;
constexpr std::size_t prefix_size = 10;
// BIP-350: a final constant other than 1, so that inserting characters before a trailing one cannot
// go unnoticed.
constexpr std::uint32_t final_constant = 0x2bc830a3;

static_assert(NodeId::short_form_size == base32_size(NodeId::size) + checksum_size);

/// One step of the BCH code of BIP-173: the state, a polynomial of degree 5 over GF(32), times x
/// plus `symbol`, modulo the generator.
std::uint32_t polymod_step(std::uint32_t state, std::uint8_t symbol) {
  static constexpr std::array<std::uint32_t, 5> generator{0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
                                                          0x3d4233dd, 0x2a1462b3};
  const std::uint32_t top = state >> 25;
  state = (state & 0x1ffffff) << 5 ^ symbol;
  for (std::size_t i = 0; i < generator.size(); ++i) {
    if (top >> i & 1) state ^= generator[i];
  }
  return state;
}

/// Over characters of the base32 alphabet only; nothing if there is another.
std::optional<std::uint32_t> polymod(std::string_view text) {
  std::uint32_t state = 1;
  for (const char character : text) {
    const auto symbol = base32_symbol(character);
    if (!symbol) return std::nullopt;
    state = polymod_step(state, *symbol);
  }
  return state;
}

Result<NodeId> parse_short_form(std::string_view text) {
  const auto remainder = polymod(text);
  if (!remainder) return failure(IdentityErrc::malformed_node_id);
  if (*remainder != final_constant) return failure(IdentityErrc::node_id_checksum);
  // 52 characters hold four bits more than 32 bytes, which must be zero.
  const auto bytes = from_base32(text.substr(0, text.size() - checksum_size));
  if (!bytes) return failure(IdentityErrc::malformed_node_id);
  NodeId id;
  std::ranges::copy(*bytes, id.bytes.begin());
  return id;
}

}  // namespace

NodeId NodeId::of(const PublicKey& key) {
  return {blake3(key.bytes)};
}

Result<NodeId> NodeId::parse(std::string_view text) {
  if (text.size() == short_form_size) return parse_short_form(text);
  NodeId id;
  if (!from_hex(text, id.bytes)) return failure(IdentityErrc::malformed_node_id);
  return id;
}

std::string NodeId::to_hex() const {
  return quicmesh::to_hex(bytes);
}

std::string NodeId::to_short_string() const {
  std::string text = to_base32(bytes);
  std::uint32_t state = polymod(text).value();
  for (std::size_t i = 0; i < checksum_size; ++i)
    state = polymod_step(state, 0);
  state ^= final_constant;
  for (std::size_t i = checksum_size; i > 0; --i) {
    text += base32_character(static_cast<std::uint8_t>(state >> (5 * (i - 1)) & 31));
  }
  return text;
}

std::string NodeId::prefix() const {
  return to_base32(bytes).substr(0, prefix_size);
}

}  // namespace quicmesh

std::size_t std::hash<quicmesh::NodeId>::operator()(const quicmesh::NodeId& id) const noexcept {
  std::array<std::uint64_t, 4> words{};
  std::memcpy(words.data(), id.bytes.data(), sizeof(words));
  std::uint64_t state = 0;
  for (const std::uint64_t word : words)
    state = quicmesh::hash_combine(state, word);
  return static_cast<std::size_t>(state);
}
