// A node as a client of relays: the relay client's core, its control streams over the node's own
// connections, and the relayed paths beneath other connections.
//
// `connectivity` sees each session as a path (relayed_path.hpp); here its datagrams get their
// header and leave towards the relay, and lose it when they come.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "node/local_endpoint.hpp"
#include "node/relay_inbox.hpp"
#include "node/relay_tunnels.hpp"
#include "path/connectivity.hpp"
#include "relay/relay_client.hpp"

namespace quicmesh {

class RelayUser {
 public:
  RelayUser(const NodeId& self, Rng rng) : client_(self, rng), tunnels_(rng.fork("tunnels")) {}

  [[nodiscard]] RelayClient& client() { return client_; }
  [[nodiscard]] const RelayClient& client() const { return client_; }

  // Events of the connection manager. Those of streams return true if the stream is one to a relay.
  void on_connected(Instant now, Connectivity& connectivity, const NodeId& peer);
  void on_unreachable(Instant now, const PeerUnreachable& unreachable);
  void on_disconnected(const NodeId& peer);
  /// The application wants a connection to this node too, be it a relay or not.
  void keep(const NodeId& peer) { own_dials_.erase(peer); }
  void on_path_changed(Instant now, const NodeId& peer, const NetworkPath& path);
  /// After Connectivity's own: sources that are gone are left to the kernel.
  void network_changed(Instant now, const Connectivity& connectivity);
  /// Nothing comes from the peer on any path: the way to its relays may be what has ended.
  void on_silent(Instant now, const NodeId& peer);
  bool on_data(Instant now, Connectivity& connectivity, const PeerStreamData& data);
  bool on_ended(Instant now, const StreamKey& stream);
  [[nodiscard]] bool owns(const StreamKey& stream) const { return controls_.contains(stream); }

  /// The datagram in a relay frame, with its path; nothing if the frame is not for this client.
  struct Arrival {
    NetworkPath path;
    std::size_t offset = 0;  // of the datagram in the frame
  };
  std::optional<Arrival> handle_frame(Instant now, const NetworkPath& path, ByteView datagram);

  /// True if a relay with a control stream is at the far end of `path`.
  [[nodiscard]] bool is_relay(const NetworkPath& path) const;

  /// Turns a train for a relayed path into one for its relay. False if the session is over.
  bool wrap(Transmit& train, MutableByteView buffer) const;
  /// What is, or was, beneath a relayed path; nothing if that is long ago.
  struct Leg {
    NodeId relay;
    NetworkPath path;  // to the relay; empty while that is lost
  };
  [[nodiscard]] std::optional<Leg> leg_of(const NetworkPath& path) const;

  /// Tunnels for relays that are not reached by UDP: what to ask the driver for, and when.
  [[nodiscard]] RelayTunnels& tunnels() { return tunnels_; }
  [[nodiscard]] const RelayTunnels& tunnels() const { return tunnels_; }
  void on_tunnel_opened(Instant now, Connectivity& connectivity, TunnelRequestId id,
                        const NetworkPath& path);
  void on_tunnel_closed(Instant now, Connectivity& connectivity, const NetworkPath& path,
                        std::error_code error);

  /// Does what the client asks for; fills `poll_event`.
  void pump(Instant now, Connectivity& connectivity, std::span<const LocalEndpoint> endpoints);
  std::optional<RelayEvent> poll_event();

 private:
  struct Control {
    NodeId relay;
    RelayInbox inbox;
  };
  struct Session {
    NodeId relay;
    RelayRole role{};
    bool over = false;  // kept, so that a path over it can still be named
  };
  static constexpr std::size_t sessions_kept_max = 2 * RelayClient::sessions_max;

  void open(Instant now, Connectivity& connectivity, const RelayHint& relay,
            std::span<const LocalEndpoint> endpoints);
  void start_control(Instant now, Connectivity& connectivity, const NodeId& relay);
  void shut(Connectivity& connectivity, const NodeId& relay);
  void leave(Instant now, Connectivity& connectivity, const NodeId& relay);
  [[nodiscard]] std::optional<StreamKey> control_of(const NodeId& relay) const;

  void explain(RelayDown& down) const;

  RelayClient client_;
  RelayTunnels tunnels_;
  std::map<NodeId, std::error_code> dial_errors_;  // of relays that were not reached
  std::set<NodeId> opening_;                       // relays being dialled
  std::set<NodeId> own_dials_;  // relays that are connected for the sake of relaying alone
  std::map<StreamKey, Control> controls_;
  std::map<NodeId, NetworkPath> paths_;  // of relays with a control stream
  std::map<RelaySessionId, Session> sessions_;
  std::deque<RelayEvent> events_;
};

}  // namespace quicmesh
