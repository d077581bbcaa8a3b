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

}  // namespace
}  // namespace quicmesh::io
