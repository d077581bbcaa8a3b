#include "dht/routing_table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.hpp"

namespace quicmesh::dht {
namespace {

constexpr Instant birth{1000h};

struct World {
  Config config;
  Rng rng{11};
  PeerBook book{1 << 20, 5};
  PeerHandle self;
  RoutingTable table;

  explicit World(Config with = {})
      : config(with), self(some_peer()), table(birth, config, book, self) {}

  PeerHandle some_peer() {
    NodeId id;
    rng.fill(id.bytes);
    return book.intern(id);
  }
  PeerHandle peer_in(unsigned bucket, DiversityGroup group = DiversityGroup::not_public) {
    NodeId id{table.random_key_in(bucket, rng).bytes};
    const PeerHandle peer = book.intern(id);
    book.set_group(peer, group);
    return peer;
  }
  /// Answers until its RTT is proved.
  RoutingTable::Place prove(Instant now, PeerHandle peer, Duration rtt) {
    auto place = RoutingTable::Place::refused;
    for (std::size_t i = 0; i < Contact::samples_max; ++i)
      place = table.answered(now, peer, rtt);
    return place;
  }
  std::vector<PeerHandle> fill(unsigned bucket, Duration rtt = 100ms) {
    std::vector<PeerHandle> peers;
    for (std::size_t i = 0; i < table.k(); ++i) {
      peers.push_back(peer_in(bucket));
      EXPECT_EQ(prove(birth, peers.back(), rtt), RoutingTable::Place::live);
    }
    return peers;
  }
  bool is_live(PeerHandle peer) const {
    for (unsigned i = 0; i < table.bucket_count(); ++i) {
      if (std::ranges::count(table.live(i), peer, &Contact::peer) != 0) return true;
    }
    return false;
  }
  std::vector<PeerHandle> nearest(const DhtKey& target, std::size_t count,
                                  RoutingTable::Which which = RoutingTable::Which::answering) {
    std::vector<PeerHandle> peers;
    table.nearest(target, count, which, peers);
    return peers;
  }
};

Config plain() {
  return {.near_buckets = false};
}

TEST(Contact, keeps_an_rtt_in_sixteen_bits_to_one_part_in_two_thousand) {
  for (std::int64_t us = 1; us < 130'000'000; us += 1 + us / 7) {
    const auto kept = CompactRtt(std::chrono::microseconds(us)).duration();
    EXPECT_LE(std::abs(kept / 1us - us) * 2048, us) << us;
  }
  EXPECT_EQ(CompactRtt(4095us).duration(), 4095us);
  EXPECT_EQ(CompactRtt(1h).duration(), CompactRtt(2h).duration());
}

TEST(Contact, tells_the_median_of_its_last_three_samples) {
  Contact contact;
  EXPECT_FALSE(contact.rtt());
  contact.add_sample(300ms);
  EXPECT_FALSE(contact.rtt_proved());
  contact.add_sample(1ms);
  contact.add_sample(20ms);
  EXPECT_TRUE(contact.rtt_proved());
  EXPECT_EQ(*contact.rtt() / 1ms, 20);
  contact.add_sample(500ms);  // 1, 20, 500
  contact.add_sample(400ms);  // 20, 500, 400
  EXPECT_EQ(*contact.rtt() / 1ms, 400);
}

TEST(LatencyTiers, are_intervals_of_the_rtt) {
  LatencyTiers tiers{.longest = {10ms, 50ms}, .count = 3};
  EXPECT_EQ(tiers.tier_of(10ms), 0U);
  EXPECT_EQ(tiers.tier_of(11ms), 1U);
  EXPECT_EQ(tiers.tier_of(5s), 2U);
  EXPECT_EQ(LatencyTiers{}.tier_of(5s), 0U);
}

// S1.16
TEST(RoutingTable, finds_the_nearest_as_a_full_search_does) {
  World world(Config{.k = 8, .near_buckets = false});
  for (int i = 0; i < 2000; ++i)
    (void)world.table.answered(birth, world.some_peer(), 10ms);
  for (unsigned bucket = 8; bucket < 20; ++bucket) {
    for (int i = 0; i < 8; ++i)
      (void)world.table.answered(birth, world.peer_in(bucket), 10ms);
  }
  std::vector<PeerHandle> all;
  for (unsigned i = 0; i < world.table.bucket_count(); ++i) {
    for (const Contact& contact : world.table.live(i))
      all.push_back(contact.peer);
  }
  ASSERT_EQ(all.size(), world.table.live_count());
  ASSERT_GT(all.size(), 100U);
  for (unsigned round = 0; round < 200; ++round) {
    DhtKey target = world.table.random_key_in(round % 24, world.rng);
    if (round == 0) target = DhtKey::of(world.book.id(world.self));
    if (round == 1) target = DhtKey::of(world.book.id(all[5]));
    std::ranges::sort(all, {}, [&](PeerHandle peer) {
      return distance(target, DhtKey::of(world.book.id(peer)));
    });
    const std::size_t count = 1 + round % 30;
    EXPECT_EQ(world.nearest(target, count),
              std::vector(all.begin(), all.begin() + std::ptrdiff_t(count)));
  }
  EXPECT_EQ(world.nearest({}, 100'000).size(), all.size());
}

// TD4
TEST(RoutingTable, newcomers_displace_no_live_contact) {
  World world(plain());
  const auto first = world.fill(3);
  for (int i = 0; i < 1000; ++i)
    EXPECT_EQ(world.prove(birth + 1s, world.peer_in(3), 1ms), RoutingTable::Place::waiting);
  for (const PeerHandle peer : first)
    EXPECT_TRUE(world.is_live(peer));
  EXPECT_EQ(world.table.waiting(3).size(), RoutingTable::waiting_max);
  EXPECT_EQ(world.table.live_count(), 20U);
}

TEST(RoutingTable, who_is_silent_twice_gives_its_place_to_the_one_heard_last) {
  World world(plain());
  const auto first = world.fill(3);
  const PeerHandle older = world.peer_in(3);
  const PeerHandle newer = world.peer_in(3);
  (void)world.table.answered(birth, newer, 1ms);
  (void)world.table.answered(birth, older, 1ms);
  (void)world.table.answered(birth + 1s, newer, 1ms);  // heard again: last now
  EXPECT_FALSE(world.table.failed(first[7]));
  EXPECT_TRUE(world.is_live(first[7]));
  EXPECT_EQ(world.nearest({}, 100).size(), 19U) << "a silent one is told to others";
  EXPECT_EQ(world.nearest({}, 100, RoutingTable::Which::all_if_few).back(), first[7]);
  EXPECT_TRUE(world.table.failed(first[7]));
  EXPECT_EQ(world.table.find(first[7]), nullptr);
  EXPECT_TRUE(world.is_live(newer));
  EXPECT_FALSE(world.is_live(older));
  EXPECT_EQ(world.table.live_count(), 20U);
}

TEST(RoutingTable, an_answer_makes_up_for_a_silence) {
  World world(plain());
  const auto first = world.fill(3);
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(world.table.failed(first[0]));
    (void)world.table.answered(birth, first[0], 1ms);
  }
  EXPECT_EQ(world.nearest({}, 100).size(), 20U);
}

// TD4
TEST(RoutingTable, one_prefix_gets_two_places_in_a_bucket_and_ten_in_all) {
  World world;
  constexpr DiversityGroup attacker{77};
  std::size_t live = 0;
  for (unsigned bucket = 0; bucket < 8; ++bucket) {
    for (int i = 0; i < 10; ++i) {
      const auto place = world.table.answered(birth, world.peer_in(bucket, attacker), 1ms);
      if (place != RoutingTable::Place::refused) ++live;
    }
    EXPECT_LE(world.table.live(bucket).size(), RoutingTable::group_in_bucket_max);
  }
  EXPECT_EQ(live, RoutingTable::group_in_table_max);
  EXPECT_EQ(world.table.refused_for_group(), 70U);
  // Others, and whoever has no public address, are not affected.
  for (std::uint32_t i = 0; i < 18; ++i) {
    EXPECT_EQ(world.table.answered(birth, world.peer_in(0, DiversityGroup{1000 + i}), 1ms),
              RoutingTable::Place::live);
  }
  World home;
  home.fill(0);
  EXPECT_EQ(home.table.live_count(), 20U);
}

TEST(RoutingTable, who_left_makes_room_in_its_group) {
  World world;
  constexpr DiversityGroup group{77};
  const PeerHandle first = world.peer_in(2, group);
  (void)world.table.answered(birth, first, 1ms);
  (void)world.table.answered(birth, world.peer_in(2, group), 1ms);
  const PeerHandle third = world.peer_in(2, group);
  EXPECT_FALSE(world.table.has_room_for(third));
  EXPECT_TRUE(world.table.remove(first));
  EXPECT_TRUE(world.table.has_room_for(third));
  EXPECT_EQ(world.table.answered(birth, third, 1ms), RoutingTable::Place::live);
}

// TD4: over relays, or from several networks, first; then all show their one prefix.
TEST(RoutingTable, whose_group_changes_leaves_where_there_are_too_many) {
  World world;
  constexpr DiversityGroup group{77};
  std::vector<PeerHandle> peers;
  for (unsigned i = 0; i < 20; ++i) {
    peers.push_back(world.peer_in(i % 2, DiversityGroup{1000 + i}));
    EXPECT_EQ(world.table.answered(birth, peers.back(), 1ms), RoutingTable::Place::live);
  }
  for (unsigned i = 0; i < 20; ++i) {
    world.book.set_group(peers[i], group);
    EXPECT_EQ(world.table.regrouped(peers[i], DiversityGroup{1000 + i}), i >= 4);
  }
  EXPECT_EQ(world.table.live_count(), 4U);
  EXPECT_FALSE(world.table.has_room_for(world.peer_in(0, group)));
  // The places that they had are free for others of their old groups, and of no group.
  for (unsigned i = 0; i < 20; ++i) {
    const PeerHandle other = world.peer_in(i % 2, DiversityGroup{1000 + i});
    EXPECT_EQ(world.table.has_room_for(other), true) << i;
  }
}

// A group that was not counted must not be taken off the count when its contact leaves.
TEST(RoutingTable, counts_a_group_right_when_contacts_get_one_later) {
  World world;
  constexpr DiversityGroup group{77};
  std::vector<PeerHandle> late;
  for (int i = 0; i < 2; ++i) {
    late.push_back(world.peer_in(0));
    (void)world.table.answered(birth, late.back(), 1ms);
    world.book.set_group(late.back(), group);
    EXPECT_FALSE(world.table.regrouped(late.back(), DiversityGroup::not_public));
  }
  EXPECT_FALSE(world.table.has_room_for(world.peer_in(0, group)));
  EXPECT_TRUE(world.table.remove(late[0]));
  (void)world.table.answered(birth, world.peer_in(0, group), 1ms);
  EXPECT_FALSE(world.table.has_room_for(world.peer_in(0, group)));
}

// S1.25, TD10
TEST(RoutingTable, half_of_a_bucket_goes_to_the_near_and_half_does_not) {
  World world;
  const auto first = world.fill(0, 100ms);
  std::vector<PeerHandle> near;
  for (int i = 0; i < 100; ++i) {
    near.push_back(world.peer_in(0));
    (void)world.prove(birth + 60s, near.back(), 5ms);
  }
  EXPECT_EQ(std::ranges::count_if(near, [&](PeerHandle p) { return world.is_live(p); }), 10);
  EXPECT_EQ(std::ranges::count_if(first, [&](PeerHandle p) { return world.is_live(p); }), 10);
  // The first ten came without regard to RTT, and stay.
  for (std::size_t i = 0; i < 10; ++i)
    EXPECT_TRUE(world.is_live(first[i]));
}

// TD10
TEST(RoutingTable, a_near_place_needs_three_samples_and_a_clear_gain) {
  World world;
  world.fill(0, 100ms);
  const PeerHandle near = world.peer_in(0);
  EXPECT_EQ(world.table.answered(birth, near, 5ms), RoutingTable::Place::waiting);
  EXPECT_TRUE(world.table.worth_measuring(near));
  EXPECT_EQ(world.table.answered(birth, near, 5ms), RoutingTable::Place::waiting);
  EXPECT_EQ(world.table.answered(birth, near, 5ms), RoutingTable::Place::live);
  const PeerHandle hardly_nearer = world.peer_in(0);
  EXPECT_EQ(world.prove(birth, hardly_nearer, 80ms), RoutingTable::Place::waiting);
  EXPECT_FALSE(world.table.worth_measuring(hardly_nearer));
  // One lucky sample is an outlier.
  const PeerHandle lucky = world.peer_in(0);
  (void)world.table.answered(birth, lucky, 1ms);
  (void)world.table.answered(birth, lucky, 90ms);
  EXPECT_EQ(world.table.answered(birth, lucky, 90ms), RoutingTable::Place::waiting);
}

// TD4
TEST(RoutingTable, who_has_been_live_for_an_hour_stays_in_the_near_half_too) {
  World world;
  const auto first = world.fill(0, 100ms);
  for (const PeerHandle peer : first)
    (void)world.table.answered(birth + 80min, peer, 100ms);
  for (int i = 0; i < 50; ++i)
    (void)world.prove(birth + 80min, world.peer_in(0), 1ms);
  for (const PeerHandle peer : first)
    EXPECT_TRUE(world.is_live(peer));
}

TEST(RoutingTable, near_places_that_fall_free_go_to_the_nearest_that_wait) {
  World world;
  const auto first = world.fill(0, 10ms);
  const PeerHandle far = world.peer_in(0);
  const PeerHandle near = world.peer_in(0);
  (void)world.prove(birth, near, 9ms);
  (void)world.prove(birth, far, 300ms);
  EXPECT_TRUE(world.table.remove(first[15]));
  EXPECT_TRUE(world.is_live(near));
  // The random half takes who was heard last.
  const PeerHandle nearer = world.peer_in(0);
  (void)world.prove(birth, nearer, 8ms);
  (void)world.table.answered(birth, far, 300ms);
  EXPECT_TRUE(world.table.remove(first[2]));
  EXPECT_TRUE(world.is_live(far));
}

TEST(RoutingTable, another_path_is_measured_anew) {
  World world;
  const auto first = world.fill(0, 100ms);
  world.table.path_changed(first[0], 7ms);
  EXPECT_EQ(*world.table.find(first[0])->rtt(), 7ms);
  EXPECT_FALSE(world.table.find(first[0])->rtt_proved());
}

// S1.17, S1.18
TEST(RoutingTable, a_larger_k_makes_places_and_a_smaller_one_evicts_nobody) {
  World world;
  world.fill(0);
  for (int i = 0; i < 5; ++i)
    (void)world.table.answered(birth, world.peer_in(0), 100ms);
  world.table.set_k(24);
  EXPECT_EQ(world.table.live(0).size(), 24U);
  EXPECT_EQ(world.table.waiting(0).size(), 1U);
  world.table.set_k(10);
  EXPECT_EQ(world.table.live(0).size(), 24U);
  EXPECT_EQ(world.table.answered(birth, world.peer_in(0), 100ms), RoutingTable::Place::waiting);
}

TEST(RoutingTable, random_keys_fall_into_their_bucket) {
  World world;
  const DhtKey self = DhtKey::of(world.book.id(world.self));
  for (unsigned bucket = 0; bucket < RoutingTable::buckets_max; ++bucket)
    EXPECT_EQ(shared_bits(self, world.table.random_key_in(bucket, world.rng)), bucket);
  EXPECT_NE(world.table.random_key_in(3, world.rng), world.table.random_key_in(3, world.rng));
  EXPECT_EQ(shared_bits(self, self), 256U);
}

TEST(RoutingTable, the_bucket_untouched_for_longest_is_refreshed_first) {
  World world;
  EXPECT_FALSE(world.table.stalest());
  for (unsigned bucket = 0; bucket < 6; ++bucket)
    world.fill(bucket);
  for (unsigned bucket : {0U, 1U, 3U, 4U, 5U})
    world.table.touch(birth + 60s, world.table.random_key_in(bucket, world.rng));
  ASSERT_TRUE(world.table.stalest());
  EXPECT_EQ(world.table.stalest()->bucket, 2U);
  EXPECT_EQ(world.table.stalest()->since, birth);
  world.table.touch(birth + 90s, world.table.random_key_in(2, world.rng));
  EXPECT_EQ(world.table.stalest()->since, birth + 60s);
  world.table.touch_own(birth + 200s);
  // A lookup of our own id meets the k nearest: here bucket 5 alone.
  world.table.touch(birth + 100s, world.table.random_key_in(0, world.rng));
  world.table.touch(birth + 100s, world.table.random_key_in(1, world.rng));
  world.table.touch(birth + 100s, world.table.random_key_in(2, world.rng));
  world.table.touch(birth + 100s, world.table.random_key_in(3, world.rng));
  EXPECT_EQ(world.table.stalest()->bucket, 4U);
}

// M1: 12 KiB a node in all
TEST(RoutingTable, sixteen_full_buckets_take_seven_kilobytes) {
  World world;
  for (unsigned bucket = 0; bucket < 16; ++bucket) {
    world.fill(bucket);
    for (int i = 0; i < 8; ++i)
      (void)world.table.answered(birth, world.peer_in(bucket), 100ms);
  }
  EXPECT_EQ(world.table.live_count(), 320U);
  EXPECT_EQ(world.table.contacts().size(), 400U);
  EXPECT_LE(world.table.memory() + sizeof(RoutingTable), 7U * 1024);
}

TEST(RoutingTable, has_no_place_for_its_own_node) {
  World world;
  EXPECT_EQ(world.table.answered(birth, world.self, 1ms), RoutingTable::Place::refused);
  EXPECT_FALSE(world.table.has_room_for(world.self));
  EXPECT_EQ(world.table.live_count(), 0U);
}

}  // namespace
}  // namespace quicmesh::dht
