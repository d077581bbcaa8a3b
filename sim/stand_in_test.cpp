// Two relays of one address each are enough to learn what a NAT lets in: one stands in for the
// other's second address (RFC 5780, stun/stand_in.hpp), asked over its control connection.
#include <gtest/gtest.h>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {
namespace {

constexpr LinkConfig line{.delay = 10ms, .bits_per_s = 100'000'000};

class StandInWorld {
 public:
  explicit StandInWorld(NatDependence filtering)
      : simulation_({.seed = 1, .replay = "stand-in"}), home_(simulation_, place_home(filtering)) {
    home_.announce();
    home_.listen([this](Instant, const NodeEvent& event) {
      if (const auto* found = std::get_if<NatDiscovered>(&event)) found_ = *found;
    });
  }

  void add_relay(const char* address) {
    const HostId host = simulation_.network().add_host(address).value();
    EXPECT_TRUE(simulation_.network().add_interface(
        host, {"if", internet, IpAddress::parse(address).value(), {line, line}}));
    MeshNode& relay = *relays_.emplace_back(std::make_unique<MeshNode>(simulation_, host));
    relay.announce();
    relay.serve_as_relay();
    home_.use_relay(relay);
  }

  std::optional<NatDiscovered> discover() {
    (void)simulation_.run_until([this] { return found_.has_value(); }, simulation_.elapsed() + 10s);
    return found_;
  }

 private:
  HostId place_home(NatDependence filtering) {
    Network& network = simulation_.network();
    const HostId host = network.add_host("home").value();
    const NatConfig config{.mapping = NatDependence::endpoint_independent, .filtering = filtering};
    const NatPlacement nat{
        "NAT", internet, {*IpAddress::parse("203.0.113.1")}, config, {line, line}};
    const RealmId realm = network.inside(network.add_nat(nat).value());
    EXPECT_TRUE(
        network.add_interface(host, {"if", realm, IpAddress::v4({192, 168, 1, 2}), {line, line}}));
    return host;
  }

  Simulation simulation_;
  MeshNode home_;
  std::vector<std::unique_ptr<MeshNode>> relays_;
  std::optional<NatDiscovered> found_;
};

// S1.32, RFC 5780 s4.4.
TEST(StandIn, two_plain_relays_tell_what_a_nat_lets_in) {
  const std::pair<NatDependence, NatBehaviour> kinds[] = {
      {NatDependence::endpoint_independent, NatBehaviour::endpoint_independent},
      {NatDependence::address_dependent, NatBehaviour::address_dependent},
      {NatDependence::address_and_port_dependent, NatBehaviour::address_and_port_dependent},
  };
  for (const auto& [filtering, expected] : kinds) {
    StandInWorld world(filtering);
    world.add_relay("192.0.2.1");
    world.add_relay("192.0.3.1");
    const auto found = world.discover();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->profile.mapping, NatBehaviour::endpoint_independent);
    EXPECT_EQ(found->profile.filtering, expected);
    EXPECT_EQ(found->evidence.filtering_method, NatEvidence::FilteringMethod::stand_in);
  }
}

TEST(StandIn, one_plain_relay_cannot_tell) {
  StandInWorld world(NatDependence::address_and_port_dependent);
  world.add_relay("192.0.2.1");
  const auto found = world.discover();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->profile.filtering, NatBehaviour::unknown);
}

}  // namespace
}  // namespace quicmesh::sim
