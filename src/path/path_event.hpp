// What the connection manager reports. Streams are named by the link they live on and their id.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>
#include <variant>

#include "base/network_path.hpp"
#include "path/control_message.hpp"
#include "path/stream_header.hpp"
#include "quic/quic_event.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// A stream of some connection: unique among all streams of the node.
struct StreamKey {
  ConnectionHandle connection{};
  StreamId stream{};

  auto operator<=>(const StreamKey&) const = default;
};

/// A first connection to `peer` stands; both sides are proved. A relayed path is shown as the one
/// to the relay once the event has left the node (node_core.hpp), with `relay` set.
struct PeerConnected {
  NodeId peer;
  NetworkPath path;
  bool dialled_by_us = false;
  std::optional<NodeId> relay = std::nullopt;
  bool over_turn = false;  // its remote address is then the peer's, as the TURN server sees it
};

/// `peer`, which we are dialling, is proved, a round trip before it is connected: what is sent now
/// (Connectivity::open_early_stream) arrives with the last flight of the handshake. The peer may
/// still refuse us; then PeerUnreachable follows, or nothing if the dial is given up.
struct PeerProved {
  NodeId peer;
  NetworkPath path;
  Duration rtt{};
  std::optional<NodeId> relay = std::nullopt;  // as in PeerConnected
  bool over_turn = false;
};

/// The last connection to `peer` is gone.
struct PeerDisconnected {
  NodeId peer;
  std::error_code error;
  std::string reason;
};

/// No connection came about: the error of the attempt that got furthest.
struct PeerUnreachable {
  NodeId peer;
  std::error_code error;
  std::string reason;
};

/// An incoming handshake failed: somebody with a wrong certificate, version or protocol.
struct HandshakeRefused {
  NetworkPath path;
  std::error_code error;
  std::string reason;
};

/// Why a connection moves.
enum class MoveRule : std::uint8_t {
  followed,  // the dialler came along this path, for a reason of its own
  cheaper,   // planned, for a clear gain (path_selector.hpp)
  policy,    // the policy does not allow the path that was in use
  rescue,    // the path in use fell silent, and this one answered
  hint,      // the acceptor asked for it
  asked,     // the application did
  rebound,   // the far end's NAT gave it another port
  overload,  // the relay of the path that was in use is overloaded
};

/// What the dialler knew when it chose.
struct MoveReason {
  MoveRule rule{};
  Duration cost_from{};  // of `cheaper`: as path_cost has them
  Duration cost_to{};

  auto operator<=>(const MoveReason&) const = default;
};

/// The connection to `peer` moved. `stall` is how long nothing was heard, zero for a planned move.
/// The relays are set as in PeerConnected.
struct PeerPathChanged {
  NodeId peer;
  NetworkPath from;
  NetworkPath to;
  Duration rtt{};
  Duration stall{};
  std::optional<NodeId> from_relay = std::nullopt;
  std::optional<NodeId> to_relay = std::nullopt;
  MoveReason why{};
  bool from_turn = false;
  bool to_turn = false;
};

/// The peer, who dialled, answered a probe on the path that its connection has moved to: it can be
/// reached there, whatever a single packet with a false source may have made it seem.
struct PeerPathProved {
  ConnectionHandle connection{};
  NetworkPath path;
};

/// Whoever waits hears nothing from `peer`, on no path; told once a silence.
struct PeerSilent {
  NodeId peer;
};

/// After a planned move that did not come about.
struct PeerPathRefused {
  NodeId peer;
  NetworkPath path;
};

/// The peer tells where it may be reached. Nothing is probed unless `add_paths` says so.
struct PeerCandidates {
  NodeId peer;
  CandidatesMessage told;
};

/// What the peer says about punching through the NATs between us (nat/punch_message.hpp).
struct PeerPunch {
  NodeId peer;
  Bytes body;
};

/// A path beside those that were told: the peer's authenticated probe came on it for the first
/// time, or its answer to one of `Connectivity::punch`, which proves both directions.
struct PeerPathFound {
  NodeId peer;
  NetworkPath path;
  bool answered = false;
};

struct PeerStreamOpened {
  NodeId peer;
  StreamKey stream;
  StreamHeader header;
  bool bidirectional = false;
};

/// The next bytes, in order. They count against the peer's flow control until `credit`ed.
struct PeerStreamData {
  StreamKey stream;
  Bytes data;
  bool end = false;  // nothing follows
};

struct PeerStreamWritable {
  StreamKey stream;
};

struct PeerStreamReset {
  StreamKey stream;
  std::uint64_t code = 0;
};

/// The peer wants no more of what we write; noticed at a write.
struct PeerStreamStopped {
  StreamKey stream;
};

/// Both directions are over, everything was acknowledged and credited; the key is gone.
struct PeerStreamFinished {
  StreamKey stream;
};

/// The connection beneath the stream ended.
struct PeerStreamLost {
  StreamKey stream;
  std::error_code error;
};

/// More streams may be opened to `peer` after a stream_limit.
struct PeerStreamsAvailable {
  NodeId peer;
};

/// `flow` is the stream that names the flow's protocol (StreamKind::datagram_flow).
struct PeerDatagram {
  NodeId peer;
  StreamKey flow;
  Bytes data;
};

using PathEvent =
    std::variant<PeerConnected, PeerProved, PeerDisconnected, PeerUnreachable, HandshakeRefused,
                 PeerPathChanged, PeerSilent, PeerPathRefused, PeerCandidates, PeerPunch,
                 PeerPathFound, PeerPathProved, PeerStreamOpened, PeerStreamData,
                 PeerStreamWritable, PeerStreamReset, PeerStreamStopped, PeerStreamFinished,
                 PeerStreamLost, PeerStreamsAvailable, PeerDatagram>;

}  // namespace quicmesh
