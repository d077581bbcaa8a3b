// Networks that change under a connection, and a node that sleeps: NATs rebind, addresses change,
// interfaces go down. What was begun goes on, in the same connection, whoever sends and whoever
// dialled.
#include <gtest/gtest.h>

#include "sim/traversal_world.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::uint64_t file_bytes = 10'000'000;

// A connection between `a`, who dials, and `b`, as direct as can be, with a transfer under way.
struct Exchange {
  Exchange(std::optional<NatConfig> left, std::optional<NatConfig> right, bool a_sends)
      : world(7, left, right) {
    EXPECT_TRUE(world.dial());
    EXPECT_TRUE(world.simulation.run_until([&] { return !world.relayed(); },
                                           world.simulation.elapsed() + 5s));
    transfer.emplace(a_sends ? *world.a : *world.b, a_sends ? *world.b : *world.a, file_bytes, 1);
    run(300ms);
  }

  void run(Duration time) { EXPECT_TRUE(world.simulation.run_for(time)); }
  /// True if all bytes came, unchanged, in the connection in which they began.
  [[nodiscard]] testing::AssertionResult ends_well() {
    const auto result = world.simulation.run_until([&] { return transfer->finished(); },
                                                   world.simulation.elapsed() + 60s);
    if (!result) return testing::AssertionFailure() << result.message << transfer->trouble();
    if (transfer->wrong_bytes() > 0) return testing::AssertionFailure() << "wrong bytes";
    if (world.disconnected > 0) return testing::AssertionFailure() << "disconnected";
    return testing::AssertionSuccess();
  }
  [[nodiscard]] Duration stall_since(Instant since) const {
    return transfer->longest_gap(since, since + 60s);
  }
  /// Both ways, a little: whether the two still have each other.
  [[nodiscard]] testing::AssertionResult still_talk() {
    VerifiedTransfer forth(*world.a, *world.b, 1000, 2);
    VerifiedTransfer back(*world.b, *world.a, 1000, 3);
    const auto result = world.simulation.run_until(
        [&] { return forth.finished() && back.finished(); }, world.simulation.elapsed() + 20s);
    if (!result || world.disconnected > 0) {
      return testing::AssertionFailure() << result.message << forth.trouble() << back.trouble();
    }
    return testing::AssertionSuccess();
  }
  void rebind(const char* nat) {
    world.simulation.network().rebind_nat(world.simulation.network().find_nat(nat).value());
  }
  [[nodiscard]] InterfaceId interface_of(const MeshNode& node) {
    return world.simulation.network().interfaces_of(node.host())[0];
  }

  TraversalWorld world;
  std::optional<VerifiedTransfer> transfer;
};

struct Rebinding {
  const char* name;
  std::optional<NatConfig> left;
  NatConfig right;
};

// S1.43: behind open and behind filtering NATs. Behind two that filter, the relay is what is left.
class AcceptorRebinding : public testing::TestWithParam<Rebinding> {};

TEST_P(AcceptorRebinding, loses_nothing) {
  for (const bool a_sends : {true, false}) {
    Exchange exchange(GetParam().left, GetParam().right, a_sends);
    for (int round = 0; round < 2; ++round) {
      const Instant rebound = exchange.world.simulation.now();
      exchange.rebind("b NAT");
      exchange.run(300ms);
      EXPECT_LE(exchange.stall_since(rebound), 1s);
    }
    EXPECT_TRUE(exchange.ends_well()) << a_sends;
  }
}

TEST_P(AcceptorRebinding, is_survived_by_an_idle_connection) {
  Exchange exchange(GetParam().left, GetParam().right, true);
  ASSERT_TRUE(exchange.ends_well());
  exchange.run(15s);
  exchange.rebind("b NAT");
  exchange.run(2min);
  EXPECT_TRUE(exchange.still_talk());
}

INSTANTIATE_TEST_SUITE_P(
    Nats, AcceptorRebinding,
    testing::Values(Rebinding{"none_full_cone", {}, full_cone},
                    Rebinding{"none_restricted", {}, restricted_cone},
                    Rebinding{"none_port_restricted", {}, port_restricted},
                    Rebinding{"full_cone_full_cone", full_cone, full_cone},
                    Rebinding{"port_restricted_full_cone", port_restricted, full_cone},
                    Rebinding{"port_restricted_twice", port_restricted, port_restricted}),
    [](const auto& one) { return std::string(one.param.name); });

// S1.53, S1.54, U2: a phone that goes from Wi-Fi to a mobile network has another address all of a
// sudden.
TEST(ChangingNetwork, a_new_address_of_either_end_costs_less_than_a_second) {
  for (const bool dialler_moves : {true, false}) {
    for (const bool a_sends : {true, false}) {
      Exchange exchange({}, {}, a_sends);
      MeshNode& mover = dialler_moves ? *exchange.world.a : *exchange.world.b;
      const Instant moved = exchange.world.simulation.now();
      ASSERT_TRUE(exchange.world.simulation.network().change_address(
          exchange.interface_of(mover), IpAddress::v4({203, 0, 113, 77})));
      mover.network_changed();
      EXPECT_TRUE(exchange.ends_well()) << dialler_moves << a_sends;
      EXPECT_LE(exchange.stall_since(moved), 1s) << dialler_moves << a_sends;
    }
  }
}

