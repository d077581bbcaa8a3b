#include "sim/event_queue.hpp"

#include <gtest/gtest.h>

#include <queue>
#include <vector>

#include "base/rng.hpp"
#include "sim/event_queue_bench.hpp"

namespace quicmesh::sim {
namespace {

struct Id {
  std::uint64_t value;
};

struct Reference {
  Instant at;
  std::uint64_t id;  // also the order of insertion
  bool operator>(const Reference& other) const {
    return at != other.at ? at > other.at : id > other.id;
  }
};

// Delays over all wheels: the same tick, neighbours, milliseconds, hours, decades.
Duration random_delay(Rng& rng) {
  switch (rng.below(8)) {
    case 0:
      return 0ns;
    case 1:
      return rng.between(0ns, 3ns);
    case 2:
      return rng.between(0ns, 2us);
    case 3:
      return rng.between(0ns, 4ms);
    case 4:
      return rng.between(0ns, 10s);
    case 5:
      return rng.between(0ns, Duration{1h});
    case 6:
      return Duration{1024 * (std::int64_t{1} << rng.below(40))};  // wheel boundaries
    default:
      return rng.between(0ns, Duration{24h * 365});
  }
}

TEST(EventQueue, gives_the_order_of_a_priority_queue_by_time_then_insertion) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    EventQueue<Id> queue;
    std::priority_queue<Reference, std::vector<Reference>, std::greater<>> reference;
    Instant now{};
    std::uint64_t next_id = 0;
    const std::uint64_t push_weight = 1 + rng.below(9);
    for (int step = 0; step < 6000; ++step) {
      if (reference.empty() || rng.below(10) < push_weight) {
        const Instant at = std::min(now + random_delay(rng), EventQueue<Id>::latest);
        queue.push(at, {next_id});
        reference.push({at, next_id++});
      } else {
        if (rng.chance(1, 2)) {
          ASSERT_EQ(queue.next_time(), reference.top().at);
        }
        const auto entry = queue.pop();
        ASSERT_EQ(entry.at, reference.top().at) << "seed " << seed << " step " << step;
        ASSERT_EQ(entry.payload.value, reference.top().id) << "seed " << seed << " step " << step;
        now = entry.at;
        reference.pop();
      }
      ASSERT_EQ(queue.size(), reference.size());
    }
    while (!reference.empty()) {
      ASSERT_EQ(queue.pop().payload.value, reference.top().id) << "seed " << seed;
      reference.pop();
    }
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.next_time(), never);
  }
}

TEST(EventQueue, keeps_insertion_order_at_one_instant_before_and_after_looking_ahead) {
  EventQueue<Id> queue;
  const Instant at{5s};
  for (std::uint64_t id = 0; id < 100; ++id)
    queue.push(at, {id});
  EXPECT_EQ(queue.next_time(), at);  // the slot is loaded now
  for (std::uint64_t id = 100; id < 200; ++id)
    queue.push(at, {id});
  for (std::uint64_t id = 0; id < 200; ++id)
    EXPECT_EQ(queue.pop().payload.value, id);
}

TEST(EventQueue, accepts_an_event_before_the_one_it_has_looked_ahead_to) {
  EventQueue<Id> queue;
  queue.push(Instant{10s}, {1});
  EXPECT_EQ(queue.next_time(), Instant{10s});
  queue.push(Instant{3s}, {2});
  queue.push(Instant{2s}, {3});
  EXPECT_EQ(queue.pop().payload.value, 3u);
  EXPECT_EQ(queue.pop().payload.value, 2u);
  EXPECT_EQ(queue.pop().payload.value, 1u);
}

TEST(EventQueueDeathTest, refuses_the_past_and_never) {
  EventQueue<Id> queue;
  queue.push(Instant{2s}, {1});
  (void)queue.pop();  // moves the queue to 2 s
  EXPECT_DEATH(queue.push(Instant{1s}, {2}), "last_popped_");
  EXPECT_DEATH(queue.push(never, {2}), "latest");
}

TEST(EventQueueBench, compares_two_queues_that_agree_on_the_order) {
  double fake_seconds = 0;
  const auto report = bench_event_queue([&] { return fake_seconds += 1; },
                                        {.pending = 5'000, .operations = 20'000, .seed = 3});
  EXPECT_TRUE(report.same_order);
  EXPECT_EQ(report.wheel_events_per_s, 20'000);
  EXPECT_EQ(report.ratio, 1);
}

// As windows of a PeerFabric take them: up to an end, then more is planned behind it.
TEST(EventQueue, pop_before_gives_the_same_order_and_never_what_is_later) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Rng rng(seed);
    EventQueue<Id> queue;
    std::priority_queue<Reference, std::vector<Reference>, std::greater<>> reference;
    Instant end{};
    std::uint64_t next_id = 0;
    for (int window = 0; window < 400; ++window) {
      for (std::uint64_t i = rng.below(12); i > 0; --i) {
        const Instant at = std::min(end + random_delay(rng), EventQueue<Id>::latest);
        queue.push(at, {next_id});
        reference.push({at, next_id++});
      }
      const Instant bound = queue.bound();
      ASSERT_LE(bound, reference.empty() ? never : reference.top().at);
      const Instant from = reference.empty() ? end : std::max(end, bound);
      end = std::min(from + random_delay(rng), EventQueue<Id>::latest);
      while (const auto entry = queue.pop_before(end)) {
        ASSERT_FALSE(reference.empty());
        ASSERT_LT(entry->at, end);
        ASSERT_EQ(entry->at, reference.top().at);
        ASSERT_EQ(entry->payload.value, reference.top().id);
        reference.pop();
      }
      ASSERT_TRUE(reference.empty() || reference.top().at >= end);
      ASSERT_EQ(queue.size(), reference.size());
    }
  }
}

// Whoever begins a window at the bound comes to the next event in a few steps.
TEST(EventQueue, the_bound_closes_in_on_an_event_far_away) {
  EventQueue<Id> queue;
  const Instant at{Duration{24h} + 12345ns};
  queue.push(at, {7});
  int steps = 0;
  for (; !queue.pop_before(queue.bound() + 1ns); ++steps)
    ASSERT_LT(steps, 8);
  EXPECT_EQ(queue.bound(), never);
}

}  // namespace
}  // namespace quicmesh::sim
