#include "node/announced_clients.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/rng.hpp"

namespace quicmesh {
namespace {

constexpr Instant start{1000s};

struct World {
  PeerHandle peer(DiversityGroup group, int leading_zero_bytes = 0) {
    NodeId id;
    rng.fill(id.bytes);
    std::fill_n(id.bytes.begin(), leading_zero_bytes, std::uint8_t{0});
    const PeerHandle handle = book.intern(id);
    book.set_group(handle, group);
    return handle;
  }
  bool knows(PeerHandle client, Instant now = start) {
    return clients.find(now, DhtKey::of(book.id(client))) == client;
  }

  Rng rng{5};
  PeerBook book{8192, 1};
  AnnouncedClients clients{book, book.intern(NodeId{})};  // this node's id is zero
};

TEST(AnnouncedClients, are_found_by_their_ids_for_an_hour) {
  World world;
  const PeerHandle client = world.peer(DiversityGroup{1});
  world.clients.remember(start, client);
  world.clients.remember(start + 1min, client);
  EXPECT_EQ(world.clients.size(), 1u);
  EXPECT_TRUE(world.knows(client, start + 60min));
  EXPECT_FALSE(world.knows(client, start + 61min));
  EXPECT_FALSE(world.knows(world.peer(DiversityGroup{1})));
}

// Ids ground to be near to this node, of one network, push each other out and nobody else.
TEST(AnnouncedClients, many_keys_of_one_network_displace_none_of_others) {
  World world;
  std::vector<PeerHandle> honest;
  for (std::uint32_t i = 0; i < 100; ++i) {
    honest.push_back(world.peer(DiversityGroup{1000 + i}));
    world.clients.remember(start, honest.back());
  }
  for (int i = 0; i < 3000; ++i)
    world.clients.remember(start, world.peer(DiversityGroup{7}, 3));
  EXPECT_EQ(world.clients.size(), AnnouncedClients::clients_max);
  for (const PeerHandle client : honest)
    EXPECT_TRUE(world.knows(client));
}

TEST(AnnouncedClients, of_one_group_the_farthest_goes) {
  World world;
  std::vector<PeerHandle> near;
  for (int i = 0; i < 24; ++i) {
    near.push_back(world.peer(DiversityGroup::not_public, 1));
    world.clients.remember(start, near.back());
  }
  for (int i = 0; i < 2000; ++i)
    world.clients.remember(start, world.peer(DiversityGroup::not_public));
  EXPECT_EQ(world.clients.size(), AnnouncedClients::clients_max);
  for (const PeerHandle client : near)
    EXPECT_TRUE(world.knows(client));
}

}  // namespace
}  // namespace quicmesh