TEST(ChangingNetwork, an_idle_connection_knows_the_new_address_at_once) {
  for (const bool dialler_moves : {true, false}) {
    Exchange exchange({}, {}, true);
    ASSERT_TRUE(exchange.ends_well());
    exchange.run(20s);
    MeshNode& mover = dialler_moves ? *exchange.world.a : *exchange.world.b;
    const MeshNode& other = dialler_moves ? *exchange.world.b : *exchange.world.a;
    const IpAddress fresh = IpAddress::v4({203, 0, 113, 77});
    ASSERT_TRUE(
        exchange.world.simulation.network().change_address(exchange.interface_of(mover), fresh));
    mover.network_changed();
    exchange.run(1s);
    EXPECT_EQ(other.core().connectivity().current_path(mover.id())->remote.ip, fresh);
    EXPECT_TRUE(exchange.still_talk());
  }
}

// S1.R3: what migration saves. From the change to the first thousand bytes at the far end.
TEST(ChangingNetwork, to_move_a_connection_takes_fewer_round_trips_than_to_make_a_new_one) {
  const auto round_trips_until_bytes_arrive = [](bool reconnects) {
    Exchange exchange({}, {}, true);
    EXPECT_TRUE(exchange.ends_well());
    exchange.run(2s);
    TraversalWorld& world = exchange.world;
    const NetworkPath path = world.a->path(exchange.interface_of(*world.a),
                                           world.b->address(exchange.interface_of(*world.b)));
    EXPECT_TRUE(world.simulation.network().change_address(exchange.interface_of(*world.a),
                                                          IpAddress::v4({203, 0, 113, 77})));
    const Instant changed = world.simulation.now();
    if (reconnects) {
      world.a->command([&](NodeCore& core, Instant now) {
        core.disconnect(now, world.b->id(), "the network has changed");
        NetworkPath anew = path;
        anew.local = IpAddress::v4({203, 0, 113, 77});
        return core.connect(now, world.b->id(), std::span(&anew, 1), PathPolicy::direct_only);
      });
      EXPECT_TRUE(world.simulation.run_until([&] { return world.connected(); },
                                             world.simulation.elapsed() + 5s));
    } else {
      world.a->network_changed();
    }
    VerifiedTransfer bytes(*world.a, *world.b, 1000, 2);
    EXPECT_TRUE(world.simulation.run_until([&] { return bytes.finished(); },
                                           world.simulation.elapsed() + 20s));
    const auto took = std::chrono::duration<double>(*bytes.finished_at() - changed);
    return took / std::chrono::duration<double>(40ms);
  };
  const double moved = round_trips_until_bytes_arrive(false);
  const double made = round_trips_until_bytes_arrive(true);
  std::printf("round trips to the first bytes: moved %.1f, made anew %.1f\n", moved, made);
  EXPECT_GE(made - moved, 1.0);
}

TEST(ChangingNetwork, with_a_second_uplink_the_first_one_may_go_down) {
  for (const bool dialler_moves : {true, false}) {
    for (const bool a_sends : {true, false}) {
      Exchange exchange({}, {}, a_sends);
      MeshNode& mover = dialler_moves ? *exchange.world.a : *exchange.world.b;
      Network& network = exchange.world.simulation.network();
      const LinkConfig line = traversal_link(30ms);
      ASSERT_TRUE(network.add_interface(
          mover.host(), {"mobile", internet, IpAddress::v4({203, 0, 113, 66}), {line, line}}));
      const Instant moved = exchange.world.simulation.now();
      network.set_interface_state(exchange.interface_of(mover), InterfaceState::down);
      mover.network_changed();
      EXPECT_TRUE(exchange.ends_well()) << dialler_moves << a_sends;
      EXPECT_LE(exchange.stall_since(moved), 1s) << dialler_moves << a_sends;
    }
  }
}

// S1.53, S1.54: behind a symmetric NAT nobody meets the node where the other end would look for it,
// so the relay carries, and the node has to come to the relay from its new address too.
TEST(ChangingNetwork, the_relay_carries_when_the_second_uplink_is_behind_a_worse_nat) {
  for (const bool dialler_moves : {true, false}) {
    for (const bool a_sends : {true, false}) {
      Exchange exchange(port_restricted, port_restricted, a_sends);
      MeshNode& mover = dialler_moves ? *exchange.world.a : *exchange.world.b;
      Network& network = exchange.world.simulation.network();
      const LinkConfig line = traversal_link(30ms);
      const NatPlacement placement{
          "mobile NAT", internet, {IpAddress::v4({203, 0, 113, 66})}, symmetric, {line, line}};
      const LinkConfig near = traversal_link(0ms);
      ASSERT_TRUE(
          network.add_interface(mover.host(), {"mobile",
                                               network.inside(network.add_nat(placement).value()),
                                               IpAddress::v4({10, 11, 12, 2}),
                                               {near, near}}));
      const Instant moved = exchange.world.simulation.now();
      network.set_interface_state(exchange.interface_of(mover), InterfaceState::down);
      mover.network_changed();
      ASSERT_TRUE(exchange.ends_well()) << dialler_moves << a_sends;
      EXPECT_TRUE(exchange.world.relayed());
      EXPECT_LE(exchange.stall_since(moved), 1s) << dialler_moves << a_sends;
    }
  }
}

