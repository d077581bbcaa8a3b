// Tiers over time: samples, medians, when they are clustered, liars (S1.23 to S1.26, TD10).
#include "tiers/tier_watch.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

constexpr Instant start{1000s};

class TierWatchTest : public testing::Test {
 protected:
  static PeerHandle peer(std::uint32_t number) { return PeerHandle{number}; }

  void measure(std::uint32_t number, Duration rtt, int times = 3) {
    for (int i = 0; i < times; ++i)
      watch.add_sample(now, peer(number), rtt);
  }

  // Three clusters of twenty: about 5, 40 and 200 ms.
  void measure_three_clusters() {
    for (std::uint32_t i = 0; i < 20; ++i) {
      measure(i, 5ms + i * 50us);
      measure(100 + i, 40ms + i * 400us);
      measure(200 + i, 200ms + i * 2ms);
    }
  }

  void cluster_now() {
    now = watch.poll_timeout();
    watch.handle_timeout(now);
  }

  Instant now = start;
  TierConfig config{};
  TierWatch watch{config, Rng(1)};
};

TEST_F(TierWatchTest, S1_25_the_fast_are_in_low_tiers) {
  measure_three_clusters();
  cluster_now();
  ASSERT_EQ(watch.tiers().count, 3);
  for (std::uint32_t i = 0; i < 20; ++i) {
    EXPECT_EQ(watch.tier(peer(i)), 0U);
    EXPECT_EQ(watch.tier(peer(100 + i)), 1U);
    EXPECT_EQ(watch.tier(peer(200 + i)), 2U);
  }
}

TEST_F(TierWatchTest, a_peer_is_measured_after_three_samples) {
  measure(1, 10ms, 2);
  EXPECT_FALSE(watch.rtt(peer(1)));
  EXPECT_FALSE(watch.tier(peer(1)));
  measure(1, 10ms, 1);
  ASSERT_TRUE(watch.rtt(peer(1)));
  EXPECT_NEAR(static_cast<double>(watch.rtt(peer(1))->count()), 10e6, 2e4);
  EXPECT_EQ(watch.tier(peer(1)), 0U);
}

TEST_F(TierWatchTest, two_odd_samples_of_five_move_nobody) {
  measure(1, 10ms, 5);
  const auto before = watch.rtt(peer(1));
  measure(1, 1ms, 2);
  EXPECT_EQ(watch.rtt(peer(1)), before);
  measure(1, 1ms, 1);
  EXPECT_EQ(watch.rtt(peer(1)), Duration(1ms));
}

TEST_F(TierWatchTest, S1_26_a_node_that_becomes_slow_changes_its_tier_at_once) {
  measure_three_clusters();
  cluster_now();
  measure(3, 210ms, 2);
  EXPECT_EQ(watch.tier(peer(3)), 0U);
  measure(3, 210ms, 1);
  EXPECT_EQ(watch.tier(peer(3)), 2U);
}

TEST_F(TierWatchTest, S1_24_clusters_every_period_give_or_take_an_eighth) {
  measure_three_clusters();
  cluster_now();
  Instant before = now;
  for (int i = 0; i < 20; ++i) {
    cluster_now();
    EXPECT_GE(now - before, config.period * 7 / 8);
    EXPECT_LE(now - before, config.period * 9 / 8);
    before = now;
  }
  EXPECT_EQ(watch.counters().clusterings, 21U);
}

TEST_F(TierWatchTest, the_period_is_configurable) {
  TierConfig quick;
  quick.period = 20s;
  TierWatch other(quick, Rng(1));
  for (std::uint32_t i = 0; i < 20; ++i)
    for (int sample = 0; sample < 3; ++sample)
      other.add_sample(now, peer(i), 10ms);
  other.handle_timeout(other.poll_timeout());
  EXPECT_LE(other.poll_timeout() - now, 20s * 9 / 8);
}

TEST_F(TierWatchTest, a_changed_round_trip_brings_the_next_clustering_forward) {
  measure_three_clusters();
  cluster_now();
  now += 1s;
  measure(3, 6ms);  // within half an octave
  EXPECT_GE(watch.poll_timeout() - now, 2min);
  measure(3, 100ms);
  EXPECT_EQ(watch.poll_timeout(), start + config.pause);
  cluster_now();
  EXPECT_GE(watch.poll_timeout() - now, 2min);
}

TEST_F(TierWatchTest, twice_as_many_peers_bring_the_next_clustering_forward) {
  for (std::uint32_t i = 0; i < 8; ++i)
    measure(i, 10ms);
  cluster_now();
  for (std::uint32_t i = 8; i < 15; ++i)
    measure(i, 10ms);
  EXPECT_GE(watch.poll_timeout() - now, 2min);
  measure(15, 10ms);
  EXPECT_LE(watch.poll_timeout() - now, config.pause);
}

