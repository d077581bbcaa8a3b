// A victim that hostile peers name as their own address gets a few packets, over all of them and
// however often they come back (THREATS TQ10: ten, and half of those are kept for hole punching).
// Counted at the victim.
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::size_t hostile_peers = 20;
constexpr unsigned probes_max =
    StrangerAllowance::packets_max - StrangerAllowance::kept_for_punches;

struct World {
  explicit World(std::uint64_t seed) : simulation({.seed = seed, .replay = "stranger"}) {
    node.emplace(simulation, place("node", 1));
    victim.emplace(simulation, place("victim", 2));
    node->announce();
    for (std::size_t i = 0; i < hostile_peers; ++i) {
      const auto last = static_cast<std::uint8_t>(100 + i);
      hostile.push_back(
          std::make_unique<MeshNode>(simulation, place("hostile " + std::to_string(i), last)));
      hostile.back()->announce();
    }
  }

  HostId place(const std::string& name, std::uint8_t last) {
    const HostId host = simulation.network().add_host(name).value();
    LinkConfig link;
    link.delay = 5ms;
    link.bits_per_s = 100'000'000;
    EXPECT_TRUE(simulation.network().add_interface(
        host, {"if", internet, IpAddress::v4({203, 0, 113, last}), {link, link}}));
    return host;
  }

  [[nodiscard]] InterfaceId interface_of(const MeshNode& of) {
    return simulation.network().interfaces_of(of.host())[0];
  }
  [[nodiscard]] SocketAddress address_of(const MeshNode& of) {
    return of.address(interface_of(of));
  }

  /// All hostile peers connect, and then say that they are at `address`.
  void attack(const SocketAddress& address) {
    for (const auto& peer : hostile) {
      const NetworkPath path = peer->path(interface_of(*peer), address_of(*node));
      EXPECT_TRUE(peer->command([&](NodeCore& core, Instant now) {
        return core.connect(now, node->id(), std::span(&path, 1));
      }));
    }
    const auto connected = [&] {
      return std::ranges::all_of(hostile, [&](const auto& peer) {
        return node->core().connectivity().connected(peer->id());
      });
    };
    ASSERT_TRUE(simulation.run_until(connected, simulation.elapsed() + 10s));
    CandidatesMessage message;
    message.candidates.push_back({CandidateKind::host, address});
    message.candidates.push_back({CandidateKind::server_reflexive, address});
    for (const auto& peer : hostile) {
      peer->command([&](NodeCore& core, Instant) {
        core.connectivity().set_candidates({});
        core.connectivity().set_candidates(message);
      });
    }
  }

  void leave() {
    for (const auto& peer : hostile) {
      peer->command(
          [&](NodeCore& core, Instant now) { core.disconnect(now, node->id(), "again"); });
    }
    (void)simulation.run_for(500ms);
  }

  /// Probes that came to the victim, who can make nothing of them.
  [[nodiscard]] std::uint64_t at_victim() const {
    return victim->core().connectivity().counters().frames_refused;
  }

  Simulation simulation;
  std::optional<MeshNode> node;
  std::optional<MeshNode> victim;
  std::vector<std::unique_ptr<MeshNode>> hostile;
};

// U11.
TEST(Stranger, gets_five_probes_whoever_names_it_and_however_often) {
  World world(1);
  for (int round = 0; round < 4; ++round) {
    world.attack(world.address_of(*world.victim));
    (void)world.simulation.run_for(90s);
    EXPECT_EQ(world.at_victim(), probes_max) << round;
    world.leave();
  }
  EXPECT_GT(world.node->core().connectivity().counters().probes_withheld, 500u);
}

// The bound is on the address, not on the port.
TEST(Stranger, gets_no_more_at_many_ports) {
  World world(2);
  for (std::uint16_t round = 0; round < 4; ++round) {
    SocketAddress address = world.address_of(*world.victim);
    address.port = static_cast<std::uint16_t>(address.port + (round + 1) % 4);
    world.attack(address);
    (void)world.simulation.run_for(30s);
    world.leave();
  }
  // All were used up at other ports.
  EXPECT_EQ(world.at_victim(), 0u);
}

// A peer that writes the victim's address as the source of its probes gains nothing: fewer packets
// come there than it sends, and they end. What goes to the second interface reaches nobody, so it
// stands for an address whose owner never answers.
TEST(Stranger, gets_an_end_of_replies_to_probes_that_name_it_as_their_source) {
  World world(4);
  MeshNode& peer = *world.hostile[0];
  Network& network = world.simulation.network();
  LinkConfig link;
  link.delay = 5ms;
  const auto second = network.add_interface(
      peer.host(), {"second", internet, IpAddress::v4({203, 0, 113, 77}), {link, link}});
  ASSERT_TRUE(second);
  const LinkId to_victim = network.access_links(network.attachment_of(*second)).down;
  network.set_link_state(to_victim, LinkState::blackhole);
  world.attack(world.address_of(*world.victim));
  for (int i = 0; i < 500; ++i) {
    peer.command([&](NodeCore& core, Instant) {
      core.connectivity().punch(world.node->id(),
                                peer.path(*second, world.address_of(*world.node)));
    });
    ASSERT_TRUE(world.simulation.run_for(100ms));
  }
  const std::uint64_t came = network.link(to_victim).counters().dropped_for(LinkDrop::blackhole);
  EXPECT_GT(came, StrangerAllowance::replies_max / 2);
  EXPECT_LE(came, StrangerAllowance::packets_max + StrangerAllowance::replies_max);
}

// Each telling is judged, may be verified and may be asked about at relays: so only so many count.
TEST(Stranger, may_tell_of_itself_only_so_often) {
  World world(3);
  world.attack(world.address_of(*world.victim));
  const std::uint64_t before = world.node->core().connectivity().counters().candidates_dropped;
  for (std::uint16_t i = 0; i < 200; ++i) {
    CandidatesMessage message;
    message.candidates.push_back(
        {CandidateKind::server_reflexive, {IpAddress::v4({203, 0, 113, 7}), i}});
    world.hostile[0]->command([&](NodeCore& core, Instant) {
      core.connectivity().set_candidates(std::move(message), true);
    });
    ASSERT_TRUE(world.simulation.run_for(10ms));
  }
  const auto& counters = world.node->core().connectivity().counters();
  EXPECT_GE(counters.candidates_dropped - before, 200u - PathAllowance::burst - 2);
  EXPECT_LE(counters.candidates_dropped - before, 200u);
  EXPECT_TRUE(world.node->core().connectivity().connected(world.hostile[0]->id()));
}

}  // namespace
}  // namespace quicmesh::sim
