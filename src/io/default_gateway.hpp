// The router of this machine's IPv4 default route, from /proc/net/route.
#pragma once

#include <optional>
#include <string_view>

#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

struct DefaultGateway {
  IpAddress router;
  IpAddress self;  // this machine, as the router sees it

  auto operator<=>(const DefaultGateway&) const = default;
};

/// The router of the default route with the least metric in the text of /proc/net/route; nothing if
/// there is none, or it leads out without a router (a point-to-point link).
std::optional<IpAddress> parse_default_router(std::string_view route_table);

std::optional<DefaultGateway> find_default_gateway();

}  // namespace quicmesh::io
