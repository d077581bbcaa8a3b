// Tests of the table of connection ids: tombstones, and what junk may do to them.
#include "quic/connection_ids.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

TEST(ConnectionIds, a_retired_id_stays_a_tombstone_for_its_lifetime) {
  ConnectionIds ids;
  const Instant now{1s};
  ASSERT_TRUE(ids.add(ConnectionId{7}, 3));
  ids.retire(ConnectionId{7}, now);
  EXPECT_FALSE(ids.find(ConnectionId{7}));
  EXPECT_TRUE(ids.is_tombstone(ConnectionId{7}));
  EXPECT_FALSE(ids.add(ConnectionId{7}, 4));
  ids.forget_expired(now + ConnectionIds::tombstone_lifetime - 1ns);
  EXPECT_TRUE(ids.is_tombstone(ConnectionId{7}));
  ids.forget_expired(now + ConnectionIds::tombstone_lifetime);
  EXPECT_FALSE(ids.is_tombstone(ConnectionId{7}));
}

TEST(ConnectionIds, a_flood_of_junk_pushes_out_junk_only) {
  ConnectionIds ids;
  const Instant now{1s};
  ASSERT_TRUE(ids.add(ConnectionId{1}, 0));
  ids.retire(ConnectionId{1}, now);
  constexpr std::uint64_t flood = 3 * ConnectionIds::tombstones_max;
  for (std::uint64_t i = 0; i < flood; ++i) {
    const ConnectionId id{1000 + i};
    ASSERT_TRUE(ids.add(id, 1));
    ids.retire(id, now, nullptr, ConnectionIds::Origin::junk);
  }
  EXPECT_TRUE(ids.is_tombstone(ConnectionId{1}));
  EXPECT_FALSE(ids.is_tombstone(ConnectionId{1000}));
  EXPECT_TRUE(ids.is_tombstone(ConnectionId{1000 + flood - 1}));
  EXPECT_EQ(ids.tombstones(), ConnectionIds::junk_tombstones_max + 1);
}

TEST(ConnectionIds, the_oldest_genuine_tombstone_goes_when_all_places_are_taken) {
  ConnectionIds ids;
  const Instant now{1s};
  for (std::uint64_t i = 0; i <= ConnectionIds::tombstones_max; ++i) {
    ASSERT_TRUE(ids.add(ConnectionId{i}, 1));
    ids.retire(ConnectionId{i}, now);
  }
  EXPECT_FALSE(ids.is_tombstone(ConnectionId{0}));
  EXPECT_TRUE(ids.is_tombstone(ConnectionId{1}));
  EXPECT_EQ(ids.tombstones(), ConnectionIds::tombstones_max);
}

}  // namespace
}  // namespace quicmesh
