// Two relays in common: when the one that carries a transfer dies, the other takes over (R6), and
// an overloaded one is left; in the same connection, without a byte lost (S1.48, S1.52, S1.R9, U4).
#include <gtest/gtest.h>

#include "sim/mesh_node.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {
namespace {

constexpr NatConfig symmetric{.mapping = NatDependence::address_and_port_dependent};

LinkConfig link_of(Duration one_way, std::uint64_t bits_per_s) {
  LinkConfig link;
  link.delay = one_way;
  link.bits_per_s = bits_per_s;
  return link;
}

// Both homes are 10 ms from the middle; the relays are there, or a little further away.
struct World {
  explicit World(std::uint64_t seed, const RelayLimits& near_limits = {},
                 std::uint64_t bits_per_s = 100'000'000)
      : simulation({.seed = seed, .replay = "two relays"}), rate(bits_per_s) {
    near.emplace(simulation, place("near relay", "192.0.2.1", false, 0ms));
    far.emplace(simulation, place("far relay", "192.0.3.1", false, 5ms));
    a.emplace(simulation, place("a", "203.0.113.1", true, 10ms));
    b.emplace(simulation, place("b", "203.0.113.2", true, 10ms));
    near->serve_as_relay(near_limits);
    far->serve_as_relay();
    for (auto* node : {&near, &far, &a, &b})
      (*node)->announce();
    for (auto* node : {&a, &b}) {
      (*node)->use_relay(*near);
      (*node)->use_relay(*far);
      (*node)->listen([this](Instant, const NodeEvent& event) {
        if (std::holds_alternative<RelayUp>(event)) ++relays_up;
        if (std::holds_alternative<PeerDisconnected>(event)) ++disconnected;
      });
    }
  }

  HostId place(const std::string& name, const char* address, bool home, Duration one_way) {
    Network& network = simulation.network();
    const HostId host = network.add_host(name).value();
    RealmId realm = internet;
    IpAddress ip = IpAddress::parse(address).value();
    LinkConfig access = link_of(one_way, rate);
    if (home) {
      const NatPlacement placement{name + " NAT", internet, {ip}, symmetric, {access, access}};
      realm = network.inside(network.add_nat(placement).value());
      ip = IpAddress::v4({192, 168, 1, 2});
      access = link_of(100us, rate);
    }
    EXPECT_TRUE(network.add_interface(host, {"if", realm, ip, {access, access}}));
    return host;
  }

  bool dial() {
    if (!simulation.run_until([&] { return relays_up >= 4; }, simulation.elapsed() + 5s)) {
      return false;
    }
    EXPECT_TRUE(a->command([&](NodeCore& core, Instant now) {
      return core.connect(now, b->id(), std::span<const NetworkPath>{});
    }));
    const auto connected = [&] {
      return a->core().connectivity().connected(b->id()) &&
             b->core().connectivity().connected(a->id());
    };
    return bool(simulation.run_until(connected, simulation.elapsed() + 5s));
  }

  /// The relay beneath the connection, as the dialler has it.
  [[nodiscard]] std::optional<NodeId> relay_in_use() const {
    auto path = a->core().connectivity().current_path(b->id());
    return path ? a->core().resolve_relay(*path) : std::nullopt;
  }

