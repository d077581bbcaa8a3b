#include "sim/mesh_node.hpp"

#include "base/assert.hpp"

namespace quicmesh {
namespace {

std::string text(const NetworkPath& path) {
  return path.local.to_string() + ">" + path.remote.to_string();
}

std::string text(const StreamKey& key) {
  return std::to_string(static_cast<std::uint32_t>(std::to_underlying(key.connection))) + "/" +
         std::to_string(std::to_underlying(key.stream));
}

struct TraceText {
  std::string operator()(const PeerConnected& e) {
    return "peer_up " + e.peer.prefix() + " " + text(e.path) + (e.dialled_by_us ? " out" : " in");
  }
  std::string operator()(const PeerDisconnected& e) {
    return "peer_down " + e.peer.prefix() + " " + e.error.message();
  }
  std::string operator()(const PeerUnreachable& e) {
    return "unreachable " + e.peer.prefix() + " " + e.error.message();
  }
  std::string operator()(const HandshakeRefused& e) { return "refused " + e.error.message(); }
  std::string operator()(const PeerPathChanged& e) {
    return "path_changed " + e.peer.prefix() + " " + text(e.from) + " " + text(e.to);
  }
  std::string operator()(const PeerPathRefused& e) { return "path_refused " + text(e.path); }
  std::string operator()(const PeerStreamOpened& e) {
    return "stream_opened " + text(e.stream) + " " + e.header.protocol;
  }
  std::string operator()(const PeerStreamData& e) {
    return "stream_data " + text(e.stream) + " " + std::to_string(e.data.size()) +
           (e.end ? " end" : "");
  }
  std::string operator()(const PeerStreamWritable& e) { return "writable " + text(e.stream); }
  std::string operator()(const PeerStreamReset& e) { return "stream_reset " + text(e.stream); }
  std::string operator()(const PeerStreamStopped& e) { return "stream_stopped " + text(e.stream); }
  std::string operator()(const PeerStreamFinished& e) {
    return "stream_finished " + text(e.stream);
  }
  std::string operator()(const PeerStreamLost& e) { return "stream_lost " + text(e.stream); }
  std::string operator()(const PeerStreamsAvailable& e) {
    return "streams_available " + e.peer.prefix();
  }
  std::string operator()(const PeerDatagram& e) {
    return "datagram " + text(e.flow) + " " + std::to_string(e.data.size());
  }
  std::string operator()(const PunchEnded& e) {
    return "punch " + e.peer.to_hex().substr(0, 8) + " by " + std::string(to_string(e.technique)) +
           ": " + std::string(to_string(e.outcome));
  }
  std::string operator()(const NetworkChanged& e) {
    return "network changed, " + std::to_string(e.addresses.size()) + " addresses";
  }
  std::string operator()(const NatDiscovered& e) {
    return "nat " + std::string(to_string(e.profile.mapping)) + " mapping, " +
           std::string(to_string(e.profile.filtering)) + " filtering";
  }
  std::string operator()(const RelayUp& e) {
    return "relay_up " + e.relay.prefix() + " " + e.observed.to_string();
  }
  std::string operator()(const RelayDown& e) {
    return "relay_down " + e.relay.prefix() + " " + e.reason.message();
  }
  std::string operator()(const TurnServerUp& e) { return "turn_up " + e.relayed.to_string(); }
  std::string operator()(const TurnServerDown& e) { return "turn_down " + e.error.message(); }
  std::string operator()(const NodeClosed& e) { return "closed " + std::to_string(e.bytes_lost); }
};

}  // namespace

std::string trace_text(const NodeEvent& event) {
  return std::visit(TraceText{}, event);
}

namespace sim {

MeshNode::MeshNode(Simulation& simulation, HostId host, const QuicConfig& config, unsigned life)
    : simulation_(simulation),
      host_(host),
      rng_(simulation.config().seed,
           simulation.network().name_of(host) + " life " + std::to_string(life)),
      identity_([&] {
        SeededRng identity_rng(simulation.config().seed,
                               simulation.network().name_of(host) + " identity");
        return Keypair::generate(identity_rng);
      }()) {
  const auto socket = simulation.host(host).open_socket({IpAddress::any(IpFamily::v4), port});
  QM_ASSERT(socket.has_value());
  socket_ = *socket;
  Rng rng = simulation.rng(simulation.network().name_of(host));
  auto core = NodeCore::create(config, identity_, rng_, rng);
  QM_ASSERT(core.has_value());
  handle_ =
      simulation.run<NodeCore>(host, std::move(*core), [this](Instant now, const auto& event) {
        for (const auto& listener : listeners_)
          listener(now, event);
      });
}

void MeshNode::announce() {
  std::vector<LocalEndpoint> endpoints;
  for (const IpAddress& ip : own_addresses())
    endpoints.push_back({socket_, ip, {ip, port}});
  command([&](NodeCore& core, Instant now) {
    core.set_address_rules(AddressRules::laboratory);
    core.set_endpoints(now, std::move(endpoints));
  });
}

std::vector<IpAddress> MeshNode::own_addresses() const {
  const Network& network = simulation_.network();
  std::vector<IpAddress> addresses;
  for (const InterfaceId interface : network.interfaces_of(host_)) {
    if (network.state_of(interface) != InterfaceState::up) continue;
    addresses.push_back(network.address_of(interface));
  }
  return addresses;
}

void MeshNode::network_changed() {
  announce();
  command([&](NodeCore& core, Instant now) { core.network_changed(now, own_addresses()); });
}

void MeshNode::suspend() {
  command([](NodeCore& core, Instant) { core.suspend(); });
}

void MeshNode::resume() {
  announce();
  command([&](NodeCore& core, Instant now) { core.resume(now, own_addresses()); });
}

void MeshNode::serve_as_relay(const RelayLimits& limits) {
  command([&](NodeCore& core, Instant) { core.serve_as_relay(limits); });
}

void MeshNode::serve_stun() {
  const auto interfaces = simulation_.network().interfaces_of(host_);
  QM_ASSERT(interfaces.size() >= 2);
  const auto second = simulation_.host(host_).open_socket({IpAddress::any(IpFamily::v4), port + 1});
  QM_ASSERT(second.has_value());
  const auto endpoint = [&](std::size_t interface, SocketId socket, std::uint16_t at) {
    const IpAddress ip = simulation_.network().address_of(interfaces[interface]);
    return StunServerEndpoint{socket, ip, {ip, at}};
  };
  StunServerConfig config{.primary = endpoint(0, socket_, port)};
  config.alternates = {endpoint(0, *second, port + 1), endpoint(1, socket_, port),
                       endpoint(1, *second, port + 1)};
  command([&](NodeCore& core, Instant) { core.serve_stun(config); });
}

void MeshNode::use_relay(const MeshNode& relay) {
  const InterfaceId interface = simulation_.network().interfaces_of(relay.host())[0];
  const RelayHint hint{relay.id(), {relay.address(interface)}};
  const auto added =
      command([&](NodeCore& core, Instant now) { return core.add_relay(now, hint); });
  QM_ASSERT(added.has_value());
}

void MeshNode::listen(std::function<void(Instant, const NodeEvent&)> listener) {
  listeners_.push_back(std::move(listener));
}

SocketAddress MeshNode::address(InterfaceId interface) const {
  return {simulation_.network().address_of(interface), port};
}

NetworkPath MeshNode::path(InterfaceId own, const SocketAddress& remote) const {
  return {socket_, simulation_.network().address_of(own), remote};
}

}  // namespace sim
}  // namespace quicmesh
