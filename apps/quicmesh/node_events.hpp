// The events of a node as JSON, as `quicmesh up` prints them.
#pragma once

#include <vector>

#include <boost/json/object.hpp>

#include "quicmesh/event.hpp"

namespace quicmesh::cli {

/// One object, or two for a path change after a silence (`path_changed`, `path_resumed`).
[[nodiscard]] std::vector<boost::json::object> to_json(const Event& event);

/// The path over which a peer is reached; relays are not part of this version.
inline constexpr const char* direct_path = "direct";

}  // namespace quicmesh::cli