  Simulation simulation;
  std::uint64_t rate;
  std::optional<MeshNode> near;
  std::optional<MeshNode> far;
  std::optional<MeshNode> a;
  std::optional<MeshNode> b;
  int relays_up = 0;
  int disconnected = 0;
};

// A home and a standby relay are enough: of a third a node has nothing, and keeps no connection to
// it, but for one that the application wants too.
TEST(ThirdRelay, is_not_stayed_connected_to) {
  for (const bool wanted : {false, true}) {
    World world(5);
    MeshNode third(world.simulation, world.place("third relay", "192.0.4.1", false, 50ms));
    third.serve_as_relay();
    third.announce();
    world.a->use_relay(third);
    ASSERT_TRUE(world.simulation.run_until(
        [&] { return world.a->core().connectivity().connected(third.id()); },
        world.simulation.elapsed() + 5s));
    if (wanted) {
      world.a->command([&](NodeCore& core, Instant now) {
        (void)core.connect(now, third.id(), std::span<const NetworkPath>{});  // it is connected
      });
    }
    ASSERT_TRUE(world.simulation.run_for(20s));
    const Connectivity& connectivity = world.a->core().connectivity();
    EXPECT_EQ(connectivity.connected(third.id()), wanted);
    EXPECT_TRUE(connectivity.connected(world.near->id()));
    EXPECT_TRUE(connectivity.connected(world.far->id()));
  }
}

class TwoRelays : public testing::TestWithParam<bool> {};

TEST_P(TwoRelays, a_relay_that_dies_is_left_for_the_other) {
  std::vector<double> stalls;
  for (std::uint64_t seed = 1; seed <= 3; ++seed) {
    World world(seed);
    ASSERT_TRUE(world.dial());
    (void)world.simulation.run_for(2s);  // both legs are known to both
    const auto used = world.relay_in_use();
    ASSERT_TRUE(used);
    MeshNode& from = GetParam() ? *world.a : *world.b;
    MeshNode& to = GetParam() ? *world.b : *world.a;
    VerifiedTransfer transfer(from, to, 12'000'000, seed);
    (void)world.simulation.run_for(500ms);
    ASSERT_FALSE(transfer.finished());
    const Instant killed = world.simulation.now();
    world.simulation.host(*used == world.near->id() ? world.near->host() : world.far->host())
        .stop();
    const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 60s);
    ASSERT_TRUE(result) << result.message << transfer.trouble() << " seed " << seed;
    EXPECT_EQ(transfer.wrong_bytes(), 0u);
    EXPECT_EQ(world.disconnected, 0) << "the same connection";
    EXPECT_NE(world.relay_in_use(), used);
    const Duration stall = transfer.longest_gap(killed, world.simulation.now());
    EXPECT_LE(stall, 1500ms) << "seed " << seed;
    stalls.push_back(std::chrono::duration<double, std::milli>(stall).count());
  }
  for (const double stall : stalls)
    std::printf("stall %.0f ms\n", stall);
}

// It drops what is too much: the payload shows that before the relay's word does.
TEST_P(TwoRelays, one_that_cannot_carry_the_transfer_is_left_for_the_other) {
  RelayLimits narrow;
  narrow.client_bytes_per_s = narrow.total_bytes_per_s = 125'000;
  World world(1, narrow);
  ASSERT_TRUE(world.dial());
  (void)world.simulation.run_for(2s);
  MeshNode& from = GetParam() ? *world.a : *world.b;
  MeshNode& to = GetParam() ? *world.b : *world.a;
  ASSERT_EQ(world.relay_in_use(), world.near->id());
  VerifiedTransfer transfer(from, to, 12'000'000, 1);
  const Instant began = world.simulation.now();
  const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 120s);
  ASSERT_TRUE(result) << result.message << transfer.trouble();
  EXPECT_EQ(transfer.wrong_bytes(), 0u);
  EXPECT_EQ(world.disconnected, 0) << "the same connection";
  EXPECT_EQ(world.relay_in_use(), world.far->id());
  EXPECT_LT(world.simulation.now() - began, 60s) << "the near relay alone takes 96 s";
}

TEST_P(TwoRelays, one_that_says_it_is_overloaded_is_left_and_not_come_back_to) {
  RelayLimits few;
  few.sessions = 1;
  World world(1, few, 10'000'000);
  ASSERT_TRUE(world.dial());
  (void)world.simulation.run_for(2s);
  ASSERT_EQ(world.relay_in_use(), world.near->id());
  MeshNode& from = GetParam() ? *world.a : *world.b;
  MeshNode& to = GetParam() ? *world.b : *world.a;
  VerifiedTransfer transfer(from, to, 30'000'000, 1);  // longer than it takes to ask for the load
  const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 120s);
  ASSERT_TRUE(result) << result.message << transfer.trouble();
  EXPECT_EQ(transfer.wrong_bytes(), 0u);
  EXPECT_EQ(world.disconnected, 0) << "the same connection";
  EXPECT_EQ(world.relay_in_use(), world.far->id());
  (void)world.simulation.run_for(2min);
  EXPECT_EQ(world.relay_in_use(), world.far->id());
}

INSTANTIATE_TEST_SUITE_P(Senders, TwoRelays, testing::Values(true, false), [](const auto& one) {
  return one.param ? "dialler_sends" : "acceptor_sends";
});

}  // namespace
}  // namespace quicmesh::sim
