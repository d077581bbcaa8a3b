// What is kept of peers for punching, and its bound. How punches fare is in sim/traversal_test.cpp.
#include "node/hole_punching.hpp"

#include <gtest/gtest.h>

#include "crypto/seeded_rng.hpp"

namespace quicmesh {
namespace {

NodeId node(std::size_t number) {
  NodeId id;
  id.bytes[0] = static_cast<std::uint8_t>(number);
  id.bytes[1] = static_cast<std::uint8_t>(number >> 8);
  return id;
}

TEST(HolePunching, the_number_of_peers_is_bounded_and_one_more_is_counted) {
  SeededRng secure_rng(1);
  StrangerAllowance strangers;
  HolePunching punching(node(0), secure_rng, Rng(1), strangers);
  for (std::size_t number = 1; number <= HolePunching::peers_max; ++number)
    punching.set_peer(node(number), {});
  EXPECT_EQ(punching.peers_refused(), 0u);
  const NodeId late = node(HolePunching::peers_max + 1);
  punching.set_peer(late, {});
  EXPECT_EQ(punching.profile_of(late), nullptr);
  EXPECT_EQ(punching.peers_refused(), 1u);
  punching.set_peer(node(1), {});
  EXPECT_EQ(punching.peers_refused(), 1u) << "it was known";
  punching.forget(Instant{}, node(1));
  punching.set_peer(late, {});
  EXPECT_NE(punching.profile_of(late), nullptr);
}

TEST(HolePunching, relays_are_asked_about_a_peer_only_so_often) {
  SeededRng secure_rng(1);
  StrangerAllowance strangers;
  HolePunching punching(node(0), secure_rng, Rng(1), strangers);
  EXPECT_FALSE(punching.may_ask(node(1))) << "nothing is known of it";
  punching.set_peer(node(1), {});
  for (unsigned i = 0; i < HolePunching::attests_max; ++i)
    EXPECT_TRUE(punching.may_ask(node(1)));
  punching.set_peer(node(1), {});
  EXPECT_FALSE(punching.may_ask(node(1)));
}

}  // namespace
}  // namespace quicmesh
