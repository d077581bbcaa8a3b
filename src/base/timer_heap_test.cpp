// Tests of the timer heap, among them a long random run against a std::map.
#include "base/timer_heap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "base/rng.hpp"

namespace quicmesh {
namespace {

constexpr Instant at(std::int64_t nanoseconds) {
  return Instant(Duration(nanoseconds));
}

std::vector<TimerHeap::Handle> drain(TimerHeap& heap) {
  std::vector<TimerHeap::Handle> order;
  while (const auto entry = heap.pop_due(never))
    order.push_back(entry->handle);
  return order;
}

TEST(TimerHeap, an_empty_heap_is_due_never) {
  TimerHeap heap;
  EXPECT_EQ(heap.peek(), std::nullopt);
  EXPECT_EQ(heap.earliest(), never);
  EXPECT_EQ(heap.pop_due(never), std::nullopt);
  heap.erase(5);
  EXPECT_TRUE(heap.empty());
}

TEST(TimerHeap, a_deadline_is_due_at_its_instant_and_not_before) {
  TimerHeap heap;
  heap.set(3, at(10));
  EXPECT_EQ(heap.pop_due(at(9)), std::nullopt);
  const auto entry = heap.pop_due(at(10));
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->handle, 3U);
  EXPECT_EQ(entry->deadline, at(10));
  EXPECT_TRUE(heap.empty());
}

TEST(TimerHeap, equal_deadlines_come_in_the_order_of_their_handles) {
  TimerHeap forwards;
  TimerHeap backwards;
  for (TimerHeap::Handle handle = 0; handle < 50; ++handle) {
    forwards.set(handle, at(7));
    backwards.set(49 - handle, at(7));
  }
  const auto order = drain(forwards);
  EXPECT_EQ(order, drain(backwards));
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(TimerHeap, a_deadline_moves_both_ways_and_never_takes_it_away) {
  TimerHeap heap;
  for (TimerHeap::Handle handle = 0; handle < 10; ++handle)
    heap.set(handle, at(100 + handle));
  heap.set(9, at(1));
  EXPECT_EQ(heap.peek()->handle, 9U);
  heap.set(9, at(1000));
  EXPECT_EQ(heap.peek()->handle, 0U);
  EXPECT_EQ(heap.deadline_of(9), at(1000));
  heap.set(0, never);
  EXPECT_EQ(heap.deadline_of(0), never);
  EXPECT_EQ(heap.size(), 9U);
  EXPECT_EQ(heap.earliest(), at(101));
}

TEST(TimerHeap, agrees_with_a_map_over_a_long_random_run) {
  Rng rng(1);
  TimerHeap heap;
  std::map<TimerHeap::Handle, Instant> model;
  for (int step = 0; step < 200'000; ++step) {
    const auto handle = static_cast<TimerHeap::Handle>(rng.below(300));
    if (rng.chance(1, 3)) {
      heap.erase(handle);
      model.erase(handle);
    } else {
      const Instant deadline = at(static_cast<std::int64_t>(rng.below(500)));
      heap.set(handle, deadline);
      model[handle] = deadline;
    }
    ASSERT_EQ(heap.size(), model.size());
    if (step % 16 != 0 || model.empty()) continue;
    auto earliest = model.begin();
    for (auto entry = model.begin(); entry != model.end(); ++entry) {
      if (entry->second < earliest->second) earliest = entry;
    }
    ASSERT_EQ(heap.peek(), (TimerHeap::Entry{earliest->second, earliest->first}));
  }
  std::vector<TimerHeap::Entry> expected;
  for (const auto& [handle, deadline] : model)
    expected.push_back({deadline, handle});
  std::ranges::sort(expected);
  for (const TimerHeap::Entry& entry : expected)
    ASSERT_EQ(heap.pop_due(never), entry);
  EXPECT_TRUE(heap.empty());
}

TEST(TimerHeapDeathTest, a_handle_beyond_the_limit_is_a_bug) {
  TimerHeap heap;
  EXPECT_DEATH(heap.set(TimerHeap::handle_limit, at(1)), "handle < handle_limit");
}

}  // namespace
}  // namespace quicmesh
