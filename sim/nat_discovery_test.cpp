// NAT discovery against the emulated NATs of the packet simulator: every mapping x filtering x port
// allocation, with and without loss, behind a CGNAT, with plain servers, with a stand-in.
#include "nat/nat_discovery.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/bounded_queue.hpp"
#include "crypto/seeded_rng.hpp"
#include "nat/nat_discovery_lifetime.hpp"
#include "sim/simulation.hpp"
#include "stun/stun_server.hpp"

namespace quicmesh::sim {
namespace {

using quicmesh::PortAllocation;
using SimPorts = sim::PortAllocation;

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}
SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}

NatBehaviour expected(NatDependence dependence) {
  return static_cast<NatBehaviour>(static_cast<int>(dependence) + 1);
}

// A node that serves STUN, and stands in for others.
class ServerCore {
 public:
  ServerCore(const StunServerConfig& config, SecureRng& rng)
      : server_(config, rng), stand_in_({.per_second = 20}, rng) {}

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram) {
    server_.handle_datagram(now, path, ecn, datagram);
  }
  void handle_timeout(Instant) {}
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) {
    if (const auto packet = packets_.pop()) {
      const StandInPacket bytes = make_stand_in_packet(packet->first);
      std::ranges::copy(bytes, buffer.begin());
      return Transmit{{SocketId{0}, {}, packet->second}, bytes.size(), bytes.size()};
    }
    return server_.poll_transmit(now, buffer);
  }
  std::optional<int> poll_event() { return std::nullopt; }
  Instant poll_timeout() const { return never; }

  StandInAnswer stand_in(Instant now, const IpAddress& requester, const StandInRequest& request) {
    const auto decision = stand_in_.decide(now, requester, request);
    if (decision.send_to) (void)packets_.push({request.id, *decision.send_to});
    return decision.answer;
  }
  const StunServerCounters& counters() const { return server_.counters(); }

 private:
  StunServer server_;
  StandIn stand_in_;
  BoundedQueue<std::pair<TransactionId, SocketAddress>, DropPolicy::refuse_newest> packets_{16};
};

struct World {
  static constexpr Duration one_way = 20ms;

  explicit World(std::uint64_t seed, Loss loss_in = {})
      : simulation({.seed = seed, .replay = "", .event_budget = 1'000'000}),
        loss(loss_in),
        rng(seed, "client"),
        server_rng(seed, "servers") {}

  AccessConfig access() const {
    AccessConfig config;
    config.up.delay = config.down.delay = one_way / 2;
    config.up.loss = config.down.loss = loss;
    return config;
  }

  // A server with one port at each of `ports` on each of `addresses`.
  CoreHandle<ServerCore> add_server(const std::string& name, std::vector<IpAddress> addresses,
                                    std::vector<std::uint16_t> ports) {
    const HostId id = simulation.network().add_host(name).value();
    AccessConfig lossless = access();
    lossless.up.loss = lossless.down.loss = {};
    std::vector<StunServerEndpoint> endpoints;
    for (std::size_t i = 0; i < addresses.size(); ++i) {
      EXPECT_TRUE(simulation.network().add_interface(
          id, {.name = "if" + std::to_string(i), .address = addresses[i], .access = lossless}));
      for (const std::uint16_t port : ports) {
        const SocketId socket = simulation.host(id).open_socket({addresses[i], port}).value();
        endpoints.push_back({socket, addresses[i], {addresses[i], port}});
      }
    }
    StunServerConfig config{.primary = endpoints[0]};
    if (endpoints.size() == 4) config.alternates = {endpoints[1], endpoints[2], endpoints[3]};
    return simulation.run<ServerCore>(id, std::make_unique<ServerCore>(config, server_rng));
  }

  void add_behaviour_server() {
    add_server("stun", {ip("198.51.100.1"), ip("198.51.100.2")}, {3478, 3479});
    servers.push_back({endpoint("198.51.100.1:3478")});
  }

