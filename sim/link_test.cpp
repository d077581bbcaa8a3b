#include "sim/link.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace quicmesh::sim {
namespace {

constexpr std::size_t packet_bytes = 1250;  // 10,000 bits: 100 us at 100 Mbit/s
constexpr std::size_t payload_bytes = 1222;

Instant at(Duration offset) {
  return Instant{} + offset;
}

LinkVerdict enter(Link& link, Instant now) {
  return link.enter(now, packet_bytes, payload_bytes);
}

TEST(Link, delays_by_its_delay_and_serialisation_time) {
  Link link({.delay = 10ms, .bits_per_s = 100'000'000}, Rng(1));
  EXPECT_EQ(enter(link, at(1s)).arrives, at(1s + 10ms + 100us));
  EXPECT_EQ(enter(link, at(1s)).arrives, at(1s + 10ms + 200us)) << "the line was busy";
  EXPECT_EQ(enter(link, at(2s)).arrives, at(2s + 10ms + 100us)) << "the line was idle again";
}

TEST(Link, without_rate_never_queues) {
  Link link({.delay = 3ms, .queue_bytes = 0}, Rng(1));
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(enter(link, at(1s)).arrives, at(1s + 3ms));
}

TEST(Link, drops_the_tail_when_the_backlog_would_exceed_the_queue) {
  Link link({.bits_per_s = 100'000'000, .queue_bytes = 10 * packet_bytes}, Rng(1));
  for (int i = 0; i < 10; ++i)
    EXPECT_FALSE(enter(link, at(1s)).dropped) << i;
  EXPECT_EQ(enter(link, at(1s)).dropped, LinkDrop::queue_full);
  EXPECT_FALSE(enter(link, at(1s + 100us)).dropped) << "one has left";
  EXPECT_EQ(enter(link, at(1s + 100us)).dropped, LinkDrop::queue_full);
  EXPECT_EQ(link.counters().dropped_for(LinkDrop::queue_full), 2u);
  EXPECT_EQ(link.counters().accepted, 11u);
  EXPECT_EQ(link.counters().accepted_bytes, 11 * packet_bytes);
}

TEST(Link, takes_one_datagram_when_idle_however_small_the_queue) {
  Link link({.bits_per_s = 100'000'000, .queue_bytes = 1}, Rng(1));
  EXPECT_FALSE(enter(link, at(1s)).dropped);
  EXPECT_EQ(enter(link, at(1s)).dropped, LinkDrop::queue_full);
}

TEST(Link, drops_and_counts_what_exceeds_the_mtu) {
  Link link({.mtu_bytes = 1280}, Rng(1));
  EXPECT_FALSE(link.enter(at(0s), 1280, 1252).dropped);
  EXPECT_EQ(link.enter(at(0s), 1281, 1253).dropped, LinkDrop::too_big);
  EXPECT_EQ(link.counters().dropped_for(LinkDrop::too_big), 1u);
}

TEST(Link, swallows_everything_in_a_blackhole_and_carries_again_after_it) {
  Link link({}, Rng(1));
  link.set_state(LinkState::blackhole);
  EXPECT_EQ(enter(link, at(0s)).dropped, LinkDrop::blackhole);
  link.set_state(LinkState::carrying);
  EXPECT_FALSE(enter(link, at(0s)).dropped);
  EXPECT_EQ(link.counters().dropped_for(LinkDrop::blackhole), 1u);
}

struct LossCase {
  Loss loss;
  double rate;
  double burst;
};

// Each figure is a mean over 400,000 datagrams and five seeds; a burst chain's standard error is
// below 2 % of the value in every case here, the bounds are 6 %.
TEST(Link, loses_at_the_average_rate_in_bursts_of_the_mean_length) {
  const std::vector<LossCase> cases = {
      {{.rate = {2, 100}, .mean_burst = {4, 1}}, 0.02, 4},
      {{.rate = {10, 100}, .mean_burst = {5, 2}}, 0.10, 2.5},
      {{.rate = {25, 100}, .mean_burst = {8, 1}}, 0.25, 8},
      {Loss::independent({10, 100}), 0.10, 1 / 0.9},
  };
  for (const LossCase& wanted : cases) {
    double lost = 0;
    double bursts = 0;
    double total = 0;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
      Link link({.loss = wanted.loss}, Rng(seed));
      bool before = false;
      for (int i = 0; i < 400'000; ++i) {
        const bool now = enter(link, at(0s)).dropped.has_value();
        lost += now;
        bursts += now && !before;
        before = now;
        ++total;
      }
    }
    EXPECT_NEAR(lost / total, wanted.rate, wanted.rate * 0.06);
    EXPECT_NEAR(lost / bursts, wanted.burst, wanted.burst * 0.06);
  }
}

