// The handle of a node: it opens the sockets and hands the rest to the hub. See quicmesh/node.hpp.
#include "quicmesh/node.hpp"

#include <algorithm>
#include <utility>

#include "base/tunnel_path.hpp"
#include "crypto/system_rng.hpp"
#include "io/event_loop.hpp"
#include "io/hosted_node.hpp"
#include "io/key_file.hpp"
#include "io/local_addresses.hpp"
#include "io/node_hub.hpp"
#include "io/resolve.hpp"
#include "io/stun_service.hpp"
#include "path/path_errc.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh {
namespace {

using HubPointer = std::shared_ptr<io::NodeHub>;

Result<Keypair> identity_of(Config& config) {
  if (config.identity) return std::move(*config.identity);
  if (config.key_file.empty()) return Keypair::generate();
  SystemRng rng;
  return io::load_or_create_key_file(config.key_file, rng);
}

QuicConfig quic_config_of(const Config& config) {
  QuicConfig quic;
  quic.congestion_control =
      config.congestion == Congestion::cubic ? CongestionControl::cubic : CongestionControl::bbr;
  quic.idle_timeout = config.idle_timeout;
  quic.keep_alive = config.keep_alive;
  quic.handshake_timeout = config.handshake_timeout;
  quic.max_connections = config.max_connections;
  quic.max_streams_bidi = config.max_streams;
  return quic;
}

/// Any address of both families, on one port if that is free in both.
Result<std::vector<io::UdpSocket>> open_default_sockets(bool offload) {
  std::vector<io::UdpSocket> sockets;
  auto first = io::UdpSocket::open({IpAddress::any(IpFamily::v6), 0}, offload);
  if (!first) {
    auto only = io::UdpSocket::open({IpAddress::any(IpFamily::v4), 0}, offload);
    if (!only) return failure(only.error());
    sockets.push_back(std::move(*only));
    return sockets;
  }
  const std::uint16_t port = first->local().port;
  sockets.push_back(std::move(*first));
  auto second = io::UdpSocket::open({IpAddress::any(IpFamily::v4), port}, offload);
  if (!second) second = io::UdpSocket::open({IpAddress::any(IpFamily::v4), 0}, offload);
  if (second) sockets.push_back(std::move(*second));
  return sockets;
}

Result<std::vector<io::UdpSocket>> open_sockets(const Config& config) {
  if (config.listen.empty()) return open_default_sockets(config.segmentation_offload);
  std::vector<io::UdpSocket> sockets;
  for (const SocketAddress& address : config.listen) {
    auto socket = io::UdpSocket::open(address, config.segmentation_offload);
    if (!socket) return failure(socket.error());
    sockets.push_back(std::move(*socket));
  }
  return sockets;
}

PathPolicy policy_of(Reach reach) {
  if (reach == Reach::direct_only) return PathPolicy::direct_only;
  return reach == Reach::relay_only ? PathPolicy::relay_only : PathPolicy::any;
}

/// The addresses behind the names of `relays`.
Task<std::vector<RelayHint>> resolve_relays(std::vector<NodeAddress> relays,
                                            std::uint16_t tls_port) {
  std::vector<RelayHint> hints;
  for (const NodeAddress& relay : relays) {
    RelayHint hint{relay.id, {}, tls_port};
    for (const HostPort& host : relay.addresses) {
      auto lookup = io::resolve(host);
      const auto found = co_await std::move(lookup);
      if (!found) co_return failure(found.error());
      hint.addresses.insert(hint.addresses.end(), found->begin(), found->end());
    }
    if (hint.addresses.empty()) co_return failure(PathErrc::no_candidates);
    if (hint.addresses.size() > relay_hint_addresses_max) {
      hint.addresses.resize(relay_hint_addresses_max);
    }
    hints.push_back(std::move(hint));
  }
  co_return hints;
}

/// The TURN servers' addresses, IPv4 alone; one for each account.
Task<std::vector<SocketAddress>> resolve_turn_servers(std::vector<TurnAccount> accounts) {
  std::vector<SocketAddress> servers;
  for (const TurnAccount& account : accounts) {
    auto lookup = io::resolve(account.server);
    const auto found = co_await std::move(lookup);
    if (!found) co_return failure(found.error());
    const auto usable = std::ranges::find_if(
        *found, [](const SocketAddress& one) { return one.ip.family() == IpFamily::v4; });
    if (usable == found->end()) co_return failure(IoErrc::no_address_of_family);
    servers.push_back(*usable);
  }
  co_return servers;
}

/// Those whose names have addresses now; the others are left out.
Task<std::vector<DhtContact>> resolve_bootstrap(std::vector<NodeAddress> nodes) {
  std::vector<DhtContact> contacts;
  for (const NodeAddress& node : nodes) {
    DhtContact contact{node.id, {}};
    for (const HostPort& host : node.addresses) {
      auto lookup = io::resolve(host);
      const auto found = co_await std::move(lookup);
      if (found) contact.addresses.insert(contact.addresses.end(), found->begin(), found->end());
    }
    contacts.push_back(std::move(contact));
  }
  co_return contacts;
}

bool takes_part_in_dht(const Config& config) {
  if (config.dht != DhtRole::automatic) return config.dht != DhtRole::off;
  return !config.bootstrap.empty() || !config.dht_cache.empty();
}

/// What a node is told to use besides its sockets, with names resolved.
struct Helpers {
  std::vector<DhtContact> bootstrap;
  std::vector<RelayHint> relays;
  std::vector<SocketAddress> turn_servers;  // one for each of Config::turn
};

Result<std::vector<TurnConfig>> turn_configs_of(const Config& config, const Helpers& helpers,
                                                const std::vector<io::SocketInfo>& sockets) {
  std::vector<TurnConfig> turn;
  const auto is_v4 = [](const io::SocketInfo& one) {
    return one.local.ip.family() == IpFamily::v4;
  };
  auto socket = std::ranges::find_if(sockets, [&](const io::SocketInfo& one) {
    return is_v4(one) && one.local.ip.scope() != AddressScope::loopback;
  });
  if (socket == sockets.end()) socket = std::ranges::find_if(sockets, is_v4);
  for (std::size_t i = 0; i < helpers.turn_servers.size(); ++i) {
    if (socket == sockets.end()) return failure(IoErrc::no_address_of_family);
    const NetworkPath path{socket->id, IpAddress::any(IpFamily::v4), helpers.turn_servers[i]};
    turn.push_back({path, config.turn[i].username, config.turn[i].password});
  }
  return turn;
}

Result<void> set_up_reach(io::HostedNode& node, const Config& config,
                          const std::vector<io::SocketInfo>& sockets, const Helpers& helpers) {
  const Instant now = io::EventLoop::now();
  NodeCore& core = node.core();
  if (config.laboratory_addresses) core.set_address_rules(AddressRules::laboratory);
  if (config.serve_as_relay) core.serve_as_relay(RelayLimits{});
  core.set_policy(policy_of(config.reach));
  node.announce(now, sockets);
  if (config.reach == Reach::direct_only) return {};  // nor is it reached over one
  core.set_stun_servers(now, config.stun_servers);
  auto turn = turn_configs_of(config, helpers, sockets);
  if (!turn) return failure(turn.error());
  core.use_turn(now, std::move(*turn));
  for (const RelayHint& relay : helpers.relays) {
    if (const auto added = core.add_relay(now, relay); !added) return added;
  }
  return {};
}

Result<HubPointer> start_hub(const Executor& executor, Config& config, const Helpers& helpers) {
  auto identity = identity_of(config);
  if (!identity) return failure(identity.error());
  auto sockets = open_sockets(config);
  if (!sockets) return failure(sockets.error());
  std::vector<io::SocketInfo> infos;
  for (std::size_t i = 0; i < sockets->size(); ++i) {
    infos.push_back({SocketId{static_cast<std::uint16_t>(i)}, (*sockets)[i].local()});
  }
  // Not before the addresses above are noted: nobody is to dial these sockets.
  const auto stun = config.serve_as_relay ? io::open_behaviour_discovery(*sockets) : std::nullopt;
  const NodeId id = identity->node_id();
  auto hosted =
      io::HostedNode::create(quic_config_of(config), std::move(*identity), std::move(*sockets));
  if (!hosted) return failure(hosted.error());
  if (stun) (*hosted)->core().serve_stun(*stun);
  const auto reachable = set_up_reach(**hosted, config, infos, helpers);
  if (!reachable) return failure(reachable.error());
  if (takes_part_in_dht(config)) {
    DhtHostConfig dht;
    dht.role = config.dht;
    dht.bootstrap = helpers.bootstrap;
    (*hosted)->join_dht(io::EventLoop::now(), std::move(dht), config.dht_cache);
  }
  std::vector<SocketAddress> tunnel_addresses;
  for (const SocketAddress& wanted : config.relay_tls_listen) {
    const auto bound = (*hosted)->listen_for_tunnels(wanted);
    if (!bound) return failure(bound.error());
    tunnel_addresses.push_back(*bound);
  }
  if (!config.runtime) {
    auto runtime = Runtime::start();
    if (!runtime) return failure(runtime.error());
    config.runtime = std::move(*runtime);
  }
  auto hub =
      std::make_shared<io::NodeHub>(executor, id, std::move(infos), std::move(config.runtime));
  hub->tunnel_addresses = std::move(tunnel_addresses);
  hub->start(std::move(*hosted));
  // Whoever keeps to relays does not want to be reached otherwise.
  if (config.port_mapping && config.reach != Reach::relay_only) {
    hub->map_ports(config.laboratory_addresses ? AddressRules::laboratory : AddressRules::internet);
  }
  return hub;
}

/// Runs `look` on the network thread, which fills what it returns.
template <class T>
Task<T> ask_node(HubPointer hub,
                 std::move_only_function<Result<T>(Instant, io::HostedNode&)> look) {
  auto reply = std::make_shared<io::Reply>();
  auto answer = std::make_shared<Result<T>>();  // written by the network thread before `reply`
  io::NodeHub& at = *hub;
  io::Command command = [&at, reply, answer, look = std::move(look)](Instant now,
                                                                     io::HostedNode& node) mutable {
    *answer = look(now, node);
    at.answer(*reply);
  };
  auto asking = hub->ask(reply, std::move(command));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return std::move(*answer);
}

template <class T>
Task<T> ask_core(HubPointer hub, std::move_only_function<Result<T>(Instant, NodeCore&)> look) {
  return ask_node<T>(std::move(hub),
                     [look = std::move(look)](Instant now, io::HostedNode& node) mutable {
                       return look(now, node.core());
                     });
}

Result<NetworkPath> path_with_remote(const NodeCore& core, const NodeId& peer,
                                     const SocketAddress& remote) {
  for (const PathReport& report : core.connectivity().paths(peer)) {
    NetworkPath real = report.path;
    (void)core.resolve_relay(real);               // a relayed path goes by the address of its relay
    if (core.resolve_turn(peer, real)) continue;  // and one over TURN is not for choosing
    if (real.remote == remote) return report.path;
  }
  return failure(PathErrc::unknown_path);
}

}  // namespace

