#include "io/chunk_list.hpp"

#include <gtest/gtest.h>

namespace quicmesh::io {
namespace {

TEST(ChunkList, gives_back_what_was_pushed_in_order) {
  ChunkList list;
  for (std::uint8_t i = 0; i < 100; ++i) {
    list.push({i});
    list.push({static_cast<std::uint8_t>(i + 100)});
    if (i % 2 == 0) list.unpop(list.pop());
  }
  EXPECT_EQ(list.count(), 200u);
  for (std::uint8_t i = 0; i < 100; ++i) {
    EXPECT_EQ(list.pop(), Bytes{i});
    EXPECT_EQ(list.pop(), Bytes{static_cast<std::uint8_t>(i + 100)});
  }
  EXPECT_TRUE(list.empty());
}

TEST(ChunkList, that_never_runs_empty_does_not_grow) {
  ChunkList list;
  list.push({0});
  for (int i = 0; i < 100'000; ++i) {
    list.push({1});
    (void)list.pop();
    ASSERT_LE(list.places(), 64u);
  }
  EXPECT_EQ(list.count(), 1u);
}

TEST(ChunkList, taken_piece_by_piece_touches_each_byte_once_or_twice) {
  ChunkList list;
  list.push(Bytes(1u << 20, 1));
  const std::uint8_t* const data = list.front().data();
  for (std::uint8_t i = 0; i < 100; ++i) {
    EXPECT_EQ(list.take(16), Bytes(16, 1));
    EXPECT_EQ(list.bytes(), (1u << 20) - 16u * (i + 1u));
  }
  // What is left is moved once, when it is wanted as a whole, and it has stayed where it was.
  EXPECT_EQ(list.front().data(), data);
  EXPECT_EQ(list.take(1u << 20).size(), (1u << 20) - 1600);
  EXPECT_TRUE(list.empty());
}

TEST(ChunkList, put_back_what_was_taken_comes_again_in_order) {
  ChunkList list;
  list.push({1, 2, 3, 4});
  list.push({5});
  Bytes first = list.take(1);
  Bytes second = list.take(2);
  EXPECT_EQ(second, (Bytes{2, 3}));
  list.unpop(std::move(second));
  list.unpop(std::move(first));
  EXPECT_EQ(list.bytes(), 5u);
  EXPECT_EQ(list.take(9), Bytes{1});
  EXPECT_EQ(list.take(9), (Bytes{2, 3}));
  EXPECT_EQ(list.take(9), Bytes{4});
  EXPECT_EQ(list.take(9), Bytes{5});
}

TEST(ChunkList, small_chunks_share_a_place) {
  ChunkList list;
  for (int i = 0; i < 10'000; ++i)
    list.append({1});
  EXPECT_EQ(list.count(), 1u);
  list.append(Bytes(4096, 2));
  EXPECT_EQ(list.count(), 2u);
  EXPECT_EQ(list.bytes(), 14'096u);
}

TEST(ChunkList, chunk_that_must_wait_keeps_no_large_reserve) {
  ChunkList list;
  for (int i = 0; i < 2; ++i) {
    Bytes chunk(5000, 1);
    chunk.reserve(64u << 10);
    list.append(std::move(chunk));
  }
  (void)list.pop();
  EXPECT_LT(list.front().capacity(), 10'000u);
}

TEST(ChunkList, that_was_long_gives_its_places_back) {
  ChunkList list;
  for (int i = 0; i < 100'000; ++i)
    list.push({1});
  while (!list.empty())
    (void)list.pop();
  EXPECT_LE(list.places(), 128u);
}

}  // namespace
}  // namespace quicmesh::io
