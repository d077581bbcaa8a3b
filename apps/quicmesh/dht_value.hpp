// Keys, names and values of the DHT as the command line, the control socket and JSON events write
// them. A value is bytes: `"value"` where they are UTF-8, else `"value_b64"`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include <boost/json/object.hpp>

#include "failure.hpp"
#include "quicmesh/dht.hpp"

namespace quicmesh::cli {

/// A name under which the node itself puts values.
[[nodiscard]] Outcome<std::string> parse_value_name(const std::string& text);

/// What begins like a key is one, or an error; everything else is a name.
[[nodiscard]] Outcome<std::variant<ValueKey, std::string>> parse_key_or_name(
    const std::string& text);

void add_value(boost::json::object& object, std::string_view bytes);
/// Nothing if there is none, or one that is malformed.
[[nodiscard]] std::optional<std::string> value_in(const boost::json::object& object);

}  // namespace quicmesh::cli
