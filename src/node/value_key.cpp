// The text of ValueKey (quicmesh/dht.hpp).
#include <string>

#include "base/hex.hpp"
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

}  // namespace quicmesh