Task<std::shared_ptr<Node>> Node::start(Executor executor, Config config) {
  Helpers helpers;
  if (!config.relay_tls_listen.empty()) config.serve_as_relay = true;
  auto resolving = resolve_relays(config.relays, config.relay_tls_port);
  auto relays = co_await std::move(resolving);
  if (!relays) co_return failure(relays.error());
  helpers.relays = std::move(*relays);
  auto resolving_turn = resolve_turn_servers(config.turn);
  auto turn_servers = co_await std::move(resolving_turn);
  if (!turn_servers) co_return failure(turn_servers.error());
  helpers.turn_servers = std::move(*turn_servers);
  auto resolving_bootstrap = resolve_bootstrap(config.bootstrap);
  auto bootstrap = co_await std::move(resolving_bootstrap);
  if (!bootstrap) co_return failure(bootstrap.error());
  helpers.bootstrap = std::move(*bootstrap);
  auto hub = start_hub(executor, config, helpers);
  if (!hub) co_return failure(hub.error());
  co_return std::shared_ptr<Node>(new Node(std::move(*hub)));
}

Node::Node(std::shared_ptr<io::NodeHub> hub) : hub_(std::move(hub)) {}

Node::~Node() {
  // The runtime ends after the hub has let go of it: if it was the last one, here.
  const std::shared_ptr<Runtime> runtime = hub_->shut_down();
}

