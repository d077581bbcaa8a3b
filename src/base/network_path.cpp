// The hash of a path, for tables of paths.
#include "base/network_path.hpp"

#include "base/hash.hpp"

std::size_t std::hash<quicmesh::NetworkPath>::operator()(
    const quicmesh::NetworkPath& path) const noexcept {
  std::uint64_t state = static_cast<std::uint64_t>(path.socket);
  state = quicmesh::hash_combine(state, std::hash<quicmesh::IpAddress>{}(path.local));
  state = quicmesh::hash_combine(state, std::hash<quicmesh::SocketAddress>{}(path.remote));
  return static_cast<std::size_t>(state);
}
