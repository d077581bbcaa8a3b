// What STUN service the sockets of a node allow.
//
// Behaviour discovery (RFC 5780) needs two addresses with two ports each. A node that listens on
// one port of two addresses of a family gets a second port on both, for that alone.
#pragma once

#include <optional>
#include <vector>

#include "io/udp_socket.hpp"
#include "stun/stun_server.hpp"

namespace quicmesh::io {

/// Opens the further sockets and appends them to `sockets`. Nothing if there are not two addresses,
/// or no port is free on both.
std::optional<StunServerConfig> open_behaviour_discovery(std::vector<UdpSocket>& sockets);

}  // namespace quicmesh::io