const NodeId& Node::id() const {
  return hub_->id();
}

std::vector<SocketAddress> Node::listen_addresses() const {
  std::vector<SocketAddress> addresses;
  for (const io::SocketInfo& socket : hub_->sockets())
    addresses.push_back(socket.local);
  return addresses;
}

std::vector<SocketAddress> Node::relay_tls_addresses() const {
  return hub_->tunnel_addresses;
}

std::string Node::node_address() const {
  NodeAddress address;
  address.id = id();
  const auto add = [&](const IpAddress& ip, std::uint16_t port) {
    if (address.addresses.size() >= NodeAddress::addresses_max) return;
    address.addresses.push_back({ip.to_string(), port});
  };
  for (const SocketAddress& bound : listen_addresses()) {
    if (!bound.ip.is_unspecified()) {
      add(bound.ip, bound.port);
      continue;
    }
    for (const IpAddress& ip : io::local_addresses(bound.ip.family()))
      add(ip, bound.port);
  }
  return address.to_string();
}

Task<Connection> Node::connect(NodeAddress peer, std::string protocol) {
  return hub_->connect(std::move(peer), std::move(protocol));
}

Task<Connection> Node::connect(NodeId peer, std::string protocol) {
  NodeAddress address;
  address.id = peer;
  return hub_->connect(std::move(address), std::move(protocol));
}

