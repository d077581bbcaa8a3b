// The same world on one, two and three threads: nodes join, come and go, packets are lost, nodes
// and values are looked up; whatever can be told of it is the same (GOALS M3).
#include <gtest/gtest.h>

#include <tuple>

#include "sim/dht_world.hpp"

namespace quicmesh::sim {
namespace {

struct Course {
  std::uint64_t hash = 0;
  PeerFabricCounters counters;
  std::vector<PeerHandle> live;
  std::vector<MeasuredLookup> lookups;
  std::vector<MeasuredValue> values;
};

Course run(std::size_t threads, std::size_t nodes, std::size_t worth_threads) {
  DhtWorldConfig config;
  config.nodes = nodes;
  config.loss = {2, 100};
  config.clients = {20, 100};
  config.threads = threads;
  config.worth_threads = worth_threads;
  DhtWorld world(config, LatencyModel::cities());
  EXPECT_EQ(world.fabric().threads(), threads);
  world.make_by_joining(10s);
  world.warm_up(1, 5s);
  world.churn(SessionLengths(SessionShape::exponential, 1min), Departure::with_goodbye);
  Course course;
  course.lookups = world.measure(nodes * 2 / 5, 10s);
  for (std::uint8_t i = 0; i < 20; ++i) {
    MeasuredValue& value = course.values.emplace_back();
    value.kind = dht::ValueKind::immutable;
    value.bytes = Bytes(40, i);
    value.key = dht::immutable_key(value.bytes);
  }
  world.put_all(course.values, 2s);
  world.get_all(course.values, 3s);
  world.fabric().run_for(10s);
  course.hash = world.fabric().trace_hash();
  course.counters = world.fabric().counters();
  course.live = world.live();
  return course;
}

auto told(const MeasuredLookup& lookup) {
  return std::tuple(lookup.origin, lookup.target, lookup.begun, lookup.answerer, lookup.by_express,
                    lookup.first_express_false, lookup.taken, lookup.found, lookup.is_void,
                    lookup.cost.queries);
}
auto told(const MeasuredValue& value) {
  return std::tuple(value.origin, value.over, value.found, value.holders, value.first_was_older,
                    value.cost.queries);
}

TEST(DhtThreads, the_course_of_a_world_does_not_depend_on_the_number_of_threads) {
  constexpr std::size_t nodes = 150;
  constexpr std::size_t worth_threads = 16;  // it is a small world
  const Course one = run(1, nodes, worth_threads);
  EXPECT_GT(one.counters.messages, 10'000U);
  EXPECT_GT(one.counters.packets_lost, 100U);
  std::size_t found = 0;
  for (const MeasuredLookup& lookup : one.lookups)
    found += lookup.found;
  EXPECT_GT(found, 30U);
  for (const std::size_t threads : {std::size_t{2}, std::size_t{3}}) {
    const Course other = run(threads, nodes, worth_threads);
    EXPECT_EQ(other.hash, one.hash) << threads;
    EXPECT_EQ(other.counters, one.counters) << threads;
    EXPECT_EQ(other.live, one.live) << threads;
    ASSERT_EQ(other.lookups.size(), one.lookups.size());
    for (std::size_t i = 0; i < one.lookups.size(); ++i)
      EXPECT_EQ(told(other.lookups[i]), told(one.lookups[i])) << threads << ", lookup " << i;
    ASSERT_EQ(other.values.size(), one.values.size());
    for (std::size_t i = 0; i < one.values.size(); ++i)
      EXPECT_EQ(told(other.values[i]), told(one.values[i])) << threads << ", value " << i;
  }
}

// Small enough for ThreadSanitizer, which looks at all that the threads share.
TEST(DhtThreads, a_small_world_has_one_course_on_two_threads) {
  constexpr std::size_t nodes = 30;
  const Course one = run(1, nodes, 0);
  const Course two = run(2, nodes, 0);
  EXPECT_GT(one.counters.messages, 1'000U);
  EXPECT_EQ(two.hash, one.hash);
  EXPECT_EQ(two.counters, one.counters);
}

}  // namespace
}  // namespace quicmesh::sim
