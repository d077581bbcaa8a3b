// What a NodeCore reports to its driver: the connection manager's events, and the node's own.
#pragma once

#include <variant>
#include <vector>

#include "nat/nat_discovery.hpp"
#include "nat/punch_event.hpp"
#include "node/turn_user.hpp"
#include "path/path_event.hpp"
#include "relay/relay_client.hpp"

namespace quicmesh {

/// `begin_close` has come to its end: everything was flushed, or the time for it is over.
struct NodeClosed {
  std::size_t bytes_lost = 0;  // written, and not acknowledged by then
};

/// The network has changed; whatever was in use is asked whether it still works.
struct NetworkChanged {
  std::vector<SocketAddress> addresses;  // where this node is reached on its own networks
};

using NodeEvent =
    std::variant<PeerConnected, PeerDisconnected, PeerUnreachable, HandshakeRefused,
                 PeerPathChanged, PeerPathRefused, RelayUp, RelayDown, NatDiscovered, PunchEnded,
                 NetworkChanged, TurnServerUp, TurnServerDown, PeerStreamOpened, PeerStreamData,
                 PeerStreamWritable, PeerStreamReset, PeerStreamStopped, PeerStreamFinished,
                 PeerStreamLost, PeerStreamsAvailable, PeerDatagram, NodeClosed>;

}  // namespace quicmesh
