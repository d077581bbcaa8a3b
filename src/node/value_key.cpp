// The text of ValueKey and ContentKey (quicmesh/dht.hpp).
#include <string>

#include "base/hex.hpp"
#include "crypto/blake3.hpp"
#include "quicmesh/dht.hpp"

namespace quicmesh {
namespace {

constexpr std::string_view immutable_prefix = "immutable:";
constexpr std::string_view signed_prefix = "signed:";

}  // namespace

std::optional<ValueKey> ValueKey::parse(std::string_view text) {
  ValueKey key;
  if (text.starts_with(immutable_prefix)) {
    text.remove_prefix(immutable_prefix.size());
  } else if (text.starts_with(signed_prefix)) {
    key.kind = Kind::signed_value;
    text.remove_prefix(signed_prefix.size());
  } else {
    return std::nullopt;
  }
  if (!from_hex(text, key.bytes)) return std::nullopt;
  return key;
}

std::string ValueKey::to_string() const {
  const std::string_view prefix = kind == Kind::immutable ? immutable_prefix : signed_prefix;
  return std::string(prefix) + to_hex(bytes);
}

ContentKey ContentKey::of(ByteView content) {
  return {blake3(content)};
}

std::optional<ContentKey> ContentKey::parse(std::string_view text) {
  ContentKey key;
  if (!from_hex(text, key.bytes)) return std::nullopt;
  return key;
}

std::string ContentKey::to_string() const {
  return to_hex(bytes);
}

}  // namespace quicmesh
