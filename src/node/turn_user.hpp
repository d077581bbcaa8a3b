// A node as a client of TURN servers, for its connections: the clients' cores, and the paths over
// their allocations (base/turn_path.hpp).
//
// Falling back: when a connection stands, by whichever way, this side tells the other where it is
// relayed (CandidateKind::relayed), and lets in the public addresses that the other has told. Both
// probe, and the path stands by like any other.
//
// Being dialled: a TURN server lets in only those whose IP address its client has named, and a
// stranger has no means to be named. But the strangers that have an account at the same server come
// from its own address: so that one is let in, always. Whoever is told where this node is relayed
// dials that address from an allocation of its own there (`paths_to_fellow`).
//
// Only public IPv4 addresses of peers are let in: a peer must not make our server, in our name,
// talk to machines of the server's own network. Nor to one victim after another: new addresses are
// bounded as those of direct paths are (path/path_allowance.hpp), and what is sent there too
// (path/connectivity.hpp).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "base/laboratory_address.hpp"
#include "path/control_message.hpp"
#include "path/path_allowance.hpp"
#include "quicmesh/node_id.hpp"
#include "turn/turn_client.hpp"

namespace quicmesh {

/// A TURN server relays for this node.
struct TurnServerUp {
  SocketAddress server;
  SocketAddress relayed;
};
struct TurnServerDown {
  SocketAddress server;
  std::error_code error;
};

/// A server in use, for reports.
struct TurnServerState {
  SocketAddress server;
  std::optional<SocketAddress> relayed;
  std::error_code error;  // the last one, while it does not relay
};

class TurnUser {
 public:
  static constexpr std::size_t servers_max = 2;
  static constexpr std::size_t addresses_per_peer_max = 4;  // later ones are left out
  static constexpr std::size_t peers_max = 256;             // more get no paths over TURN

  /// `rng` outlives the user.
  explicit TurnUser(SecureRng& rng) : rng_(rng) {}

  /// Servers beyond `servers_max`, and those of IPv6, are left out.
  void start(Instant now, std::vector<TurnConfig> servers);
  /// Gives the allocations back.
  void stop(Instant now);
  /// The servers may see this node elsewhere now, or be reached again.
  void network_changed(Instant now);

  /// What a peer has told, filtered (candidate_filter.hpp): paths to be probed.
  std::vector<NetworkPath> on_candidates(Instant now, const NodeId& peer,
                                         std::span<const Candidate> usable, AddressRules rules);
  void forget(const NodeId& peer);
  /// The path fell silent: its server may be gone.
  void suspect(Instant now, const NetworkPath& path);
  /// Paths to `address`, if it is where one of our servers relays: of a node with an account there.
  /// A server that is not up yet is taken to relay at the address it is reached at.
  std::vector<NetworkPath> paths_to_fellow(Instant now, const SocketAddress& address);

  /// Where this node is relayed.
  [[nodiscard]] std::vector<SocketAddress> relayed() const;
  /// Where the servers see this node, and of which socket that is.
  struct Reflexive {
    SocketAddress address;
    SocketId socket{};
  };
  [[nodiscard]] std::vector<Reflexive> reflexive() const;
  [[nodiscard]] std::vector<TurnServerState> states() const;
  /// Of the server with this number, in the order of `start`.
  [[nodiscard]] const TurnCounters& counters(std::size_t server) const {
    return servers_.at(server).client->counters();
  }

  /// A datagram comes from one of the servers: then it is for `handle_datagram`, whatever its
  /// first byte.
  [[nodiscard]] bool is_from_server(const NetworkPath& path) const;
  /// What it brought of a peer, with its path; nothing if it was for this node.
  struct Arrival {
    NetworkPath path;
    std::size_t offset = 0;  // of the peer's datagram in the one received
    std::size_t size = 0;
  };
  std::optional<Arrival> handle_datagram(Instant now, const NetworkPath& path, ByteView datagram);

  /// Turns a train for a TURN path into one for its server. False if it cannot be sent now.
  bool wrap(Instant now, Transmit& train, MutableByteView buffer);

  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  [[nodiscard]] Instant poll_timeout() const;

  using Event = std::variant<TurnServerUp, TurnServerDown>;
  std::optional<Event> poll_event(Instant now);
  /// After a server came up: the paths over it, to be probed.
  struct NewPath {
    NodeId peer;
    NetworkPath path;
  };
  std::vector<NewPath> take_new_paths();

  /// Peers beyond `peers_max`.
  [[nodiscard]] std::uint64_t peers_refused() const { return peers_refused_; }

 private:
  struct Server {
    std::unique_ptr<TurnClient> client;
    std::optional<SocketAddress> mapped;  // this node, as the server sees it
    std::error_code error;
    bool fellows = true;  // it did not refuse to let its own address in
  };
  struct Peer {
    std::vector<SocketAddress> addresses;  // public ones, that our servers may talk to
    PathAllowance allowance;               // of new ones
  };

  void take(Instant now, std::size_t number, const TurnEvent& event);
  void let_fellows_in(Instant now);
  void release(std::span<const SocketAddress> addresses);

  SecureRng& rng_;
  std::vector<Server> servers_;  // stable: their number names them in paths
  std::map<NodeId, Peer> peers_;
  std::uint64_t peers_refused_ = 0;
  std::deque<Event> events_;  // of the clients' bounded ones
  std::vector<NewPath> new_paths_;
  bool stopped_ = false;
};

}  // namespace quicmesh