  RealmId add_nat(const std::string& name, RealmId outside, std::string_view address,
                  const NatConfig& behaviour) {
    AccessConfig config = access();
    const NatId nat = simulation.network()
                          .add_nat({.name = name,
                                    .outside = outside,
                                    .addresses = {ip(address)},
                                    .behaviour = behaviour,
                                    .access = config})
                          .value();
    return simulation.network().inside(nat);
  }

  // Runs the discovery on a new host in `realm`.
  NatDiscovered discover(RealmId realm, std::string_view address) {
    const HostId id = simulation.network().add_host("client").value();
    EXPECT_TRUE(simulation.network().add_interface(
        id, {.name = "lan", .realm = realm, .address = ip(address)}));
    Host& host = simulation.host(id);
    discovery_config.servers = servers;
    auto handle = std::make_shared<std::optional<CoreHandle<NatDiscovery>>>();
    const auto sink = [&, handle](Instant, const NatDiscoveryEvent& event) {
      on_event(**handle, host, event);
    };
    *handle = simulation.run<NatDiscovery>(id, std::make_unique<NatDiscovery>(rng), sink);
    local = ip(address);
    const Instant begin = simulation.now();
    (*handle)->command(
        [&](NatDiscovery& core, Instant now) { EXPECT_TRUE(core.start(now, discovery_config)); });
    const RunResult run = simulation.run_until([&] { return result.has_value(); }, 10s);
    EXPECT_TRUE(run) << run.message;
    took = simulation.now() - begin;
    EXPECT_EQ(open_sockets, 0);
    return result.value_or(NatDiscovered{});
  }

  void on_event(const CoreHandle<NatDiscovery>& handle, Host& host,
                const NatDiscoveryEvent& event) {
    if (const auto* open = std::get_if<OpenSocket>(&event)) {
      const SocketId socket = host.open_socket({local, 0}).value();
      ++open_sockets;
      handle.command([&](NatDiscovery& core, Instant now) {
        core.handle_socket_opened(now, open->id, socket, *host.socket_address(socket));
      });
    } else if (const auto* close = std::get_if<CloseSocket>(&event)) {
      host.close_socket(close->socket);
      --open_sockets;
    } else if (const auto* ask = std::get_if<AskStandIn>(&event)) {
      // Over a connection that both have, and that sees the client where the STUN server does.
      simulation.after(one_way, [this, handle, request = ask->request] {
        const auto answer = stand_in_node->command([&](ServerCore& core, Instant now) {
          return core.stand_in(now, ip("203.0.113.1"), request);
        });
        simulation.after(one_way, [handle, answer] {
          handle.command(
              [&](NatDiscovery& core, Instant now) { core.handle_stand_in_answer(now, answer); });
        });
      });
    } else {
      result = std::get<NatDiscovered>(event);
    }
  }

  NatLifetimeMeasured measure_lifetime(RealmId realm, std::string_view address) {
    const HostId id = simulation.network().add_host("client").value();
    EXPECT_TRUE(simulation.network().add_interface(
        id, {.name = "lan", .realm = realm, .address = ip(address)}));
    Host& host = simulation.host(id);
    local = ip(address);
    std::optional<NatLifetimeMeasured> measured;
    std::optional<CoreHandle<NatLifetime>> handle;
    const auto sink = [&](Instant, const NatLifetimeEvent& event) {
      if (const auto* open = std::get_if<OpenSocket>(&event)) {
        const SocketId socket = host.open_socket({local, 0}).value();
        ++open_sockets;
        handle->command([&](NatLifetime& core, Instant now) {
          core.handle_socket_opened(now, open->id, socket, *host.socket_address(socket));
        });
      } else if (const auto* close = std::get_if<CloseSocket>(&event)) {
        host.close_socket(close->socket);
        --open_sockets;
      } else {
        measured = std::get<NatLifetimeMeasured>(event);
      }
    };
    handle = simulation.run<NatLifetime>(id, std::make_unique<NatLifetime>(rng), sink);
    const Instant begin = simulation.now();
    handle->command([&](NatLifetime& core, Instant) { core.start(servers[0].address); });
    const RunResult run = simulation.run_until([&] { return measured.has_value(); }, 1h);
    EXPECT_TRUE(run) << run.message;
    took = simulation.now() - begin;
    EXPECT_EQ(open_sockets, 0);
    return measured.value_or(NatLifetimeMeasured{});
  }

