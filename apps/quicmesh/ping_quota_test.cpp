// Tests of ping_quota.hpp.
#include "ping_quota.hpp"

#include <gtest/gtest.h>

#include "quicmesh/keypair.hpp"

namespace quicmesh::cli {
namespace {

const PingQuota::Time start(std::chrono::hours(1));

TEST(PingQuota, peer_has_so_many_streams_at_once_and_others_are_not_touched) {
  const NodeId peer = Keypair::generate().node_id();
  PingQuota quota;
  for (std::size_t i = 0; i < PingQuota::streams_per_peer_max; ++i)
    EXPECT_TRUE(quota.open(peer, start));
  EXPECT_FALSE(quota.open(peer, start));
  EXPECT_TRUE(quota.open(Keypair::generate().node_id(), start));
  quota.close(peer);
  EXPECT_TRUE(quota.open(peer, start));
}

TEST(PingQuota, after_a_burst_answers_come_at_a_steady_rate) {
  const NodeId peer = Keypair::generate().node_id();
  PingQuota quota;
  ASSERT_TRUE(quota.open(peer, start));
  for (std::size_t i = 0; i < PingQuota::answers_per_second; ++i)
    EXPECT_EQ(quota.answer(peer, start), Duration::zero());
  EXPECT_EQ(quota.answer(peer, start), Duration(1ms));
  EXPECT_EQ(quota.answer(peer, start), Duration(2ms));
  // A stream anew is no burst anew, not even after others have come.
  quota.close(peer);
  for (int i = 0; i < 1000; ++i) {
    const NodeId other = Keypair::generate().node_id();
    ASSERT_TRUE(quota.open(other, start));
    quota.close(other);
  }
  ASSERT_TRUE(quota.open(peer, start));
  EXPECT_EQ(quota.answer(peer, start), Duration(3ms));
  EXPECT_EQ(quota.answer(peer, start + 10s), Duration::zero());
}

TEST(PingQuota, peers_that_left_are_forgotten) {
  PingQuota quota;
  for (int i = 0; i < 10'000; ++i) {
    const NodeId peer = Keypair::generate().node_id();
    ASSERT_TRUE(quota.open(peer, start));
    quota.close(peer);
  }
  EXPECT_LE(quota.peers(), 64u);
}

}  // namespace
}  // namespace quicmesh::cli