TEST_F(TierWatchTest, a_late_or_early_timeout_is_harmless) {
  measure_three_clusters();
  watch.handle_timeout(start - 1s);
  EXPECT_EQ(watch.counters().clusterings, 0U);
  watch.handle_timeout(start + 1h);
  EXPECT_EQ(watch.counters().clusterings, 1U);
  watch.handle_timeout(start + 1h);
  EXPECT_EQ(watch.counters().clusterings, 1U);
}

TEST_F(TierWatchTest, tiers_are_told_once) {
  EXPECT_FALSE(watch.poll_tiers());
  measure_three_clusters();
  cluster_now();
  const auto told = watch.poll_tiers();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->count, 3);
  EXPECT_FALSE(watch.poll_tiers());
  cluster_now();
  EXPECT_FALSE(watch.poll_tiers()) << "nothing has changed";
}

TEST_F(TierWatchTest, TD10_a_liar_that_answers_in_no_time_parts_nobody) {
  measure_three_clusters();
  for (std::uint32_t i = 300; i < 303; ++i)
    measure(i, 0ns);
  cluster_now();
  // Three of sixty-three are too few for a tier; they are at the edge of the fastest.
  ASSERT_EQ(watch.tiers().count, 3);
  EXPECT_EQ(watch.tier(peer(300)), 0U);
  EXPECT_EQ(watch.tier(peer(0)), 0U);
  EXPECT_EQ(watch.tier(peer(100)), 1U);
  EXPECT_EQ(watch.tier(peer(200)), 2U);
}

TEST_F(TierWatchTest, TD10_many_liars_leave_the_order_of_the_others_alone) {
  measure_three_clusters();
  for (std::uint32_t i = 300; i < 330; ++i)
    measure(i, 0ns);
  cluster_now();
  for (std::uint32_t i = 0; i < 20; ++i) {
    EXPECT_EQ(watch.tier(peer(i)), watch.tier(peer(0))) << "a cluster is parted";
    EXPECT_LT(*watch.tier(peer(i)), *watch.tier(peer(100 + i)));
    EXPECT_LT(*watch.tier(peer(100 + i)), *watch.tier(peer(200 + i)));
  }
}

TEST_F(TierWatchTest, identical_round_trips_are_one_tier) {
  for (std::uint32_t i = 0; i < 50; ++i)
    measure(i, 30ms);
  cluster_now();
  EXPECT_EQ(watch.tiers().count, 1);
}

TEST_F(TierWatchTest, the_border_belongs_to_the_slower_tier) {
  measure_three_clusters();
  cluster_now();
  for (const Duration rtt : {1ms, 5ms, 14ms, 15ms, 40ms, 89ms, 91ms, 200ms, 9000ms}) {
    const std::size_t tier = watch.tiers().tier_of(rtt);
    EXPECT_EQ(tier, rtt < 20ms ? 0U : rtt < 100ms ? 1U : 2U) << rtt.count();
  }
}

TEST_F(TierWatchTest, peers_are_bounded_and_the_longest_silent_goes) {
  TierConfig small;
  small.peers_max = 10;
  TierWatch other(small, Rng(1));
  for (std::uint32_t i = 0; i < 30; ++i) {
    for (int sample = 0; sample < 3; ++sample)
      other.add_sample(now, peer(i), 10ms);
    now += 1s;
    other.add_sample(now, peer(0), 10ms);
  }
  EXPECT_EQ(other.size(), 10U);
  EXPECT_EQ(other.counters().evicted, 20U);
  EXPECT_TRUE(other.rtt(peer(0)));
  EXPECT_FALSE(other.rtt(peer(20)));
  EXPECT_TRUE(other.rtt(peer(29)));
}

TEST_F(TierWatchTest, a_removed_peer_is_unknown_and_counts_no_more) {
  for (std::uint32_t i = 0; i < 8; ++i)
    measure(i, 10ms);
  watch.remove(peer(3));
  watch.remove(peer(3));
  watch.remove(peer(77));
  EXPECT_FALSE(watch.rtt(peer(3)));
  EXPECT_EQ(watch.size(), 7U);
  cluster_now();
  EXPECT_EQ(watch.tiers().count, 1);
}

TEST_F(TierWatchTest, an_endless_stream_of_samples_is_counted_right) {
  measure_three_clusters();
  for (int i = 0; i < 100; ++i) {
    measure(1, i % 2 == 0 ? Duration(5ms) : Duration(5100us), 1);
    EXPECT_TRUE(watch.rtt(peer(1)));
  }
  EXPECT_EQ(watch.size(), 60U);
}

}  // namespace
}  // namespace quicmesh
