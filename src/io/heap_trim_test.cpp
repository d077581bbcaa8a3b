#include "io/heap_trim.hpp"

#include <gtest/gtest.h>

namespace quicmesh::io {
namespace {

TEST(HeapTrim, is_due_once_after_many_reasons_and_not_again_at_once) {
  HeapTrim trim;
  const Instant start{1h};
  EXPECT_EQ(trim.deadline(), never);
  trim.want(start);
  const Instant due = trim.deadline();
  EXPECT_GT(due, start);
  trim.want(start + 500ms);
  EXPECT_EQ(trim.deadline(), due) << "a steady stream of reasons does not put it off";
  trim.handle_timeout(start);
  EXPECT_EQ(trim.deadline(), due);
  trim.handle_timeout(due);
  EXPECT_EQ(trim.deadline(), never);
  trim.want(due);
  EXPECT_GE(trim.deadline(), due + 10s);
}

}  // namespace
}  // namespace quicmesh::io
