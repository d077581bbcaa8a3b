#include "identity/peer_book.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "base/rng.hpp"

namespace quicmesh {
namespace {

std::vector<NodeId> random_ids(std::size_t count, std::uint64_t seed) {
  Rng rng(seed);
  std::vector<NodeId> ids(count);
  for (NodeId& id : ids)
    rng.fill(id.bytes);
  return ids;
}

TEST(PeerBook, keeps_each_id_once_and_finds_it_again) {
  const auto ids = random_ids(5000, 1);
  PeerBook book(ids.size(), 7);
  std::vector<PeerHandle> handles;
  for (const NodeId& id : ids)
    handles.push_back(book.intern(id));
  EXPECT_EQ(book.size(), ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(book.intern(ids[i]), handles[i]);
    EXPECT_EQ(book.find(ids[i]), handles[i]);
    EXPECT_EQ(book.id(handles[i]), ids[i]);
  }
  EXPECT_EQ(book.size(), ids.size());
  EXPECT_EQ(book.find(random_ids(1, 2)[0]), no_peer);
}

TEST(PeerBook, refuses_ids_beyond_its_capacity) {
  const auto ids = random_ids(4, 3);
  PeerBook book(3, 7);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NE(book.intern(ids[i]), no_peer);
  EXPECT_EQ(book.intern(ids[3]), no_peer);
  EXPECT_EQ(book.refused(), 1U);
  EXPECT_NE(book.intern(ids[0]), no_peer);
}

TEST(PeerBook, sweeps_what_is_not_marked_and_uses_its_handles_again) {
  const auto ids = random_ids(200, 4);
  PeerBook book(100, 7);
  for (std::size_t i = 0; i < 100; ++i) {
    const PeerHandle peer = book.intern(ids[i]);
    book.set_group(peer, DiversityGroup{5});
    book.set_record(peer, Bytes{1, 2, 3});
  }
  PeerBook::Sweep sweep(book);
  for (std::size_t i = 0; i < 100; i += 2)
    sweep.mark(book.find(ids[i]));
  EXPECT_EQ(sweep.finish(), 50U);
  for (std::size_t i = 0; i < 100; ++i)
    EXPECT_EQ(book.find(ids[i]) != no_peer, i % 2 == 0) << i;
  for (std::size_t i = 100; i < 150; ++i) {
    const PeerHandle peer = book.intern(ids[i]);
    ASSERT_NE(peer, no_peer);
    EXPECT_EQ(book.id(peer), ids[i]);
    EXPECT_EQ(book.group(peer), DiversityGroup::not_public);
    EXPECT_TRUE(book.record(peer).empty());
  }
  EXPECT_EQ(book.intern(ids[150]), no_peer);
  EXPECT_EQ(book.record(book.find(ids[0])).size(), 3U);
}

TEST(PeerBook, an_id_that_comes_in_while_a_sweep_runs_stays) {
  const auto ids = random_ids(4, 5);
  PeerBook book(10, 7);
  (void)book.intern(ids[0]);
  (void)book.intern(ids[1]);
  PeerBook::Sweep first(book);
  first.mark(book.find(ids[0]));
  EXPECT_EQ(first.finish(), 1U);
  PeerBook::Sweep second(book);
  const PeerHandle reused = book.intern(ids[2]);
  (void)book.intern(ids[3]);
  EXPECT_EQ(second.finish(), 1U);
  EXPECT_EQ(book.find(ids[0]), no_peer);
  EXPECT_EQ(book.find(ids[2]), reused);
  EXPECT_NE(book.find(ids[3]), no_peer);
}

}  // namespace
}  // namespace quicmesh
