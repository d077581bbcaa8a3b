// What a node tells about itself, its peers and their paths: the input of logs, status lines and
// `quicmesh up`. Nothing needs to be read for the node to work.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <system_error>
#include <variant>

#include "quicmesh/node_id.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

namespace event {

/// A connection to `peer` stands; both sides are proved.
struct PeerUp {
  NodeId peer;
  SocketAddress remote;
  bool dialled_by_us = false;
};

/// The connection to `peer` is gone. `reason` is the text of the side that ended it.
struct PeerDown {
  NodeId peer;
  std::error_code error;
  std::string reason;
};

/// A dial came to nothing.
struct PeerUnreachable {
  NodeId peer;
  std::error_code error;
  std::string reason;
};

/// Somebody's incoming handshake was refused.
struct HandshakeRefused {
  SocketAddress remote;
  std::error_code error;
  std::string reason;
};

/// The connection moved. `stall` is how long nothing was heard: zero for a planned move.
struct PathChanged {
  NodeId peer;
  SocketAddress from;
  SocketAddress to;
  Duration rtt{};
  Duration stall{};
};

/// A planned move did not come about; the connection stays where it was.
struct PathRefused {
  NodeId peer;
  SocketAddress remote;
};

/// A handler of this program threw. Its stream was reset, or its flow ended; the node goes on.
struct HandlerFailed {
  NodeId peer;
  std::string protocol;
  std::error_code error;  // IoErrc::handler_failed
  std::string reason;     // what() of the exception
};

}  // namespace event

using Event =
    std::variant<event::PeerUp, event::PeerDown, event::PeerUnreachable, event::HandshakeRefused,
                 event::PathChanged, event::PathRefused, event::HandlerFailed>;

}  // namespace quicmesh
