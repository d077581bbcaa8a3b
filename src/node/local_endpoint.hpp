// Where a node sends from and is reached: what a driver tells its core of sockets and interfaces.
#pragma once

#include <span>
#include <vector>

#include "base/network_path.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

struct LocalEndpoint {
  SocketId socket{};
  IpAddress source;       // to send from; unspecified where the kernel may choose
  SocketAddress address;  // as others on the same network reach it

  auto operator<=>(const LocalEndpoint&) const = default;
};

/// The ways from here to `remote`: one for each socket and source of its family, none twice.
std::vector<NetworkPath> paths_to(const SocketAddress& remote,
                                  std::span<const LocalEndpoint> endpoints);

}  // namespace quicmesh
