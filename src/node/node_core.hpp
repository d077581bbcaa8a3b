// NodeCore: one node without its sockets. It composes the cores and routes between them: the
// connection manager, the table of protocols that this node speaks, relays as their client
// (relay_user.hpp) and, if it is one, as a relay (relay_host.hpp). Protocols of the mesh that are
// beside the application's are its services (node_service.hpp).
//
// Dialling by NodeId: addresses that are known and sessions over relays are tried side by side.
// When a connection stands, by whichever way, both sides tell each other where they may be reached,
// probe that, and move to a better path (connectivity.hpp).
//
// It is driven like every core (base/core.hpp), by io::NodeDriver over real sockets or by sim::Host
// in virtual time, unchanged. Streams of protocols that nobody here handles are refused with
// CloseCode::unknown_protocol; the connection and its other streams go on.
//
// Closing: `begin_close` takes no new streams, waits until every byte written was acknowledged, or
// until `close_patience` is over, then says goodbye to all peers and emits NodeClosed.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/core.hpp"
#include "base/laboratory_address.hpp"
#include "node/candidate_filter.hpp"
#include "node/decision_log.hpp"
#include "node/hole_punching.hpp"
#include "node/local_endpoint.hpp"
#include "node/mapped_addresses.hpp"
#include "node/nat_watch.hpp"
#include "node/node_event.hpp"
#include "node/node_service.hpp"
#include "node/relay_host.hpp"
#include "node/relay_user.hpp"
#include "node/socket_desk.hpp"
#include "node/turn_user.hpp"
#include "path/connectivity.hpp"
#include "stun/stun_server.hpp"

namespace quicmesh {

/// What a closing node still waits for.
struct CloseWait {
  NodeId peer;
  std::size_t unacknowledged_bytes = 0;
};

class NodeCore {
 public:
  static constexpr Duration close_patience = 5s;
  static constexpr Duration close_poll = 5ms;
  static constexpr std::size_t protocols_max = 1024;

  /// `identity` and `secure_rng` outlive the node.
  static Result<std::unique_ptr<NodeCore>> create(QuicConfig config, const Keypair& identity,
                                                  SecureRng& secure_rng, Rng rng);

