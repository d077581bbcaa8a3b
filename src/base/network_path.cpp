// The hash of a path, for tables of paths, and when two of them are one.
#include "base/network_path.hpp"

#include "base/hash.hpp"

bool quicmesh::same_path(const NetworkPath& a, const NetworkPath& b) {
  return a.socket == b.socket && a.remote == b.remote &&
         (a.local == b.local || a.local.is_unspecified() || b.local.is_unspecified());
}

std::size_t std::hash<quicmesh::NetworkPath>::operator()(
    const quicmesh::NetworkPath& path) const noexcept {
  std::uint64_t state = static_cast<std::uint64_t>(path.socket);
  state = quicmesh::hash_combine(state, std::hash<quicmesh::IpAddress>{}(path.local));
  state = quicmesh::hash_combine(state, std::hash<quicmesh::SocketAddress>{}(path.remote));
  return static_cast<std::size_t>(state);
}
