// See dht_value.hpp.
#include "dht_value.hpp"

#include <fmt/format.h>

#include "base64.hpp"
#include "dht/value.hpp"
#include "output.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::string_view how_keys_look =
    "a key is signed:HEX or immutable:HEX, as `put` prints it";

bool is_utf8(std::string_view text) {
  return valid_utf8(text) == text;
}

/// The prefix of a key that `text` has, with its colon.
std::string_view key_prefix_of(std::string_view text) {
  for (const std::string_view prefix :
       {std::string_view("signed:"), std::string_view("immutable:")})
    if (text.starts_with(prefix)) return prefix;
  return {};
}

Failure no_key(const std::string& text, std::string_view prefix) {
  return usage_failure(fmt::format("\"{}\" is no key: {} is followed by 64 hexadecimal digits",
                                   printable(text), prefix),
                       std::string(how_keys_look));
}

}  // namespace

Outcome<std::string> parse_value_name(const std::string& text) {
  if (!key_prefix_of(text).empty()) {
    return std::unexpected(
        usage_failure(fmt::format("\"{}\" is no name: it begins like a key", printable(text)),
                      "a value under its own hash is put with --immutable"));
  }
  if (text.size() > dht::salt_max) {
    return std::unexpected(usage_failure(
        fmt::format("NAME has at most {} bytes, and this one {}", dht::salt_max, text.size()),
        std::string(how_keys_look)));
  }
  if (!is_utf8(text)) {
    return std::unexpected(
        usage_failure(fmt::format("NAME \"{}\" is no UTF-8", printable(text)), "choose another"));
  }
  return text;
}

Outcome<std::variant<ValueKey, std::string>> parse_key_or_name(const std::string& text) {
  if (const auto key = ValueKey::parse(text)) return *key;
  if (const auto prefix = key_prefix_of(text); !prefix.empty())
    return std::unexpected(no_key(text, prefix));
  auto name = parse_value_name(text);
  if (!name) return std::unexpected(name.error());
  return std::move(*name);
}

void add_value(boost::json::object& object, std::string_view bytes) {
  if (is_utf8(bytes)) {
    object["value"] = bytes;
  } else {
    object["value_b64"] = to_base64(bytes);
  }
}

std::optional<std::string> value_in(const boost::json::object& object) {
  if (object.contains("value")) return text_of(object, "value");
  std::string bytes;
  if (!object.contains("value_b64") || !from_base64(text_of(object, "value_b64"), bytes))
    return std::nullopt;
  return bytes;
}

}  // namespace quicmesh::cli
