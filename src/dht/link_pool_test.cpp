// Which connections go when there are too many, and how often one who asks is served.
#include "dht/link_pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <map>

namespace quicmesh::dht {
namespace {

constexpr Instant start{100h};

PeerHandle peer(std::uint32_t number) {
  return PeerHandle{number};
}

// Peers 1 to `count` are connected, the first one longest ago; all could go by now.
struct Links {
  explicit Links(std::uint32_t count) {
    for (std::uint32_t i = 1; i <= count; ++i)
      pool.up(start + i * 1ms, peer(i), 10ms);
  }

  // Those that go, in their order.
  std::vector<std::uint32_t> all(std::size_t links_max) {
    const auto surplus = pool.surplus(now, links_max, [&](PeerHandle one) {
      const auto found = keep.find(one);
      return found == keep.end() ? 2 : found->second;
    });
    std::vector<std::uint32_t> gone;
    for (const PeerHandle one : surplus) {
      gone.push_back(std::to_underlying(one));
      pool.gone(one);
    }
    return gone;
  }

  LinkPool pool;
  std::map<PeerHandle, int> keep;  // what is not here has a place in the table: 2
  Instant now = start + 1min;
};

using Order = std::vector<std::uint32_t>;

TEST(LinkPool, an_eighth_goes_at_once_and_nothing_up_to_there) {
  for (const auto& [up, left] : {std::pair{14U, 14U}, {15U, 14U}, {16U, 14U}, {17U, 14U}}) {
    Links links(up);
    EXPECT_EQ(links.all(16).size(), up - left) << up;
    EXPECT_EQ(links.pool.up_count(), left) << up;
  }
}

TEST(LinkPool, who_was_used_longest_ago_goes_first) {
  Links links(10);
  links.pool.used(start + 10s, peer(1));
  links.pool.used(start + 5s, peer(3));
  EXPECT_EQ(links.all(2), (Order{2, 4, 5, 6, 7, 8, 9, 10}));
}

TEST(LinkPool, then_who_has_no_place_then_who_is_not_wanted_then_who_is) {
  Links links(8);
  const std::array wanted{peer(1), peer(2), peer(4)};
  links.pool.want(wanted);
  links.keep = {{peer(4), 1}, {peer(7), 1}};  // no place in the table, wanted or not
  EXPECT_EQ(links.all(1), (Order{4, 7, 3, 5, 6, 8, 1}));
  EXPECT_TRUE(links.pool.is_up(peer(2)));
}

TEST(LinkPool, only_the_last_word_on_who_is_wanted_counts) {
  Links links(4);
  links.pool.want(std::array{peer(1), peer(2)});
  links.pool.want(std::array{peer(3), peer(9)});
  EXPECT_TRUE(links.pool.is_wanted(peer(3)));
  EXPECT_FALSE(links.pool.is_wanted(peer(1)));
  EXPECT_FALSE(links.pool.is_wanted(peer(9))) << "it is not connected";
  EXPECT_EQ(links.all(1), (Order{1, 2, 4}));
}

TEST(LinkPool, who_was_used_within_two_seconds_or_is_asked_something_is_left_alone) {
  Links links(8);
  for (const std::uint32_t one : {1U, 3U, 5U})
    links.pool.used(links.now - LinkPool::left_alone + 1us, peer(one));
  links.pool.used(links.now - LinkPool::left_alone, peer(7));
  links.keep[peer(2)] = 0;
  EXPECT_EQ(links.all(4), (Order{4, 6, 8, 7}));
  EXPECT_EQ(links.all(4), Order{}) << links.pool.up_count();
}

TEST(LinkPool, of_far_too_many_nobody_is_left_alone_and_those_in_use_go_last) {
  constexpr std::size_t most = 4;
  Links links(12);
  for (const std::uint32_t one : {1U, 2U, 3U, 4U, 5U})
    links.keep[peer(one)] = 0;
  links.keep[peer(12)] = 1;
  for (std::uint32_t i = 1; i <= 12; ++i)
    links.pool.used(links.now - 1s + i * 1ms, peer(i));
  EXPECT_EQ(links.all(most), (Order{12, 6, 7, 8}));
  EXPECT_EQ(links.pool.up_count(), LinkPool::hard_factor * most);

  Links busy(12);
  for (std::uint32_t i = 1; i <= 12; ++i)
    busy.keep[peer(i)] = 0;
  EXPECT_EQ(busy.all(most), (Order{1, 2, 3, 4}));
}

TEST(LinkPool, what_a_put_holds_has_the_room_of_a_lookup) {
  const auto left = [](std::uint32_t up, std::size_t links_max, int keep) {
    Links links(up);
    for (std::uint32_t i = 1; i <= up; ++i)
      links.keep[peer(i)] = keep;
    (void)links.all(links_max);
    return links.pool.up_count();
  };
  constexpr std::uint32_t many = 300;
  EXPECT_EQ(left(many, 16, LinkPool::held), 16 + LinkPool::lookup_room);
  EXPECT_EQ(left(many, 16, 0), 16 * LinkPool::hard_factor);
  EXPECT_EQ(left(many, 16, 2), 14U);
  EXPECT_EQ(left(many, 64, LinkPool::held), 64 * LinkPool::hard_factor) << "which is more";
  EXPECT_EQ(left(60, 16, LinkPool::held), 60U);
}

TEST(LinkPool, what_is_being_opened_is_no_connection_yet) {
  LinkPool pool;
  pool.opening(start, peer(1));
  EXPECT_TRUE(pool.is_opening(peer(1)));
  EXPECT_FALSE(pool.is_up(peer(1)));
  EXPECT_EQ(pool.up_count(), 0U);
  const auto any = [](PeerHandle) { return 2; };
  EXPECT_TRUE(pool.surplus(start + 1min, 0, any).empty());
  pool.gone(peer(1));
  EXPECT_FALSE(pool.is_opening(peer(1)));
  EXPECT_EQ(pool.up_count(), 0U);
  // One that is up again, as after a dial of either side, is counted once.
  pool.up(start, peer(2), 10ms);
  pool.up(start, peer(2), 20ms);
  pool.opening(start, peer(2));
  EXPECT_EQ(pool.up_count(), 1U);
  EXPECT_EQ(pool.rtt(peer(2)), 20ms);
  pool.opening(start, peer(3));
  EXPECT_EQ(pool.surplus(start + 1min, 0, any), std::vector{peer(2)});
  pool.gone(peer(2));
  pool.gone(peer(2));
  EXPECT_EQ(pool.up_count(), 0U);
}

TEST(LinkPool, the_round_trip_is_that_of_the_way_it_takes) {
  LinkPool pool;
  EXPECT_EQ(pool.rtt(peer(1)), std::nullopt);
  pool.up(start, peer(1), Duration::zero());
  EXPECT_EQ(pool.rtt(peer(1)), std::nullopt);
  pool.path_changed(peer(1), 30ms);
  EXPECT_EQ(pool.rtt(peer(1)), 30ms);
  pool.path_changed(peer(1), Duration::zero());
  EXPECT_EQ(pool.rtt(peer(1)), std::nullopt);
  pool.path_changed(peer(2), 30ms);
  EXPECT_EQ(pool.rtt(peer(2)), std::nullopt);
}

int served(LinkPool& pool, Instant now, PeerHandle one, int times, std::uint8_t most = 3) {
  int count = 0;
  for (int i = 0; i < times; ++i)
    count += pool.serves(now, one, most) ? 1 : 0;
  return count;
}

TEST(LinkPool, each_connection_is_served_so_often_within_a_second) {
  Links links(2);
  LinkPool& pool = links.pool;
  EXPECT_EQ(served(pool, links.now, peer(1), 2), 2);
  EXPECT_EQ(served(pool, links.now + 500ms, peer(1), 5), 1);
  EXPECT_EQ(served(pool, links.now + 500ms, peer(2), 5), 3) << "a count of its own";
  EXPECT_EQ(served(pool, links.now + 1s - 1us, peer(1), 5), 0);
  EXPECT_EQ(served(pool, links.now + 1s, peer(1), 5), 3);
  EXPECT_EQ(served(pool, links.now + 1s, peer(1), 5), 0);
}

TEST(LinkPool, others_share_counts_of_which_there_is_a_number) {
  LinkPool pool;
  const std::size_t before = pool.memory();
  EXPECT_EQ(served(pool, start, peer(1), 5), 3);
  EXPECT_EQ(served(pool, start + 1s, peer(1), 5), 3);
  const std::size_t memory = pool.memory();
  EXPECT_GT(memory, before);
  int all = 0;
  for (std::uint32_t i = 1; i <= 2000; ++i)
    all += served(pool, start + 2s, peer(i), 1);
  EXPECT_LE(all, 3 * static_cast<int>(LinkPool::others_slots));
  EXPECT_GT(all, 2 * static_cast<int>(LinkPool::others_slots));
  EXPECT_EQ(pool.memory(), memory);
  EXPECT_EQ(pool.up_count(), 0U);
}

}  // namespace
}  // namespace quicmesh::dht
