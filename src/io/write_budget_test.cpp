#include "io/write_budget.hpp"

#include <gtest/gtest.h>

#include "quicmesh/keypair.hpp"

namespace quicmesh::io {
namespace {

constexpr std::size_t most = Stream::write_queue_max;
constexpr std::size_t least = Stream::write_queue_min;

TEST(WriteBudget, stream_fills_its_queue_and_then_waits_until_half_is_free) {
  const NodeId peer = Keypair::generate().node_id();
  WriteBudget budget;
  EXPECT_EQ(budget.admit(peer, 0, 100), 100u);
  EXPECT_EQ(budget.admit(peer, most - 100, 100), 100u);
  EXPECT_EQ(budget.admit(peer, most - 100, 101), 0u);
  EXPECT_EQ(budget.admit(peer, most, 1), 0u);
  EXPECT_FALSE(budget.has_room(peer, most / 2 + 1));
  EXPECT_TRUE(budget.has_room(peer, most / 2));
  EXPECT_EQ(budget.admit(peer, most / 2, 10 * most), most / 2) << "a large write is cut";
}

TEST(WriteBudget, peer_over_its_share_gets_the_least_and_others_are_not_touched) {
  const NodeId hog = Keypair::generate().node_id();
  const NodeId other = Keypair::generate().node_id();
  WriteBudget budget;
  // A thousand streams that are never read.
  for (int i = 0; i < 1000; ++i) {
    for (std::size_t queued = 0;;) {
      const std::size_t admitted = budget.admit(hog, queued, 16'384);
      if (admitted == 0) break;
      budget.charge(hog, admitted);
      queued += admitted;
    }
  }
  EXPECT_GE(budget.used(), Stream::write_queue_peer_max);
  EXPECT_LE(budget.used(), Stream::write_queue_peer_max + most + 1000 * least);
  EXPECT_EQ(budget.allowance(hog), least);
  EXPECT_EQ(budget.allowance(other), most);
}

TEST(WriteBudget, full_node_still_lets_every_stream_write_a_little) {
  WriteBudget budget;
  std::size_t identities = 0;
  while (budget.used() < Stream::write_queue_node_max) {
    const NodeId hog = Keypair::generate().node_id();
    budget.charge(hog, Stream::write_queue_peer_max);
    ASSERT_LE(++identities, 100u) << "no bound of the node";
  }
  const NodeId honest = Keypair::generate().node_id();
  EXPECT_EQ(budget.admit(honest, 0, most), least);
  EXPECT_EQ(budget.admit(honest, least, 1), 0u);
  EXPECT_TRUE(budget.has_room(honest, least / 2));
}

TEST(WriteBudget, what_was_released_is_forgotten) {
  const NodeId peer = Keypair::generate().node_id();
  WriteBudget budget;
  budget.charge(peer, Stream::write_queue_peer_max);
  EXPECT_EQ(budget.allowance(peer), least);
  budget.release(peer, 1);
  EXPECT_EQ(budget.allowance(peer), most);
  budget.release(peer, Stream::write_queue_peer_max - 1);
  EXPECT_EQ(budget.used(), 0u);
  EXPECT_EQ(budget.used_by(peer), 0u);
}

}  // namespace
}  // namespace quicmesh::io
