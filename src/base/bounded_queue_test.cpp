// Tests of the bounded queue's order, policies and counter.
#include "base/bounded_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <memory>

#include "base/rng.hpp"

namespace quicmesh {
namespace {

TEST(BoundedQueue, drop_oldest_keeps_the_newest_items) {
  BoundedQueue<int, DropPolicy::drop_oldest> queue(3);
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(queue.push(i));
  EXPECT_FALSE(queue.push(3));
  EXPECT_FALSE(queue.push(4));
  EXPECT_EQ(queue.dropped(), 2U);
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), 3);
  EXPECT_EQ(queue.pop(), 4);
  EXPECT_EQ(queue.pop(), std::nullopt);
}

TEST(BoundedQueue, refuse_newest_keeps_the_oldest_items) {
  BoundedQueue<int, DropPolicy::refuse_newest> queue(2);
  EXPECT_TRUE(queue.push(1));
  EXPECT_TRUE(queue.push(2));
  EXPECT_FALSE(queue.push(3));
  EXPECT_EQ(queue.dropped(), 1U);
  EXPECT_EQ(queue.pop(), 1);
  EXPECT_TRUE(queue.push(4));
  EXPECT_EQ(queue.pop(), 2);
  EXPECT_EQ(queue.pop(), 4);
}

TEST(BoundedQueue, holds_items_that_only_move) {
  BoundedQueue<std::unique_ptr<int>, DropPolicy::drop_oldest> queue(1);
  EXPECT_TRUE(queue.push(std::make_unique<int>(1)));
  EXPECT_FALSE(queue.push(std::make_unique<int>(2)));
  EXPECT_EQ(**queue.pop(), 2);
}

TEST(BoundedQueue, a_dropped_item_is_freed_at_once) {
  BoundedQueue<std::shared_ptr<int>, DropPolicy::drop_oldest> queue(10);
  const auto watched = std::make_shared<int>(1);
  queue.push(watched);
  for (int i = 0; i < 10; ++i)
    queue.push(nullptr);
  EXPECT_EQ(watched.use_count(), 1);
}

TEST(BoundedQueue, agrees_with_a_deque_over_a_long_random_run) {
  Rng rng(1);
  BoundedQueue<int, DropPolicy::drop_oldest> queue(17);
  std::deque<int> model;
  for (int step = 0; step < 50'000; ++step) {
    if (rng.chance(step / 1000 % 2 == 0 ? 2 : 1, 3)) {
      queue.push(step);
      model.push_back(step);
      if (model.size() > 17) model.pop_front();
    } else {
      const auto item = queue.pop();
      ASSERT_EQ(item.has_value(), !model.empty());
      if (item) {
        ASSERT_EQ(*item, model.front());
        model.pop_front();
      }
    }
    ASSERT_TRUE(std::ranges::equal(queue.items(), model));
  }
  queue.clear();
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace quicmesh
