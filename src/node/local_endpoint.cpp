#include "node/local_endpoint.hpp"

#include <algorithm>

namespace quicmesh {

std::vector<NetworkPath> paths_to(const SocketAddress& remote,
                                  std::span<const LocalEndpoint> endpoints) {
  std::vector<NetworkPath> paths;
  for (const LocalEndpoint& endpoint : endpoints) {
    if (endpoint.address.ip.family() != remote.ip.family()) continue;
    const NetworkPath path{endpoint.socket, endpoint.source, remote};
    if (std::ranges::find(paths, path) == paths.end()) paths.push_back(path);
  }
  return paths;
}

}  // namespace quicmesh