TEST(Link, jitters_within_its_bound_and_keeps_the_order) {
  Link link({.delay = 10ms, .jitter = 4ms}, Rng(7));
  Instant last{};
  Duration smallest = 1h;
  Duration largest{};
  for (int i = 0; i < 20'000; ++i) {
    const Instant sent = at(Duration{10ms} * i);
    const Instant arrives = enter(link, sent).arrives;
    ASSERT_GE(arrives, last);
    last = arrives;
    smallest = std::min(smallest, arrives - sent);
    largest = std::max(largest, arrives - sent);
  }
  EXPECT_GE(smallest, 10ms);
  EXPECT_LT(smallest, 10ms + 100us);
  EXPECT_LE(largest, 14ms);
  EXPECT_GT(largest, 13ms + 900us);

  Link dense({.jitter = 4ms}, Rng(7));
  last = {};
  for (int i = 0; i < 1000; ++i) {
    const Instant arrives = enter(dense, at(1us * i)).arrives;
    ASSERT_GE(arrives, last) << "dense traffic is not reordered by jitter";
    last = arrives;
  }
}

TEST(Link, reorders_only_what_it_chooses_and_lets_the_rest_pass) {
  Link link({.delay = 10ms, .reorder = {5, 100}, .reorder_by = 3ms}, Rng(3));
  std::uint64_t held = 0;
  for (int i = 0; i < 100'000; ++i) {
    const Instant sent = at(10us * i);
    const Instant arrives = enter(link, sent).arrives;
    ASSERT_TRUE(arrives == sent + 10ms || arrives == sent + 13ms);
    held += arrives == sent + 13ms;
  }
  EXPECT_EQ(held, link.counters().reordered);
  EXPECT_NEAR(static_cast<double>(held), 5000, 300);
}

TEST(Link, duplicates_and_flips_bits_at_their_rates) {
  Link link({.duplicate = {5, 100}, .bit_flip = {1, 1000}}, Rng(4));
  std::uint64_t copies = 0;
  std::uint64_t flips = 0;
  for (int i = 0; i < 100'000; ++i) {
    const LinkVerdict verdict = enter(link, at(0s));
    copies += verdict.copy_arrives.has_value();
    if (verdict.flip_bit) {
      ++flips;
      ASSERT_LT(*verdict.flip_bit, payload_bytes * 8);
    }
  }
  EXPECT_EQ(copies, link.counters().duplicated);
  EXPECT_EQ(flips, link.counters().bits_flipped);
  EXPECT_NEAR(static_cast<double>(copies), 5000, 300);
  EXPECT_NEAR(static_cast<double>(flips), 100, 40);
  EXPECT_FALSE(link.enter(at(0s), 28, 0).flip_bit) << "an empty payload has no bit";
}

TEST(Link, keeps_its_backlog_in_bytes_when_the_rate_changes) {
  Link link({.bits_per_s = 100'000'000}, Rng(1));
  for (int i = 0; i < 10; ++i)
    (void)enter(link, at(1s));  // 12,500 bytes: 1 ms at 100 Mbit/s
  link.set_config(at(1s), {.bits_per_s = 10'000'000});
  EXPECT_EQ(enter(link, at(1s)).arrives, at(1s + 11ms)) << "10 ms for the backlog, 1 ms for it";
}

TEST(Link, replays_from_its_seed) {
  const LinkConfig config{.jitter = 2ms,
                          .loss = {.rate = {10, 100}, .mean_burst = {3, 1}},
                          .reorder = {1, 20},
                          .duplicate = {1, 20},
                          .bit_flip = {1, 100}};
  auto run = [&](std::uint64_t seed) {
    Link link(config, Rng(seed));
    std::vector<Instant> arrivals;
    for (int i = 0; i < 500; ++i)
      arrivals.push_back(enter(link, at(1ms * i)).arrives);
    return arrivals;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(Link, check_refuses_what_no_link_can_be) {
  EXPECT_TRUE(check({}));
  EXPECT_TRUE(check({.loss = {.rate = {1, 2}, .mean_burst = {1, 1}}})) << "alternating";
  EXPECT_FALSE(check({.loss = {.rate = {51, 100}, .mean_burst = {1, 1}}})) << "no such chain";
  EXPECT_FALSE(check({.loss = {.rate = {1, 1}}}));
  EXPECT_FALSE(check({.loss = {.rate = {1, 10}, .mean_burst = {1, 2}}})) << "bursts below one";
  EXPECT_FALSE(check({.reorder = {3, 2}}));
  EXPECT_FALSE(check({.duplicate = {1, 0}}));
  EXPECT_FALSE(check({.bit_flip = {1, ratio_term_max + 1}}));
  EXPECT_FALSE(check({.delay = -1ns}));
  EXPECT_FALSE(check({.queue_bytes = link_queue_bytes_max + 1}));
  EXPECT_FALSE(check({.mtu_bytes = 0}));
}

}  // namespace
}  // namespace quicmesh::sim
