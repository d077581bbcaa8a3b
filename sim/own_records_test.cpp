// The endpoint records that a node signs about itself (node/own_records.hpp): when, and what of
// them is shown to whom. S1.41, S1.67.
#include "node/own_records.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/mesh_node.hpp"

namespace quicmesh::sim {
namespace {

const IpAddress public_ip = IpAddress::v4({198, 18, 1, 1});
const IpAddress private_ip = IpAddress::v4({10, 0, 0, 1});

struct World {
  explicit World(std::uint64_t last_sequence = 0) : own(last_sequence) {
    host = simulation.network().add_host("node").value();
    outer = add("eth", public_ip);
    inner = add("lan", private_ip);
    node = std::make_unique<MeshNode>(simulation, host);
    node->announce();
  }
  InterfaceId add(const char* name, const IpAddress& ip) {
    return simulation.network().add_interface(host, {name, internet, ip, {}}).value();
  }
  /// True if there are new records.
  bool sign() {
    return node->command(
        [&](NodeCore& core, Instant now) { return own.handle_timeout(now, core); });
  }
  void reach_changed() {
    node->command([&](NodeCore&, Instant now) { own.on_reach_changed(now); });
  }
  void wait(Duration time) { EXPECT_TRUE(simulation.run_for(time)); }
  /// Ends when the records are due.
  Duration until_due() {
    return node->command([&](NodeCore&, Instant now) { return own.poll_timeout() - now; });
  }
  std::optional<EndpointRecord> shown(AddressScope scope) {
    return node->command([&](NodeCore& core, Instant now) -> std::optional<EndpointRecord> {
      const auto record = verify_endpoint_record(own.record_for(scope), node->id(),
                                                 core.wall_time(now), core.address_rules());
      return record ? std::optional(*record) : std::nullopt;
    });
  }
  bool names(AddressScope scope, const IpAddress& ip) {
    const auto record = shown(scope);
    return record && std::ranges::any_of(record->candidates,
                                         [&](const SocketAddress& one) { return one.ip == ip; });
  }

  Simulation simulation{{.seed = 3, .replay = "OwnRecords"}};
  HostId host{};
  InterfaceId outer{};
  InterfaceId inner{};
  std::unique_ptr<MeshNode> node;
  OwnRecords own;
};

TEST(OwnRecords, show_private_addresses_to_private_peers_alone) {
  World world;
  EXPECT_TRUE(world.own.record_for(AddressScope::public_internet).empty());
  world.reach_changed();
  ASSERT_TRUE(world.sign());
  EXPECT_TRUE(world.names(AddressScope::public_internet, public_ip));
  EXPECT_FALSE(world.names(AddressScope::public_internet, private_ip));
  EXPECT_TRUE(world.names(AddressScope::private_realm, private_ip));
  EXPECT_TRUE(std::ranges::equal(world.own.widest_record(),
                                 world.own.record_for(AddressScope::public_internet)));
}

TEST(OwnRecords, are_signed_again_when_the_node_is_reached_elsewhere_and_not_otherwise) {
  World world;
  world.reach_changed();
  ASSERT_TRUE(world.sign());
  const std::uint64_t first = world.own.sequence();
  // Nothing of it has changed.
  world.wait(1min);
  world.reach_changed();
  world.wait(1s);
  EXPECT_FALSE(world.sign());
  EXPECT_EQ(world.own.sequence(), first);
  // The LAN goes; many signs of that are one.
  world.simulation.network().set_interface_state(world.inner, InterfaceState::down);
  world.node->network_changed();
  for (int i = 0; i < 10; ++i)
    world.reach_changed();
  EXPECT_FALSE(world.sign()) << "it settles first";
  EXPECT_EQ(world.until_due(), OwnRecords::settle_time);
  world.wait(OwnRecords::settle_time);
  EXPECT_TRUE(world.sign());
  EXPECT_GT(world.own.sequence(), first);
  EXPECT_FALSE(world.names(AddressScope::private_realm, private_ip));
  EXPECT_TRUE(world.names(AddressScope::private_realm, public_ip)) << "what the wider scope has";
  // A network that comes and goes has them signed every `pause` at most.
  world.simulation.network().set_interface_state(world.inner, InterfaceState::up);
  world.node->network_changed();
  world.reach_changed();
  EXPECT_EQ(world.until_due(), OwnRecords::pause);
  EXPECT_EQ(world.own.signed_count(), 2u);
}

TEST(OwnRecords, are_renewed_before_they_expire) {
  World world;
  world.reach_changed();
  ASSERT_TRUE(world.sign());
  const std::uint64_t first = world.own.sequence();
  EXPECT_EQ(world.until_due(), OwnRecords::life - OwnRecords::renewed_before_end);
  world.wait(OwnRecords::life - OwnRecords::renewed_before_end);
  EXPECT_TRUE(world.sign());
  EXPECT_GT(world.own.sequence(), first);
  world.wait(OwnRecords::renewed_before_end + 10min);
  EXPECT_TRUE(world.shown(AddressScope::public_internet)) << "the first would have expired";
}

// A machine that slept, or began without the time of day, has said what nobody takes.
TEST(OwnRecords, are_signed_again_when_the_time_of_day_is_set) {
  World world;
  world.reach_changed();
  ASSERT_TRUE(world.sign());
  world.node->command([&](NodeCore& core, Instant now) {
    core.set_wall_time(now, WallTime{std::to_underlying(core.wall_time(now)) + 86'400});
    world.own.on_clock_stepped(now);
  });
  EXPECT_FALSE(world.shown(AddressScope::public_internet)) << "expired since yesterday";
  EXPECT_TRUE(world.sign());
  EXPECT_TRUE(world.shown(AddressScope::public_internet));
}

// TD6: a clock that was set back must not make a node publish what nobody takes.
TEST(OwnRecords, never_fall_behind_those_of_an_earlier_life) {
  World now;
  now.reach_changed();
  ASSERT_TRUE(now.sign());
  World later(now.own.sequence() + 1'000);
  later.reach_changed();
  ASSERT_TRUE(later.sign());
  EXPECT_GT(later.own.sequence(), now.own.sequence() + 1'000);
}

}  // namespace
}  // namespace quicmesh::sim
