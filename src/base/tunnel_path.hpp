// Tunnels as paths: a tunnel to a relay (TLS over TCP) is a socket like others to the cores, whose
// id is from a range of its own. What is sent on it reaches the one remote address of its paths.
#pragma once

#include <utility>

#include "base/network_path.hpp"

namespace quicmesh {

inline constexpr SocketId first_tunnel_socket{0x8000};
inline constexpr SocketId last_tunnel_socket{0xfffd};

/// No socket: for drivers, all tunnels of a node.
inline constexpr SocketId all_tunnels{0xfffe};

constexpr bool is_tunnel(SocketId socket) {
  return socket >= first_tunnel_socket && socket <= last_tunnel_socket;
}

constexpr bool is_tunnelled(const NetworkPath& path) {
  return is_tunnel(path.socket);
}

}  // namespace quicmesh