Result<void> Node::handle(std::string protocol, StreamHandler handler) {
  return hub_->handle(std::move(protocol), std::move(handler));
}

Result<void> Node::handle_datagrams(std::string protocol, FlowHandler handler) {
  return hub_->handle_datagrams(std::move(protocol), std::move(handler));
}

Task<Stream> Node::accept(std::string protocol) {
  return hub_->accept(std::move(protocol));
}

void Node::remove_handler(const std::string& protocol) {
  hub_->remove_handler(protocol);
}

Task<Event> Node::next_event() {
  return hub_->next_event();
}

std::vector<NodeId> Node::peers() const {
  return hub_->peers();
}

Task<std::vector<PathStatus>> Node::paths(NodeId peer) {
  auto look = [peer](Instant now, NodeCore& core) -> Result<std::vector<PathStatus>> {
    if (!core.connectivity().connected(peer)) return failure(PathErrc::not_connected);
    return core.paths(now, peer);
  };
  return ask_core<std::vector<PathStatus>>(hub_, std::move(look));
}

Task<void> Node::move_to_path(NodeId peer, SocketAddress remote) {
  auto move = [peer, remote](Instant now, NodeCore& core) -> Result<void> {
    const auto path = path_with_remote(core, peer, remote);
    if (!path) return failure(path.error());
    return core.connectivity().move(now, peer, *path);
  };
  return ask_core<void>(hub_, std::move(move));
}