  Simulation simulation;
  Loss loss;
  SeededRng rng;
  SeededRng server_rng;
  std::vector<DiscoveryServer> servers;
  NatDiscoveryConfig discovery_config;
  std::optional<CoreHandle<ServerCore>> stand_in_node;
  IpAddress local;
  std::optional<NatDiscovered> result;
  Duration took{};
  int open_sockets = 0;
};

constexpr std::array dependences{NatDependence::endpoint_independent,
                                 NatDependence::address_dependent,
                                 NatDependence::address_and_port_dependent};

struct Allocation {
  SimPorts ports;
  std::uint16_t delta;
  PortAllocation found;
};
constexpr std::array allocations{Allocation{SimPorts::preserving, 1, PortAllocation::preserved},
                                 Allocation{SimPorts::sequential, 1, PortAllocation::sequential},
                                 Allocation{SimPorts::sequential, 7, PortAllocation::sequential},
                                 Allocation{SimPorts::random, 1, PortAllocation::random}};

// S1.33 full cone, S1.34 restricted cone, S1.35 port-restricted cone, S1.36 symmetric.
TEST(NatDiscovery, finds_every_mapping_filtering_and_port_allocation) {
  std::uint64_t seed = 0;
  for (const NatDependence mapping : dependences) {
    for (const NatDependence filtering : dependences) {
      for (const Allocation& allocation : allocations) {
        for (const Hairpin hairpin : {Hairpin::off, Hairpin::on}) {
          World world(++seed);
          world.add_behaviour_server();
          const RealmId home = world.add_nat("home", internet, "203.0.113.1",
                                             {.mapping = mapping,
                                              .filtering = filtering,
                                              .ports = allocation.ports,
                                              .port_delta = allocation.delta,
                                              .hairpin = hairpin});
          const NatDiscovered found = world.discover(home, "192.168.1.10");
          const NatProfile& profile = found.profile;
          SCOPED_TRACE("seed " + std::to_string(seed) + " mapping " +
                       std::to_string(static_cast<int>(mapping)) + " filtering " +
                       std::to_string(static_cast<int>(filtering)) + " ports " +
                       std::to_string(static_cast<int>(allocation.ports)));
          EXPECT_EQ(profile.mapping, expected(mapping));
          EXPECT_EQ(profile.filtering, expected(filtering));
          EXPECT_EQ(profile.port_allocation, allocation.found);
          if (allocation.found == PortAllocation::sequential) {
            EXPECT_EQ(profile.port_delta, allocation.delta);
            EXPECT_GE(profile.port_confidence, 75);
          }
          EXPECT_EQ(profile.port_samples, NatDiscovery::port_sockets);
          EXPECT_EQ(profile.translated, Finding::yes);
          EXPECT_EQ(profile.udp_blocked, Finding::no);
          EXPECT_EQ(profile.pooled, Finding::no);
          // Behind a mapping that depends on the destination, the packet that should open one's own
          // side leaves by another mapping than the one that the far side sends to.
          const bool passable = mapping == NatDependence::endpoint_independent ||
                                filtering == NatDependence::endpoint_independent;
          EXPECT_EQ(profile.hairpin,
                    hairpin == Hairpin::on && passable ? Finding::yes : Finding::no);
          EXPECT_EQ(to_string(classic_type(profile)), classic_name(mapping, filtering));
          EXPECT_FALSE(found.evidence.deadline_reached);
          EXPECT_LE(world.took, 1'500ms);
        }
      }
    }
  }
}

TEST(NatDiscovery, says_none_without_a_nat) {
  World world(1);
  world.add_behaviour_server();
  const NatProfile profile = world.discover(internet, "203.0.113.7").profile;
  EXPECT_EQ(profile.translated, Finding::no);
  EXPECT_EQ(profile.mapping, NatBehaviour::endpoint_independent);
  EXPECT_EQ(profile.filtering, NatBehaviour::endpoint_independent);
  EXPECT_EQ(profile.port_allocation, PortAllocation::preserved);
  EXPECT_EQ(profile.cgnat, Finding::no);
  EXPECT_EQ(classic_type(profile), ClassicNatType::none);
}

// The line loses one packet in eight, each way: a result may be missing, but never wrong.
TEST(NatDiscovery, loss_makes_no_result_wrong) {
  unsigned complete = 0;
  unsigned runs = 0;
  for (const NatDependence mapping : dependences) {
    for (const NatDependence filtering : dependences) {
      for (std::uint64_t seed = 1; seed <= 12; ++seed) {
        World world(seed, Loss::independent({12, 100}));
        world.add_behaviour_server();
        const RealmId home = world.add_nat(
            "home", internet, "203.0.113.1",
            {.mapping = mapping, .filtering = filtering, .ports = SimPorts::sequential});
        const NatDiscovered found = world.discover(home, "192.168.1.10");
        const NatProfile& profile = found.profile;
        SCOPED_TRACE("seed " + std::to_string(seed) + " mapping " +
                     std::to_string(static_cast<int>(mapping)) + " filtering " +
                     std::to_string(static_cast<int>(filtering)));
        EXPECT_TRUE(profile.mapping == expected(mapping) ||
                    profile.mapping == NatBehaviour::unknown);
        EXPECT_TRUE(profile.filtering == expected(filtering) ||
                    profile.filtering == NatBehaviour::unknown);
        EXPECT_TRUE(profile.port_allocation == PortAllocation::sequential ||
                    profile.port_allocation == PortAllocation::unknown);
        EXPECT_EQ(profile.udp_blocked, Finding::no);
        EXPECT_LE(world.took, 3s);
        ++runs;
        complete += profile.mapping == expected(mapping) &&
                    profile.filtering == expected(filtering) && profile.port_delta == 1;
      }
    }
  }
  EXPECT_GE(100 * complete, 95 * runs) << complete << " of " << runs;
}

TEST(NatDiscovery, a_slow_line_is_judged_within_the_deadline) {
  for (const NatDependence filtering : dependences) {
    World world(1);
    world.add_behaviour_server();
    const RealmId home = world.add_nat("home", internet, "203.0.113.1", {.filtering = filtering});
    const NatId nat = world.simulation.network().find_nat("home").value();
    const auto links =
        world.simulation.network().access_links(world.simulation.network().attachment_of(nat));
    for (const LinkId link : {links.up, links.down})
      EXPECT_TRUE(
          world.simulation.network().set_link(world.simulation.now(), link, {.delay = 90ms}));
    const NatDiscovered found = world.discover(home, "192.168.1.10");
    EXPECT_EQ(found.profile.filtering, expected(filtering));
    EXPECT_LE(world.took, 3s);
  }
}

TEST(NatDiscovery, says_that_udp_is_blocked_only_after_many_requests) {
  World world(1);
  world.add_behaviour_server();
  const RealmId home = world.add_nat("home", internet, "203.0.113.1", {});
  Network& network = world.simulation.network();
  const auto links = network.access_links(network.attachment_of(network.find_nat("home").value()));
  network.set_link_state(links.down, LinkState::blackhole);
  const NatDiscovered found = world.discover(home, "192.168.1.10");
  EXPECT_EQ(found.profile.udp_blocked, Finding::yes);
  EXPECT_EQ(found.profile.mapping, NatBehaviour::unknown);
  EXPECT_EQ(classic_type(found.profile), ClassicNatType::unknown);
  EXPECT_GE(network.link(links.up).counters().accepted, 6u);
  EXPECT_LE(world.took, 3s);
}

// S1.36: a carrier-grade NAT is told by the address that the home's gateway has.
TEST(NatDiscovery, tells_a_carrier_grade_nat) {
  World world(1);
  world.add_behaviour_server();
  const RealmId carrier = world.add_nat(
      "carrier", internet, "203.0.113.1",
      {.mapping = NatDependence::address_and_port_dependent, .ports = SimPorts::random});
  const RealmId home = world.add_nat("home", carrier, "100.64.3.4",
                                     {.filtering = NatDependence::endpoint_independent});
  world.discovery_config.gateway_external = ip("100.64.3.4");
  const NatProfile profile = world.discover(home, "192.168.1.10").profile;
  EXPECT_EQ(profile.cgnat, Finding::yes);
  // The two in a row behave as the worse of each kind.
  EXPECT_EQ(profile.mapping, NatBehaviour::address_and_port_dependent);
  EXPECT_EQ(profile.filtering, NatBehaviour::address_and_port_dependent);
  EXPECT_EQ(classic_type(profile), ClassicNatType::symmetric);
}

TEST(NatDiscovery, a_gateway_with_the_external_address_is_no_carrier_grade_nat) {
  World world(1);
  world.add_behaviour_server();
  const RealmId home = world.add_nat("home", internet, "203.0.113.1", {});
  world.discovery_config.gateway_external = ip("203.0.113.1");
  EXPECT_EQ(world.discover(home, "192.168.1.10").profile.cgnat, Finding::no);
}

TEST(NatDiscovery, two_plain_servers_tell_the_mapping_and_leave_filtering_unknown) {
  for (const NatDependence mapping : dependences) {
    World world(1);
    world.add_server("a", {ip("198.51.100.1")}, {3478});
    world.add_server("b", {ip("198.51.100.9")}, {3478});
    world.servers = {{endpoint("198.51.100.1:3478")}, {endpoint("198.51.100.9:3478")}};
    const RealmId home = world.add_nat("home", internet, "203.0.113.1", {.mapping = mapping});
    const NatProfile profile = world.discover(home, "192.168.1.10").profile;
    // Without a second port at one address the worst is assumed.
    EXPECT_EQ(profile.mapping, mapping == NatDependence::endpoint_independent
                                   ? NatBehaviour::endpoint_independent
                                   : NatBehaviour::address_and_port_dependent);
    EXPECT_EQ(profile.filtering, NatBehaviour::unknown);
    EXPECT_LE(world.took, 1s);
  }
}

TEST(NatDiscovery, one_plain_server_beside_a_dead_one_settles_nothing_but_the_ports) {
  World world(1);
  world.add_server("a", {ip("198.51.100.1")}, {3478});
  world.servers = {{endpoint("198.51.100.77:3478")}, {endpoint("198.51.100.1:3478")}};
  const RealmId home = world.add_nat("home", internet, "203.0.113.1", {});
  const NatDiscovered found = world.discover(home, "192.168.1.10");
  EXPECT_EQ(found.profile.mapping, NatBehaviour::unknown);
  EXPECT_EQ(found.profile.udp_blocked, Finding::no);
  EXPECT_EQ(found.profile.port_allocation, PortAllocation::random);
  EXPECT_EQ(found.evidence.servers_answered, 1u);
  EXPECT_LE(world.took, 3s);
}

// A second node stands in for the second address.
TEST(NatDiscovery, a_stand_in_tells_the_filtering) {
  for (const NatDependence mapping : dependences) {
    for (const NatDependence filtering : dependences) {
      World world(1);
      world.add_server("a", {ip("198.51.100.1")}, {3478});
      world.stand_in_node = world.add_server("s", {ip("198.51.100.9")}, {3478});
      world.servers = {{endpoint("198.51.100.1:3478")}, {endpoint("198.51.100.9:3478"), true}};
      const RealmId home = world.add_nat("home", internet, "203.0.113.1",
                                         {.mapping = mapping, .filtering = filtering});
      const NatDiscovered found = world.discover(home, "192.168.1.10");
      SCOPED_TRACE("mapping " + std::to_string(static_cast<int>(mapping)) + " filtering " +
                   std::to_string(static_cast<int>(filtering)));
      const bool decidable = mapping == NatDependence::endpoint_independent ||
                             filtering == NatDependence::endpoint_independent;
      EXPECT_EQ(found.profile.filtering, decidable ? expected(filtering) : NatBehaviour::unknown);
      EXPECT_EQ(found.evidence.filtering_method, NatEvidence::FilteringMethod::stand_in);
      EXPECT_LE(world.took, 2s);
    }
  }
}

// Erratum 7971 to RFC 5780: a server whose second address is dead says nothing about the NAT.
TEST(NatDiscovery, a_dead_second_address_does_not_make_the_nat_look_closed) {
  World world(1);
  world.add_behaviour_server();
  Network& network = world.simulation.network();
  const RealmId home = world.add_nat("home", internet, "203.0.113.1",
                                     {.filtering = NatDependence::endpoint_independent});
  network.set_interface_state(network.find_interface("stun.if1").value(), InterfaceState::down);
  const NatDiscovered found = world.discover(home, "192.168.1.10");
  EXPECT_EQ(found.profile.filtering, NatBehaviour::unknown);
  EXPECT_EQ(found.evidence.stranger_verified, Finding::no);
}

// The NAT's lifetime lies between the two times that come out.
TEST(NatLifetime, is_found_between_two_of_the_times_tried) {
  struct Row {
    Duration lifetime;
    Duration survived;
    std::optional<Duration> expired;
  };
  const Row rows[] = {{20s, 15s, 25s}, {30s, 25s, 40s}, {121s, 120s, 180s}, {600s, 300s, {}}};
  for (const Row& row : rows) {
    for (const NatDependence mapping : dependences) {
      World world(1);
      world.add_behaviour_server();
      const RealmId home = world.add_nat("home", internet, "203.0.113.1",
                                         {.mapping = mapping, .lifetime = row.lifetime});
      const auto found = world.measure_lifetime(home, "192.168.1.10");
      EXPECT_EQ(found.survived, row.survived);
      EXPECT_EQ(found.expired, row.expired);
      EXPECT_LE(world.took, row.expired.value_or(row.survived) + 4s);
    }
  }
}

TEST(NatLifetime, is_not_measured_where_nothing_answers) {
  World world(1);
  world.servers = {{endpoint("198.51.100.1:3478")}};
  const RealmId home = world.add_nat("home", internet, "203.0.113.1", {});
  const auto found = world.measure_lifetime(home, "192.168.1.10");
  EXPECT_FALSE(found.survived || found.expired);
  EXPECT_LE(world.took, 5s);
}

TEST(NatDiscovery, runs_replay) {
  const auto run = [] {
    World world(5, Loss::independent({10, 100}));
    world.add_behaviour_server();
    const RealmId home = world.add_nat("home", internet, "203.0.113.1", {});
    return world.discover(home, "192.168.1.10");
  };
  const NatDiscovered a = run();
  const NatDiscovered b = run();
  EXPECT_EQ(a.profile, b.profile);
  EXPECT_EQ(a.evidence.mapping, b.evidence.mapping);
  EXPECT_EQ(a.evidence.ports, b.evidence.ports);
}

}  // namespace
}  // namespace quicmesh::sim
