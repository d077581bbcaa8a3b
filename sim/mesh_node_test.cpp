// Whole nodes in virtual time: transfers, path switches, rescue, simultaneous dials.
#include "sim/mesh_node.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/two_paths_for_tests.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {
namespace {

TEST(MeshNode, two_nodes_connect_and_transfer) {
  TwoPaths world(1);
  ASSERT_TRUE(world.connect({world.slow_path()}));
  VerifiedTransfer transfer(*world.dialler, *world.acceptor, 2'000'000, 1);
  const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 60s);
  EXPECT_TRUE(result) << result.message << transfer.trouble();
  EXPECT_EQ(transfer.wrong_bytes(), 0u);
}

TEST(MeshNode, a_run_replays_to_the_same_trace_hash) {
  const auto run = [](std::uint64_t seed) {
    TwoPaths world(seed);
    EXPECT_TRUE(world.connect({world.slow_path(), world.fast_path()}));
    VerifiedTransfer transfer(*world.dialler, *world.acceptor, 1'000'000, seed);
    EXPECT_TRUE(world.simulation.run_until([&] { return transfer.finished(); }, 60s));
    return world.simulation.trace().hash();
  };
  EXPECT_EQ(run(5), run(5));
  EXPECT_NE(run(5), run(6));
}

// S1.45, S1.46: planned migration by the dialler in mid-transfer, both directions of data.
TEST(MeshNode, the_dialler_moves_to_a_better_path_in_mid_transfer) {
  for (const bool dialler_sends : {true, false}) {
    TwoPaths world(2);
    ASSERT_TRUE(world.connect({world.slow_path(), world.fast_path()}));
    MeshNode& from = dialler_sends ? *world.dialler : *world.acceptor;
    MeshNode& to = dialler_sends ? *world.acceptor : *world.dialler;
    VerifiedTransfer transfer(from, to, 20'000'000, 1);
    ASSERT_TRUE(world.simulation.run_for(1s));
    const auto moved = world.dialler->command([&](NodeCore& core, Instant now) {
      return core.connectivity().move(now, world.acceptor->id(), world.fast_path());
    });
    ASSERT_TRUE(moved) << moved.error().message();
    const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 60s);
    EXPECT_TRUE(result) << result.message << transfer.trouble();
    EXPECT_EQ(transfer.wrong_bytes(), 0u);
    EXPECT_EQ(world.dialler->core().connectivity().current_path(world.acceptor->id()),
              world.fast_path());
    EXPECT_EQ(world.acceptor->core().connectivity().current_path(world.dialler->id()),
              world.fast_path_seen_by_acceptor());
  }
}

TEST(MeshNode, the_acceptor_asks_for_a_better_path_and_the_dialler_follows) {
  TwoPaths world(3);
  ASSERT_TRUE(world.connect({world.slow_path(), world.fast_path()}));
  ASSERT_TRUE(world.simulation.run_for(1s));
  const auto asked = world.acceptor->command([&](NodeCore& core, Instant now) {
    return core.connectivity().suggest(now, world.dialler->id(),
                                       world.fast_path_seen_by_acceptor());
  });
  ASSERT_TRUE(asked) << asked.error().message();
  ASSERT_TRUE(world.simulation.run_for(1s));
  EXPECT_EQ(world.dialler->core().connectivity().current_path(world.acceptor->id()),
            world.fast_path());
}

