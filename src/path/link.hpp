// What the connection manager knows of one QUIC connection: its paths, their health, its streams'
// first bytes. Internal to src/path.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "path/path_allowance.hpp"
#include "path/path_event.hpp"
#include "path/path_prober.hpp"
#include "path/path_table.hpp"
#include "path/path_watch.hpp"
#include "path/probe_frame.hpp"
#include "quic/quic_event.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh {

struct Link {
  Link(ConnectionHandle handle_in, Rng rng) : handle(handle_in), prober(rng) {}

  ConnectionHandle handle;
  bool dialler = false;
  bool proved = false;  // of a dialler: the peer is, and takes what we send
  bool confirmed = false;
  bool candidates_told = false;
  std::optional<NodeId> peer;  // whom we dialled, or who was proved

  std::optional<SocketAddress> remote;  // as counted by the connection manager

  /// Where TURN servers relay for the peer, as it last told: paths to there are relayed ones.
  std::vector<SocketAddress> relayed_remotes;
  [[nodiscard]] bool is_over_relay(const NetworkPath& path) const {
    return is_relayed(path) ||
           std::ranges::find(relayed_remotes, path.remote) != relayed_remotes.end();
  }
  /// Whoever keeps to relays sends to no address that the peer names, whatever it calls it.
  [[nodiscard]] bool counts_as_relayed(const NetworkPath& path, PathPolicy policy) const {
    return policy == PathPolicy::relay_only ? is_relayed(path) : is_over_relay(path);
  }

  NetworkPath confirmed_on;  // where the handshake was; set when the link is confirmed
  PathTable table;
  PathAllowance allowance;  // of paths that the peer brought up
  PathAllowance tellings;   // of messages that name paths: each costs a look at all of them
  PathWatch watch;
  PathProber prober;

  // For frames beside QUIC; set when the link is confirmed.
  ProbeKey probe_key{};
  LinkTag tag_here{};   // in frames that come to us
  LinkTag tag_there{};  // in frames that we send

  /// The acceptor asks to be moved to this path until packets come from there.
  struct Hint {
    NetworkPath path;
    std::uint64_t nonce = 0;
    unsigned sent = 0;
    Instant due{};
  };
  std::optional<Hint> hint;

  /// The dialler's migration under way, so that a repeated hint does not start it again.
  std::optional<NetworkPath> moving_to;
  MoveReason moving_because;
  /// While the connection is being moved off a silent path: when the silence began, for the report.
  std::optional<Instant> silent_since;
  /// The dialler's source on the path in use before the network changed, until a probe is answered.
  std::optional<IpAddress> former_source;
  unsigned restarts = 0;      // of the path in use, during the present silence
  bool silence_told = false;  // PeerSilent

  /// The dialler's question to an address that may be its acceptor behind a rebound NAT.
  struct Rebound {
    NetworkPath path;
    std::uint64_t nonce = 0;
    Instant asked_at{};
  };
  std::optional<Rebound> rebound;
  Instant armed = never;  // the deadline known to the timer heap

  /// Simultaneous dials: this link is to end once both sides have stopped opening streams on it.
  bool retiring_here = false;   // we open no more streams on it
  bool retiring_there = false;  // the peer has sent `retire`

  std::map<StreamId, Bytes> unnamed;       // the peer's streams whose header is not complete
  std::set<StreamId> streams;              // named, alive, the application's
  std::optional<StreamId> control_stream;  // ours, once there was something to say
  std::map<StreamId, Bytes> control_in;    // the peer's, with the beginning of its next message
  bool drained_sent = false;               // we have sent `retire`
};

}  // namespace quicmesh
