#include "dht/density.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.hpp"
#include "dht/lookup.hpp"

namespace quicmesh::dht {
namespace {

DhtKey random_key(Rng& rng) {
  DhtKey key;
  rng.fill(key.bytes);
  return key;
}

TEST(Density, tells_the_number_of_servers_from_the_nearest_ones) {
  Rng rng(1);
  for (const std::size_t servers : {100U, 1000U, 10'000U}) {
    std::vector<DhtKey> ids(servers);
    for (DhtKey& id : ids)
      id = random_key(rng);
    Density density;
    for (std::size_t i = 0; i < Density::samples_max; ++i) {
      const DhtKey key = random_key(rng);
      std::vector<Distance> distances;
      for (const DhtKey& id : ids)
        distances.push_back(distance(key, id));
      std::ranges::nth_element(distances, distances.begin() + 19);
      density.add_sample(servers_by(20, distances[19]));
    }
    EXPECT_NEAR(density.servers(std::nullopt) / static_cast<double>(servers), 1, 0.25);
  }
}

TEST(Density, ids_ground_at_less_than_half_of_the_keys_do_not_move_it) {
  Density density;
  EXPECT_EQ(density.servers(std::nullopt), 0);
  EXPECT_EQ(density.servers(500), 500);
  for (std::size_t i = 0; i < Density::samples_max; ++i)
    density.add_sample(i % 2 == 0 ? 1000 : 1e9);
  EXPECT_EQ(density.servers(1e9), 1000);
  // The newest count.
  for (std::size_t i = 0; i < Density::samples_max; ++i)
    density.add_sample(2000);
  EXPECT_EQ(density.servers(1e9), 2000);
}

TEST(Density, a_region_holds_k_to_twice_k) {
  DhtKey key;
  EXPECT_EQ(Region::around(key, 10'000, 20).bits, 8U);  // 39 of them
  EXPECT_EQ(Region::around(key, 10'240, 20).bits, 9U);  // 20 of them
  EXPECT_EQ(Region::around(key, 10, 20).bits, 0U);
  const Region region = Region::around(key, 10'000, 20);
  key.bytes[1] = 0xff;
  EXPECT_TRUE(region.has(key));
  key.bytes[0] = 1;
  EXPECT_FALSE(region.has(key));
}

TEST(Lookup, asks_all_of_the_region_and_nobody_who_is_shunned) {
  PeerBook book(100, 1);
  Rng rng(7);
  const PeerHandle self = book.intern(NodeId{});
  const DhtKey target = random_key(rng);
  std::vector<PeerHandle> near;
  for (int i = 0; i < 12; ++i) {
    NodeId id{target.bytes};
    rng.fill(std::span(id.bytes).subspan(2));
    near.push_back(book.intern(id));
  }
  NodeId far_id{target.bytes};
  far_id.bytes[0] ^= 0x80;
  const PeerHandle far = book.intern(far_id);

  constexpr std::uint8_t k = 10;
  Lookup lookup(book, self, target, k);
  for (const PeerHandle peer : near)
    lookup.add(peer, Lookup::no_tier);
  const auto none = [](PeerHandle) { return Lookup::no_tier; };
  while (const auto peer = lookup.next(3))
    lookup.on_answer(*peer, {}, none);
  EXPECT_TRUE(lookup.converged());
  ASSERT_TRUE(lookup.reach());
  EXPECT_GE(shared_bits(*lookup.reach()), 16U);
  lookup.add_required(far, Lookup::no_tier);
  EXPECT_FALSE(lookup.converged());
  EXPECT_EQ(lookup.next(3), far);
  EXPECT_FALSE(lookup.converged());
  lookup.on_answer(far, {}, none);
  EXPECT_TRUE(lookup.converged());
  EXPECT_EQ(lookup.answered_in_windows().size(), k + 1U);
  EXPECT_EQ(lookup.answered_in_windows().back(), far);

  Lookup shunning(book, self, target, k);
  shunning.shun({.bits = 16, .key = target});
  for (const PeerHandle peer : near)
    shunning.add(peer, Lookup::no_tier);
  shunning.add(far, Lookup::no_tier);
  EXPECT_EQ(shunning.next(3), far);
  EXPECT_FALSE(shunning.next(3));
  EXPECT_FALSE(shunning.reach());
}

}  // namespace
}  // namespace quicmesh::dht
