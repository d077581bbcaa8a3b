// The events of a node as JSON, as `quicmesh up` prints them.
#pragma once

#include <optional>
#include <vector>

#include <boost/json/object.hpp>

#include "quicmesh/event.hpp"

namespace quicmesh::cli {

/// One object, or two for a path change after a silence (`path_changed`, `path_resumed`).
[[nodiscard]] std::vector<boost::json::object> to_json(const Event& event);

/// `direct` or `relayed`, for a path over `relay`, a TURN server, or neither.
[[nodiscard]] const char* path_name(const std::optional<NodeId>& relay, bool over_turn);
/// How the relay is reached: `udp`, or `tls` for TLS over TCP.
[[nodiscard]] const char* leg_name(bool over_tls);
/// The relay's NodeId in hex, or null.
[[nodiscard]] boost::json::value relay_value(const std::optional<NodeId>& relay);

}  // namespace quicmesh::cli