Task<void> Node::suggest_path(NodeId peer, SocketAddress remote) {
  auto suggest = [peer, remote](Instant now, NodeCore& core) -> Result<void> {
    const auto path = path_with_remote(core, peer, remote);
    if (!path) return failure(path.error());
    return core.connectivity().suggest(now, peer, *path);
  };
  return ask_core<void>(hub_, std::move(suggest));
}

Task<std::optional<NatReport>> Node::nat_report() {
  auto look = [](Instant, NodeCore& core) -> Result<std::optional<NatReport>> {
    if (!core.nat()) return std::nullopt;
    return report_of(*core.nat());
  };
  return ask_core<std::optional<NatReport>>(hub_, std::move(look));
}

Task<NatStatus> Node::nat_status() {
  auto look = [](Instant now, NodeCore& core) -> Result<NatStatus> {
    NatStatus status;
    if (core.nat()) status.report = report_of(*core.nat());
    status.servers = core.nat_watch().servers().size();
    status.running = core.nat_watch().is_running(now);
    status.mapped = core.mapped_addresses().addresses;
    status.mapping_error = core.mapped_addresses().error;
    return status;
  };
  return ask_core<NatStatus>(hub_, std::move(look));
}

Task<void> Node::add_stun_servers(std::vector<SocketAddress> servers) {
  auto add = [servers = std::move(servers)](Instant now, NodeCore& core) -> Result<void> {
    core.add_stun_servers(now, servers);
    return {};
  };
  return ask_core<void>(hub_, std::move(add));
}

Task<std::vector<RelayStatus>> Node::relays() {
  auto look = [](Instant, NodeCore& core) -> Result<std::vector<RelayStatus>> {
    std::vector<RelayStatus> out;
    for (const RelayReport& relay : core.relays().relays()) {
      out.push_back(
          {relay.id, relay.configured, relay.up, relay.rtt, relay.load_percent, relay.sessions});
    }
    return out;
  };
  return ask_core<std::vector<RelayStatus>>(hub_, std::move(look));
}

Task<std::vector<TurnStatus>> Node::turn_servers() {
  auto look = [](Instant, NodeCore& core) -> Result<std::vector<TurnStatus>> {
    std::vector<TurnStatus> out;
    for (const TurnServerState& server : core.turn().states())
      out.push_back({server.server, server.relayed, server.error});
    return out;
  };
  return ask_core<std::vector<TurnStatus>>(hub_, std::move(look));
}

Task<Explanation> Node::why(NodeId peer) {
  auto look = [peer](Instant now, NodeCore& core) -> Result<Explanation> {
    return core.explain(now, peer);
  };
  return ask_core<Explanation>(hub_, std::move(look));
}

Task<void> Node::network_changed() {
  return ask_node<void>(hub_, [](Instant now, io::HostedNode& node) -> Result<void> {
    node.network_changed(now);
    return {};
  });
}

Task<void> Node::suspend() {
  return ask_node<void>(hub_, [](Instant, io::HostedNode& node) -> Result<void> {
    node.core().suspend();
    return {};
  });
}

Task<void> Node::resume() {
  return ask_node<void>(hub_, [](Instant now, io::HostedNode& node) -> Result<void> {
    node.resume(now);
    return {};
  });
}

std::string Node::last_reason(NodeId peer) const {
  return hub_->last_reason(peer);
}

Task<NodeStatus> Node::status() {
  return hub_->status();
}

Task<void> Node::close() {
  return hub_->close();
}

Task<std::vector<FlushWait>> Node::closing_waits_for() {
  auto look = [](Instant, NodeCore& core) -> Result<std::vector<FlushWait>> {
    std::vector<FlushWait> out;
    for (const CloseWait& wait : core.close_waits_for()) {
      out.push_back({wait.peer, wait.unacknowledged_bytes});
    }
    return out;
  };
  return ask_core<std::vector<FlushWait>>(hub_, std::move(look));
}

}  // namespace quicmesh