// The path in use dies without a word, whoever is sending; the other one is taken.
TEST(MeshNode, a_silently_dead_path_is_left_by_either_sender) {
  for (const bool dialler_sends : {true, false}) {
    TwoPaths world(4);
    ASSERT_TRUE(world.connect({world.fast_path(), world.slow_path()}));
    ASSERT_TRUE(world.simulation.run_for(1s));
    MeshNode& from = dialler_sends ? *world.dialler : *world.acceptor;
    MeshNode& to = dialler_sends ? *world.acceptor : *world.dialler;
    VerifiedTransfer transfer(from, to, 60'000'000, 1);
    ASSERT_TRUE(world.simulation.run_for(500ms));
    Network& network = world.simulation.network();
    network.set_link_state(world.links(world.fast).up, LinkState::blackhole);
    network.set_link_state(world.links(world.fast).down, LinkState::blackhole);
    const Instant died = world.simulation.now();
    const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 60s);
    EXPECT_TRUE(result) << result.message << transfer.trouble();
    EXPECT_EQ(transfer.wrong_bytes(), 0u);
    EXPECT_LT(transfer.longest_gap(died, died + 10s), 500ms);
    // The dialler moves for a rescue, its own or the acceptor's; `why` has the chain.
    const Explanation why =
        world.dialler->core().explain(world.simulation.now(), world.acceptor->id());
    const auto moved = std::ranges::find(why.decisions, "moved", &DecisionReport::kind);
    ASSERT_NE(moved, why.decisions.end());
    // Where the acceptor sends, either may notice first.
    const bool rescued =
        std::ranges::count(moved->fields, DecisionField{"rule", std::string("rescue")}) > 0;
    const bool hinted =
        std::ranges::count(moved->fields, DecisionField{"rule", std::string("hint")}) > 0;
    EXPECT_TRUE(rescued || (hinted && !dialler_sends)) << moved->text;
    EXPECT_NE(moved->text.find("198.51.100.2"), std::string::npos) << moved->text;
    EXPECT_EQ(why.remote, world.slow_path().remote);
    const auto held = std::ranges::find(why.decisions, "held_down", &DecisionReport::kind);
    EXPECT_EQ(held != why.decisions.end(), rescued);
  }
}

TEST(MeshNode, without_another_path_a_dead_one_is_waited_for) {
  TwoPaths world(5);
  ASSERT_TRUE(world.connect({world.fast_path()}));
  VerifiedTransfer transfer(*world.dialler, *world.acceptor, 20'000'000, 1);
  ASSERT_TRUE(world.simulation.run_for(200ms));
  Network& network = world.simulation.network();
  const LinkId up = world.links(world.fast).up;
  network.set_link_state(up, LinkState::blackhole);
  ASSERT_TRUE(world.simulation.run_for(5s));
  network.set_link_state(up, LinkState::carrying);
  const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 60s);
  EXPECT_TRUE(result) << result.message << transfer.trouble();
}

// Simultaneous dials end in one connection, and what was begun on the other is not lost.
TEST(MeshNode, simultaneous_dials_end_in_one_connection_and_lose_nothing) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    TwoPaths world(seed);
    Rng rng = world.simulation.rng("stagger");
    const Duration stagger = rng.between(0ms, 60ms);
    const auto path_back =
        world.acceptor->path(world.slow[1], world.dialler->address(world.slow[0]));
    (void)world.dialler->command([&](NodeCore& core, Instant now) {
      return core.connect(now, world.acceptor->id(), std::vector{world.slow_path()});
    });
    world.simulation.after(stagger, [&] {
      (void)world.acceptor->command([&](NodeCore& core, Instant now) {
        return core.connect(now, world.dialler->id(), std::vector{path_back});
      });
    });
    // Each side starts a transfer the moment it is connected, on whichever connection that is.
    std::optional<VerifiedTransfer> forth;
    std::optional<VerifiedTransfer> back;
    const auto connected = [](const MeshNode& a, const MeshNode& b) {
      return a.core().connectivity().connected(b.id());
    };
    const auto step = [&] {
      if (!forth && connected(*world.dialler, *world.acceptor)) {
        forth.emplace(*world.dialler, *world.acceptor, 100'000, seed);
      }
      if (!back && connected(*world.acceptor, *world.dialler)) {
        back.emplace(*world.acceptor, *world.dialler, 100'000, seed + 1);
      }
      return forth && back && forth->finished() && back->finished();
    };
    const auto result = world.simulation.run_until(step, 30s);
    EXPECT_TRUE(result) << "seed " << seed << ": " << result.message
                        << (forth ? forth->trouble() : "") << (back ? back->trouble() : "");
    ASSERT_TRUE(world.simulation.run_for(5s));
    EXPECT_EQ(world.dialler->core().connectivity().quic().connections(), 1u) << "seed " << seed;
    EXPECT_EQ(world.acceptor->core().connectivity().quic().connections(), 1u) << "seed " << seed;
  }
}

}  // namespace
}  // namespace quicmesh::sim
