// A gateway that forwards a port, as the node behind it is told by io/: peers hear of it, and reach
// the node where no hole punching would.
#include <algorithm>

#include "sim/traversal_world.hpp"

namespace quicmesh::sim {
namespace {

const IpAddress outside = IpAddress::parse("203.0.113.2").value();  // of b's NAT

/// b's gateway forwards a port, and says that it is one of `ip`.
struct MappedWorld : TraversalWorld {
  static constexpr std::uint16_t port = 50'000;

  explicit MappedWorld(const IpAddress& ip) : TraversalWorld(7, symmetric, symmetric) {
    Network& network = simulation.network();
    const SocketAddress inner{IpAddress::v4({192, 168, 1, 2}), MeshNode::port};
    network.forward_port(network.find_nat("b NAT").value(), {outside, port}, inner);
    told.addresses = {{ip, port}};
    told.protocols.nat_pmp = true;
    told.gateway_external = ip;
  }

  void tell() {
    b->command([&](NodeCore& core, Instant now) { core.set_mapped_addresses(now, told); });
  }
  [[nodiscard]] Explanation why(const MeshNode& node, const MeshNode& peer) const {
    return node.core().explain(simulation.now(), peer.id());
  }
  [[nodiscard]] const PathStatus* path_to(const SocketAddress& remote) {
    paths = a->core().paths(simulation.now(), b->id());
    const auto found = std::ranges::find(paths, remote, &PathStatus::remote);
    return found == paths.end() ? nullptr : &*found;
  }

  MappedAddresses told;
  std::vector<PathStatus> paths;
};

TEST(PortMapping, two_symmetric_nodes_are_joined_by_a_forwarded_port) {
  MappedWorld world(outside);
  world.tell();
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(world.simulation.run_until([&] { return !world.relayed(); },
                                         world.simulation.elapsed() + 5s));
  const PathStatus* path = world.path_to({outside, MappedWorld::port});
  ASSERT_NE(path, nullptr);
  EXPECT_TRUE(path->current);
  EXPECT_EQ(path->kind, PathKind::mapped);
  const Explanation dialler = world.why(*world.a, *world.b);
  EXPECT_EQ(dialler.reason, "The peer's gateway forwards a port to it");
  EXPECT_EQ(dialler.remedy, "");
  ASSERT_TRUE(world.simulation.run_for(4s)) << "until b has followed, and both know their NATs";
  EXPECT_EQ(world.why(*world.b, *world.a).reason, "This node's gateway forwards a port to it");
}

TEST(PortMapping, a_port_that_is_forwarded_later_is_told_to_peers_that_are_there) {
  MappedWorld world(outside);
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(world.simulation.run_for(10s));
  ASSERT_TRUE(world.relayed()) << "nothing else joins such a pair";
  world.tell();
  EXPECT_TRUE(world.simulation.run_until([&] { return !world.relayed(); },
                                         world.simulation.elapsed() + 5s));
}

// The gateway names an address at which no relay sees this node: a victim's, for all we know.
TEST(PortMapping, what_a_lying_gateway_says_is_not_told) {
  const IpAddress victim = IpAddress::parse("203.0.113.77").value();
  MappedWorld world(victim);
  world.tell();
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(world.simulation.run_for(10s));
  EXPECT_TRUE(world.relayed());
  EXPECT_EQ(world.path_to({victim, MappedWorld::port}), nullptr);
}

TEST(PortMapping, the_nat_report_names_the_protocols_of_a_gateway_that_answers_late) {
  MappedWorld world(outside);
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(world.simulation.run_until([&] { return world.b->core().nat().has_value(); },
                                         world.simulation.elapsed() + 10s));
  EXPECT_FALSE(world.b->core().nat()->profile.port_mapping.nat_pmp);
  EXPECT_EQ(world.b->core().nat()->profile.cgnat, Finding::unknown);
  world.tell();
  EXPECT_TRUE(world.b->core().nat()->profile.port_mapping.nat_pmp);
  EXPECT_EQ(world.b->core().nat()->profile.cgnat, Finding::no);
  // A carrier's NAT: the gateway is somebody else outside than the servers see.
  MappedWorld carried(outside);
  ASSERT_TRUE(carried.dial());
  ASSERT_TRUE(carried.simulation.run_until([&] { return carried.b->core().nat().has_value(); },
                                           carried.simulation.elapsed() + 10s));
  carried.told = {.gateway_external = IpAddress::parse("10.1.1.1").value()};
  carried.tell();
  EXPECT_EQ(carried.b->core().nat()->profile.cgnat, Finding::yes);
}

}  // namespace
}  // namespace quicmesh::sim