  /// Where this node sends from and is reached on its own networks; replaces what was known.
  void set_endpoints(Instant now, std::vector<LocalEndpoint> endpoints);
  /// The network has changed, in a way that `set_endpoints` was told of before or that only others
  /// see: all paths are probed at once, peers are told the candidates again, relays are asked
  /// whether they are there, NAT discovery begins anew, and nothing is held against a path any
  /// more. `own` are all addresses of this machine now.
  void network_changed(Instant now, std::span<const IpAddress> own);
  /// Says nothing and hears nothing until `resume`: no timers, no keep-alives. Peers notice as they
  /// notice any silence, and give up after their idle time-out.
  void suspend() { suspended_ = true; }
  /// After `suspend`, or after the machine slept: connections whose time-out is over end, the
  /// others are treated as after a change of network, and their diallers show themselves at once.
  void resume(Instant now, std::span<const IpAddress> own);
  /// What the gateway forwards to this node; replaces what was known. Peers are told of it.
  void set_mapped_addresses(Instant now, MappedAddresses mapped);
  [[nodiscard]] const MappedAddresses& mapped_addresses() const { return mapped_; }
  /// Documentation ranges count as public: for laboratories only.
  /// Before `serve_as_relay`.
  void set_address_rules(AddressRules rules);
  /// Names a relay to use as a client. Fails with RelayErrc::too_many.
  Result<void> add_relay(Instant now, const RelayHint& relay, RelayUse use = RelayUse::own);
  void remove_relay(Instant now, const NodeId& relay);
  /// Forwards for others from now on.
  void serve_as_relay(const RelayLimits& limits);
  /// TURN servers to be reached over and to fall back on; once, at most TurnUser::servers_max.
  void use_turn(Instant now, std::vector<TurnConfig> servers);
  /// Every node answers STUN requests on its sockets; with this, behaviour discovery too (RFC
  /// 5780).
  void serve_stun(const StunServerConfig& config);
  /// Servers to ask what the NAT here does, besides the relays; they replace what was given before.
  void set_stun_servers(Instant now, std::vector<SocketAddress> servers);
  /// The same for further ones, as far as there is room: NatDiscovery::servers_max.
  void add_stun_servers(Instant now, std::span<const SocketAddress> servers);
  /// What the clock on the wall showed at `now`: for signed records.
  void set_wall_time(Instant now, WallTime wall);

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram);
  /// For a driver that has whole trains of relay frames: where they go, without a copy. Nothing if
  /// this node is no relay, or the train is not for forwarding: then `handle_datagram` takes it.
  std::optional<RelayTrain> forward_train(Instant now, const NetworkPath& source, ByteView train,
                                          std::size_t segment_size, std::span<RelayRun> runs);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<NodeEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  /// Sockets that the node wants besides those of `set_endpoints`, or gives back.
  std::optional<SocketRequest> poll_socket_request();
  /// `local` is what the socket is bound to.
  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local);
  void handle_socket_failed(Instant now, SocketRequestId id);

  /// Tunnels to relays that the node wants, or gives back.
  std::optional<TunnelRequest> poll_tunnel_request();
  /// Datagrams go and come on `path`, whose socket is one of the tunnels' (base/tunnel_path.hpp).
  void handle_tunnel_opened(Instant now, TunnelRequestId id, const NetworkPath& path);
  void handle_tunnel_failed(Instant now, TunnelRequestId id, std::error_code error);
  void handle_tunnel_closed(Instant now, const NetworkPath& path, std::error_code error);

  /// From now on streams of `protocol` are accepted. Fails with PathErrc::bad_protocol_name.
  Result<void> add_protocol(std::string protocol);
  void remove_protocol(const std::string& protocol);
  /// Has `service` live on this node; before its first event.
  void add_service(std::unique_ptr<NodeService> service);

  /// What connections may use that are dialled from now on.
  void set_policy(PathPolicy policy) { policy_ = policy; }
  /// See Connectivity::connect. Relays are asked for the peer at the same time, if the policy
  /// allows: with one in common no candidates are needed.
  Result<void> connect(Instant now, const NodeId& peer, std::span<const NetworkPath> candidates) {
    return connect(now, peer, candidates, policy_);
  }
  Result<void> connect(Instant now, const NodeId& peer, std::span<const NetworkPath> candidates,
                       PathPolicy policy);
  void disconnect(Instant now, const NodeId& peer, std::string_view reason);

  Result<StreamKey> open_stream(Instant now, const NodeId& peer, std::string protocol);
  /// A stream that names a datagram flow; datagrams go both ways while it is open.
  Result<StreamKey> open_flow(Instant now, const NodeId& peer, std::string protocol);

  void begin_close(Instant now);
  /// Tells all peers goodbye at once, over relays too; what was not acknowledged is lost.
  void say_goodbye(Instant now);
  [[nodiscard]] std::vector<CloseWait> close_waits_for() const;

  /// Streams, datagrams, paths and figures are the connection manager's.
  [[nodiscard]] Connectivity& connectivity() { return *connectivity_; }
  [[nodiscard]] const Connectivity& connectivity() const { return *connectivity_; }
  [[nodiscard]] const RelayClient& relays() const { return relay_user_.client(); }
  /// What the NAT here does, as far as it has been found out.
  [[nodiscard]] const std::optional<NatDiscovered>& nat() const { return nat_watch_.result(); }
  [[nodiscard]] const NatWatch& nat_watch() const { return nat_watch_; }
  [[nodiscard]] const HolePunching& punching() const { return punching_; }
  /// What was decided about the peers (node_core_explain.cpp fills it and reads it).
  [[nodiscard]] const DecisionLog& decisions() const { return decisions_; }
  [[nodiscard]] Explanation explain(Instant now, const NodeId& peer) const;
  /// As `Connectivity::paths`, with what this node knows of each.
  [[nodiscard]] std::vector<PathStatus> paths(Instant now, const NodeId& peer) const;
  /// What this node serves as a relay; null if it is none.
  [[nodiscard]] const RelayServer* relay_server() const;
  /// The relay beneath a relayed path, which becomes the one to that relay; nothing for a direct
  /// one.
  std::optional<NodeId> resolve_relay(NetworkPath& path) const;
  /// Whether a TURN server is beneath a path to `peer`, ours or its own. The path becomes the one
  /// to the peer's address at the server.
  bool resolve_turn(const NodeId& peer, NetworkPath& path) const;
  [[nodiscard]] const TurnUser& turn() const { return turn_user_; }
  [[nodiscard]] const NodeId& id() const { return id_; }
  [[nodiscard]] const Keypair& identity() const { return identity_; }
  /// Where peers are told that this node may be reached; nothing if it stays behind relays.
  [[nodiscard]] CandidatesMessage own_candidates() const;
  [[nodiscard]] std::span<const LocalEndpoint> endpoints() const { return endpoints_; }
  [[nodiscard]] AddressRules address_rules() const { return rules_; }
  [[nodiscard]] PathPolicy policy() const { return policy_; }
  [[nodiscard]] WallTime wall_time(Instant now) const;

 private:
  NodeCore(const Keypair& identity, SecureRng& secure_rng, Rng rng,
           std::unique_ptr<Connectivity> connectivity);

  void handle_turn(Instant now, const NetworkPath& path, MutableByteView datagram);
  /// Behind `paths`, those to the same addresses over our TURN servers, as far as that may be.
  void add_turn_paths(Instant now, std::vector<NetworkPath>& paths);
  void take_turn_events(Instant now);
  void handle_relay_frame(Instant now, const NetworkPath& path, MutableByteView datagram);
  /// Carries events between the cores until there are none left.
  void route(Instant now);
  void take_events(Instant now);
  void serve(Instant now);
  /// True if the event is not for the application.
  bool take_in(Instant now, PathEvent& event);
  bool take_in_stream(Instant now, const PathEvent& event);
  bool on_stream_over(Instant now, const StreamKey& stream);
  void on_candidates(Instant now, const PeerCandidates& told);
  void on_relay_event(Instant now, RelayEvent& event);
  /// The sessions over all relays in common become paths: one of them stands by.
  void add_legs(Instant now, const NodeId& peer);
  void give_up_seeking(const NodeId& peer);
  void tell_candidates(bool again = false);
  void look_at_network(Instant now, std::span<const IpAddress> own, bool slept);
  void handle_stun(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram);
  void choose_stun_servers(Instant now);
  void avoid_overloaded_relays(Instant now);
  void take_nat_events(Instant now);
  void ask_stand_in(const AskStandIn& ask);
  void take_punch_events(Instant now);
  void note_own_reach();
  /// This node, as relays and TURN servers see it.
  [[nodiscard]] std::vector<SocketAddress> seen_at() const;
  [[nodiscard]] bool is_seen_elsewhere(const SocketAddress& mapped) const;
  void sign_profile(Instant now, const NatProfile& profile);
  void consider_punching(Instant now, const PeerCandidates& told, const CandidateContext& context);
  void refuse(const PeerStreamOpened& opened);

  // What is written down for `explain`.
  void note_dialled(Instant now, const NodeId& peer, std::size_t candidates, bool by_relay,
                    PathPolicy policy, const Result<void>& outcome);
  void note_connected(Instant now, const PeerConnected& connected);
  void note_moved(Instant now, const PeerPathChanged& changed, const NetworkPath& from);
  void note_refused(Instant now, const NodeId& peer, const NetworkPath& path);
  void note_candidates(Instant now, const NodeId& peer, std::span<const JudgedCandidate> judged);
  void note_plan(Instant now, const NodeId& peer);
  void note_punch(Instant now, const PunchEnded& ended);
  [[nodiscard]] std::optional<PathReport> report_of(const NodeId& peer,
                                                    const NetworkPath& path) const;
  [[nodiscard]] PathName name_of(const NodeId& peer, NetworkPath path) const;
  [[nodiscard]] PathKind kind_of(const NodeId& peer, const NetworkPath& path) const;
  void advance_close(Instant now);

  const Keypair& identity_;
  NodeId id_;
  SecureRng& secure_rng_;
  std::unique_ptr<Connectivity> connectivity_;
  RelayUser relay_user_;
  TurnUser turn_user_;
  std::optional<RelayHost> relay_host_;
  std::vector<LocalEndpoint> endpoints_;
  MappedAddresses mapped_;
  AddressRules rules_ = AddressRules::internet;
  PathPolicy policy_ = PathPolicy::any;
  std::map<NodeId, SocketAddress> observed_;  // this node, as each relay sees it
  std::optional<StunServer> stun_server_;     // always there
  NatWatch nat_watch_;
  HolePunching punching_;
  DecisionLog decisions_;
  SocketDesk desk_;
  std::vector<SocketAddress> stun_servers_;  // of the configuration
  std::int64_t wall_offset_s_ = 0;           // from monotonic time to 1970
  Bytes nat_record_;                         // the profile, signed, as peers are told
  struct RelayDial {
    PathPolicy policy = PathPolicy::any;
    std::optional<PeerUnreachable> direct_failed;  // shown if the relays fail as well
  };
  std::map<NodeId, RelayDial> relay_dials_;  // peers that the relays are asked for
  std::set<NodeId> sought_;                  // peers for which this side asked for sessions
  Instant now_{};                            // of the last call that brought the time
  std::set<std::string> protocols_;
  bool suspended_ = false;
  std::set<StreamKey> refused_;  // their late events are nobody's
  std::deque<NodeEvent> events_;
  std::vector<std::unique_ptr<NodeService>> services_;
  std::vector<PeerProved> proved_;  // that the services have not heard of
  std::size_t events_offered_ = 0;  // of `events_`, to the services
  bool serving_ = false;
  bool served_ = false;    // a service took an event
  bool restless_ = false;  // and there may be something to send that the driver has not asked for

  struct Closing {
    Instant deadline{};
    Instant next{};
    bool said_goodbye = false;
  };
  std::optional<Closing> closing_;
};

static_assert(DatagramCore<NodeCore>);

}  // namespace quicmesh
