// A path over a TURN server of ours, as path/ and quic/ see it: like a relay session's, on the
// socket that does not exist, so that everything that prefers direct paths treats it as relayed.
// Its datagrams are wrapped for the server (node/turn_user.hpp).
//
// The remote address is fd53::/16 and never leaves this process: byte 2 is the number of the
// server, the last four and the port are the peer's IPv4 address. Only IPv4 is relayed so.
#pragma once

#include <cstddef>

#include "base/network_path.hpp"

namespace quicmesh {

NetworkPath turn_path(std::size_t server, const SocketAddress& peer);
[[nodiscard]] bool is_turn_path(const NetworkPath& path);
// Of a TURN path:
[[nodiscard]] std::size_t turn_server_of(const NetworkPath& path);
/// The peer, as the server sees it.
[[nodiscard]] SocketAddress turn_peer_of(const NetworkPath& path);

}  // namespace quicmesh