TEST(ChangingNetwork, a_relay_tells_anew_where_it_sees_this_node) {
  TraversalWorld world(3, full_cone, full_cone);
  std::vector<SocketAddress> seen;
  world.a->listen([&](Instant, const NodeEvent& event) {
    if (const auto* up = std::get_if<RelayUp>(&event)) seen.push_back(up->observed);
  });
  ASSERT_TRUE(world.dial());
  ASSERT_EQ(seen.size(), 1u);
  world.simulation.network().rebind_nat(world.simulation.network().find_nat("a NAT").value());
  world.a->network_changed();
  ASSERT_TRUE(world.simulation.run_for(1s));
  ASSERT_EQ(seen.size(), 2u);
  EXPECT_EQ(seen[0].ip, seen[1].ip);
  EXPECT_NE(seen[0].port, seen[1].port);
  EXPECT_EQ(world.disconnected, 0);
}

// Nothing has changed: that must not cost anything but a few probes.
TEST(ChangingNetwork, a_false_alarm_moves_nothing) {
  for (const bool a_sends : {true, false}) {
    Exchange exchange(port_restricted, full_cone, a_sends);
    int moves = 0;
    for (auto* node : {&exchange.world.a, &exchange.world.b}) {
      (*node)->listen([&](Instant, const NodeEvent& event) {
        if (std::holds_alternative<PeerPathChanged>(event)) ++moves;
      });
    }
    const Instant alarm = exchange.world.simulation.now();
    exchange.world.a->network_changed();
    exchange.world.b->network_changed();
    EXPECT_TRUE(exchange.ends_well());
    EXPECT_EQ(moves, 0);
    EXPECT_LE(exchange.stall_since(alarm), 200ms);
  }
}

// suspend() and resume().

std::uint64_t packets_from(Exchange& exchange, const MeshNode& node) {
  const Network& network = exchange.world.simulation.network();
  const AttachmentId at = network.attachment_of(network.interfaces_of(node.host())[0]);
  return network.link(network.access_links(at).up).counters().accepted;
}

TEST(Suspension, a_short_one_costs_its_time_and_nothing_else) {
  for (const bool dialler_sleeps : {true, false}) {
    for (const bool a_sends : {true, false}) {
      Exchange exchange({}, {}, a_sends);
      MeshNode& sleeper = dialler_sleeps ? *exchange.world.a : *exchange.world.b;
      sleeper.suspend();
      const std::uint64_t before = packets_from(exchange, sleeper);
      exchange.run(20s);
      EXPECT_EQ(packets_from(exchange, sleeper), before) << "it says nothing";
      const Instant awake = exchange.world.simulation.now();
      sleeper.resume();
      EXPECT_TRUE(exchange.ends_well()) << dialler_sleeps << a_sends;
      ASSERT_TRUE(exchange.transfer->finished());
      EXPECT_LE(*exchange.transfer->finished_at() - awake, 5s) << dialler_sleeps << a_sends;
    }
  }
}

TEST(Suspension, a_long_one_ends_connections_on_both_sides_and_dialling_works_again) {
  for (const bool dialler_sleeps : {true, false}) {
    TraversalWorld world(5, {}, {});
    ASSERT_TRUE(world.dial());
    MeshNode& sleeper = dialler_sleeps ? *world.a : *world.b;
    const MeshNode& other = dialler_sleeps ? *world.b : *world.a;
    sleeper.suspend();
    ASSERT_TRUE(world.simulation.run_for(2min));
    EXPECT_FALSE(other.core().connectivity().connected(sleeper.id())) << "the peer gave it up";
    EXPECT_TRUE(sleeper.core().connectivity().connected(other.id())) << "it sleeps";
    sleeper.resume();
    EXPECT_FALSE(sleeper.core().connectivity().connected(other.id())) << "told at once";
    ASSERT_TRUE(world.simulation.run_for(500ms));
    EXPECT_TRUE(world.dial()) << "over a relay that is connected again";
  }
}

TEST(Suspension, a_suspended_node_can_be_closed) {
  Exchange exchange({}, {}, true);
  ASSERT_TRUE(exchange.ends_well());
  exchange.world.a->suspend();
  exchange.world.a->command([](NodeCore& core, Instant now) { core.begin_close(now); });
  exchange.run(1s);
  EXPECT_FALSE(exchange.world.b->core().connectivity().connected(exchange.world.a->id()));
}

}  // namespace
}  // namespace quicmesh::sim
