// Paths that are not dead but ill: one way only, too narrow, too slow. The connection leaves them
// for another one, whoever sends and whoever dialled.
#include <gtest/gtest.h>

#include "sim/two_paths_for_tests.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {
namespace {

struct Case {
  bool up_ails = false;  // from the dialler to the acceptor
  bool down_ails = false;
  bool dialler_sends = false;
  bool acceptor_sends = false;
};

std::string to_text(const Case& one) {
  std::string text = one.up_ails && one.down_ails ? "both ways" : one.up_ails ? "up" : "down";
  if (one.dialler_sends) text += ", the dialler sends";
  if (one.acceptor_sends) text += ", the acceptor sends";
  return text;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int ails = 1; ails <= 3; ++ails) {
    for (int sends = 1; sends <= 3; ++sends)
      all.push_back({(ails & 1) != 0, (ails & 2) != 0, (sends & 1) != 0, (sends & 2) != 0});
  }
  return all;
}

// Connects over the fast path, starts what is sent, lets `fall_ill(link)` do its work on the links
// concerned, and tells how long a reader saw nothing within ten seconds of that.
template <class FallIll>
Duration longest_stall(const Case& one, const FallIll& fall_ill) {
  TwoPaths world(9);
  EXPECT_TRUE(world.connect({world.fast_path(), world.slow_path()}));
  EXPECT_TRUE(world.simulation.run_for(1s));
  std::optional<VerifiedTransfer> forth;
  std::optional<VerifiedTransfer> back;
  constexpr std::uint64_t bytes = 12'000'000;
  if (one.dialler_sends) forth.emplace(*world.dialler, *world.acceptor, bytes, 1);
  if (one.acceptor_sends) back.emplace(*world.acceptor, *world.dialler, bytes, 2);
  EXPECT_TRUE(world.simulation.run_for(200ms));
  const Network::Links links = world.links(world.fast);
  if (one.up_ails) fall_ill(world, links.up);
  if (one.down_ails) fall_ill(world, links.down);
  const Instant ill_at = world.simulation.now();
  const auto over = [](const auto& transfer) { return !transfer || transfer->finished(); };
  const auto result = world.simulation.run_until([&] { return over(forth) && over(back); }, 120s);
  EXPECT_TRUE(result) << to_text(one) << ": " << result.message;
  Duration stall{};
  for (const auto* transfer : {&forth, &back}) {
    if (!*transfer) continue;
    EXPECT_EQ((*transfer)->wrong_bytes(), 0u);
    EXPECT_EQ((*transfer)->trouble(), "") << to_text(one);
    stall = std::max(stall, (*transfer)->longest_gap(ill_at, ill_at + 60s));
  }
  return stall;
}

TEST(AilingPath, one_that_carries_one_way_only_is_left) {
  for (const Case& one : cases()) {
    const Duration stall = longest_stall(one, [](TwoPaths& world, LinkId link) {
      world.simulation.network().set_link_state(link, LinkState::blackhole);
    });
    EXPECT_LT(stall, 500ms) << to_text(one);
  }
}

// Probes and acknowledgements pass, payload does not.
TEST(AilingPath, one_that_lets_only_small_packets_through_is_left) {
  for (const Case& one : cases()) {
    const Duration stall = longest_stall(one, [](TwoPaths& world, LinkId link) {
      LinkConfig narrow = world.simulation.network().link(link).config();
      narrow.mtu_bytes = 600;
      EXPECT_TRUE(world.simulation.network().set_link(world.simulation.now(), link, narrow));
    });
    EXPECT_LT(stall, 3s) << to_text(one);
  }
}

// From 6 to 60 ms, where the other one has 40: nobody is silent for long enough to be rescued.
TEST(AilingPath, one_that_became_slow_is_left_by_choice) {
  TwoPaths world(9);
  world.dialler->command([](NodeCore& core, Instant) { core.connectivity().choose_paths(true); });
  ASSERT_TRUE(world.connect({world.fast_path(), world.slow_path()}));
  ASSERT_TRUE(world.simulation.run_for(10s));
  const auto current = [&] {
    return world.dialler->core().connectivity().current_path(world.acceptor->id());
  };
  ASSERT_EQ(current(), world.fast_path());
  for (const LinkId link : {world.links(world.fast).up, world.links(world.fast).down}) {
    ASSERT_TRUE(
        world.simulation.network().set_link(world.simulation.now(), link, link_of(30ms, 300)));
  }
  ASSERT_TRUE(world.simulation.run_for(40s));
  EXPECT_EQ(current(), world.slow_path());
}

}  // namespace
}  // namespace quicmesh::sim
