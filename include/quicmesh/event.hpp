// What a node tells about itself, its peers and their paths: the input of logs, status lines and
// `quicmesh up`. Nothing needs to be read for the node to work.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <variant>
#include <vector>

#include "quicmesh/nat_report.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// How a gateway was asked to map a port.
enum class PortMappingProtocol : std::uint8_t { nat_pmp, upnp_igd };

namespace event {

/// A connection to `peer` stands; both sides are proved.
struct PeerUp {
  NodeId peer;
  SocketAddress remote;  // the relay's if there is one
  bool dialled_by_us = false;
  std::optional<NodeId> relay;
  bool over_turn = false;  // `remote` is then the peer as a TURN server of ours sees it
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
  SocketAddress from;  // the relay's if there is one
  SocketAddress to;
  Duration rtt{};
  Duration stall{};
  std::optional<NodeId> from_relay;
  std::optional<NodeId> to_relay;
  bool from_turn = false;
  bool to_turn = false;
};

/// This node can be reached over `relay`, which sees it at `observed`.
struct RelayUp {
  NodeId relay;
  SocketAddress observed;
  bool over_tls = false;  // TLS over TCP, since UDP did not answer
};

/// The relay is lost, or was never reached; it is tried again.
struct RelayDown {
  NodeId relay;
  std::error_code error;
  std::string tried;  // each way that was tried in vain, and why; may be empty
};

/// What the NAT in front of this node does was found out, for the first time or again.
struct NatDetected {
  NatReport report;
};

/// Hole punching with `peer`, beyond ordinary probes, has ended. After a failure it is tried again
/// when `back_off` is over, or something changes.
struct PunchOver {
  NodeId peer;
  std::string technique;  // synchronised, predict, birthday
  std::string outcome;    // direct, or why not
  unsigned probes = 0;    // sent by this side
  unsigned rounds = 0;
  Duration duration{};
  Duration back_off{};
};

/// The machine's network has changed, or the program said so: an address, an interface or a route.
/// All paths are probed, and connections go on over those that answer.
struct NetworkChanged {
  /// Where this node is reached on the machine's own networks now. An address of Config::listen
  /// that is not among them has left the machine; its socket waits until it comes back.
  std::vector<SocketAddress> addresses;
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

/// The TURN server relays for this node, at `relayed`. Nodes with an account at the same server
/// reach this one there, by that address.
struct TurnUp {
  SocketAddress server;
  SocketAddress relayed;
};

/// It does not, or no longer; it is asked again.
struct TurnDown {
  SocketAddress server;
  std::error_code error;
};

/// The gateway of this network forwards `external` to this node for `lifetime`; it is renewed.
struct PortMapped {
  PortMappingProtocol protocol{};
  SocketAddress external;
  std::uint16_t port = 0;  // of this node
  Duration lifetime{};
};

/// The gateway maps no port for this node, by either protocol, or does so no longer. The node goes
/// on; it is asked again now and then.
struct PortMappingFailed {
  std::error_code error;
  std::optional<IpAddress> external;  // what the gateway said, behind a second NAT
};

}  // namespace event

using Event =
    std::variant<event::PeerUp, event::PeerDown, event::PeerUnreachable, event::HandshakeRefused,
                 event::PathChanged, event::PathRefused, event::HandlerFailed, event::RelayUp,
                 event::RelayDown, event::NatDetected, event::PunchOver, event::NetworkChanged,
                 event::PortMapped, event::PortMappingFailed, event::TurnUp, event::TurnDown>;

}  // namespace quicmesh
