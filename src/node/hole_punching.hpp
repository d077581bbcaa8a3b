// When this node punches, and with whom: the glue between what is known of peers and the puncher.
//
// A punch begins when a connection runs over a relay, both NAT profiles are known, and the plan of
// both (nat/punch_plan.hpp) needs more than ordinary probes. Whoever learns that last begins; the
// other end follows its first message. After a failure it is tried again when the puncher's
// back-off is over, and at once when something changes: the peer's candidates, this node's own
// profile.
//
// A socket that a punch has opened stays with the peer until the connection is gone.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "nat/puncher.hpp"
#include "node/local_endpoint.hpp"
#include "path/connectivity.hpp"

namespace quicmesh {

class HolePunching {
 public:
  static constexpr std::size_t peers_max = 1024;  // whose profiles are kept; one more is not
  static constexpr unsigned attests_max = 8;      // asked for a peer while it is connected
  static constexpr Duration retry_interval = 5s;  // where too many punches are under way

  /// `strangers` outlives the object: it bounds what all probes of the node add up to.
  HolePunching(const NodeId& self, SecureRng& secure_rng, Rng rng, StrangerAllowance& strangers)
      : self_(self), puncher_(secure_rng, rng, strangers) {}

  /// What this side knows of itself.
  struct Own {
    std::optional<NatProfile> profile;
    std::optional<SocketAddress> external;  // as told to peers
    SocketId socket{};                      // of which it is: the one towards the relay
    std::vector<SocketAddress> stun_servers;
  };
  void set_own(Own own) { own_ = std::move(own); }

  /// What the peer has told: `path` leads from the main socket to its external address.
  struct Peer {
    NatProfile profile;
    NetworkPath path;
    CandidatesMessage told;
  };
  /// The path to a peer's `external` address from the socket whose own one was told.
  [[nodiscard]] std::optional<NetworkPath> main_path(
      const SocketAddress& external, std::span<const LocalEndpoint> endpoints) const;
  /// Whether the peer has not told just this before.
  [[nodiscard]] bool is_news(const NodeId& id, const CandidatesMessage& told) const;
  void set_peer(const NodeId& id, Peer peer);
  /// Whether a relay sees the peer at `ip`. It is waited for where a stranger's allowance is too
  /// little, which a birthday needs `seen`.
  void on_attested(const NodeId& id, const IpAddress& ip, bool seen);
  /// Whether the relays may be asked about it once more; each time counts.
  [[nodiscard]] bool may_ask(const NodeId& id);
  /// It sees it where the peer says it is.
  [[nodiscard]] bool is_attested(const NodeId& id) const;
  void forget(Instant now, const NodeId& id);

  /// Begins what can be begun with `id`, whose connection is relayed.
  void consider(Instant now, const Connectivity& connectivity, const NodeId& id);
  /// The same for all peers that are waiting: something has changed for the better.
  void consider_all(Instant now, const Connectivity& connectivity);
  void network_changed() { puncher_.forget_back_offs(); }

  void on_message(Instant now, const Connectivity& connectivity, const PeerPunch& message);
  void on_path_found(Instant now, const Connectivity& connectivity, const PeerPathFound& found);
  /// The connection has moved to `path`, or was made there.
  void on_path_changed(Instant now, const Connectivity& connectivity, const NodeId& id,
                       const NetworkPath& path);

  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local) {
    puncher_.handle_socket_opened(now, id, socket, local);
  }
  void handle_socket_failed(Instant now, SocketRequestId id) {
    puncher_.handle_socket_failed(now, id);
  }
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram) {
    return puncher_.handle_datagram(now, path, ecn, datagram);
  }
  void handle_timeout(Instant now, const Connectivity& connectivity);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) {
    return puncher_.poll_transmit(now, buffer);
  }
  /// As the puncher's, but for the sockets of `PunchEnded`, which are kept here.
  std::optional<PuncherEvent> poll_event(Instant now);
  [[nodiscard]] Instant poll_timeout() const;

  [[nodiscard]] const Puncher& puncher() const { return puncher_; }
  /// Profiles for which there was no room.
  [[nodiscard]] std::uint64_t peers_refused() const { return peers_refused_; }
  /// The plan with a peer that has told its profile.
  [[nodiscard]] std::optional<PunchPlan> plan_with(const NodeId& id) const;
  /// What the peer has told of its NAT; null if nothing.
  [[nodiscard]] const NatProfile* profile_of(const NodeId& id) const;

 private:
  struct Entry {
    Peer peer;
    unsigned attests = 0;
    bool attest_answered = false;
    std::optional<IpAddress> attested;
    std::optional<Bytes> unheard;  // the peer's last message, if this side could not begin yet
    std::optional<SocketId> adopted;
    Instant again = never;  // when to try once more
  };

  void give_back(Entry& entry);
  void plan_retry(Entry& entry, Instant at);

  NodeId self_;
  Puncher puncher_;
  Own own_;
  std::map<NodeId, Entry> peers_;
  std::uint64_t peers_refused_ = 0;
  Instant next_retry_ = never;  // not later than the earliest of `peers_`
  std::vector<SocketId> to_close_;
};

}  // namespace quicmesh
