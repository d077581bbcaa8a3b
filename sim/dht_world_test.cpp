// DHTs of simulated nodes: they find each other, also while nodes come and go; and the terms under
// which lookups are measured.
#include "sim/dht_world.hpp"

#include <gtest/gtest.h>

#include "sim/lookup_figures.hpp"

namespace quicmesh::sim {
namespace {

DhtWorldConfig of(std::size_t nodes, std::uint64_t seed = 1) {
  DhtWorldConfig config;
  config.nodes = nodes;
  config.seed = seed;
  return config;
}

LookupFigures figures(const std::vector<MeasuredLookup>& lookups) {
  return figures_of(lookups, 10s);
}

TEST(DhtWorld, S1_16_nodes_with_full_tables_find_each_other) {
  DhtWorld world(of(300), LatencyModel::cities());
  world.make_full();
  const auto lookups = world.measure(100, 10s);
  const LookupFigures all = figures(lookups);
  EXPECT_EQ(all.counted, 100U);
  EXPECT_EQ(all.success_percent, 100);
  for (const MeasuredLookup& lookup : lookups) {
    EXPECT_EQ(lookup.direct, world.fabric().network().rtt(lookup.origin, lookup.target));
    // Nobody was connected: the last step alone is a handshake and a request.
    EXPECT_GE(*lookup.taken, 2 * lookup.direct);
  }
}

TEST(DhtWorld, a_record_is_found_faster_than_its_node_and_mostly_by_express) {
  const auto run = [](Ask ask, bool express) {
    DhtWorldConfig config = of(400);
    config.ask = ask;
    config.dht.express = express;
    DhtWorld world(config, LatencyModel::cities());
    world.make_full();
    world.warm_up(1, 30s);
    const auto lookups = world.measure(80, 20s);
    for (const MeasuredLookup& lookup : lookups) {
      EXPECT_TRUE(lookup.found);
      EXPECT_NE(lookup.answerer, no_peer);
      EXPECT_EQ(lookup.to_answerer, world.fabric().network().rtt(lookup.origin, lookup.answerer));
      if (ask == Ask::node) {
        EXPECT_EQ(lookup.answerer, lookup.target);
      } else {
        EXPECT_NE(lookup.answerer, lookup.origin);
      }
    }
    return figures(lookups);
  };
  const LookupFigures express = run(Ask::record, true);
  const LookupFigures iterative = run(Ask::record, false);
  EXPECT_GT(express.express_percent, 90);
  EXPECT_EQ(iterative.express_percent, 0);
  EXPECT_LT(express.p50_ms, iterative.p50_ms);
  EXPECT_LT(iterative.p50_ms, run(Ask::node, false).p50_ms);
}

TEST(DhtWorld, S1_02_nodes_given_one_contact_each_find_each_other) {
  DhtWorld world(of(120), LatencyModel::cities());
  world.make_by_joining(2min);
  world.fabric().run_for(1min);
  EXPECT_EQ(world.live().size(), 120U);
  EXPECT_EQ(figures(world.measure(100, 10s)).success_percent, 100);
}

TEST(DhtWorld, one_seed_one_course) {
  const auto run = [](std::uint64_t seed) {
    DhtWorldConfig config = of(100, seed);
    config.loss = {2, 100};
    DhtWorld world(config, LatencyModel::cities());
    world.make_full();
    world.churn(SessionLengths(SessionShape::weibull, 5min), Departure::silent);
    (void)world.measure(50, 1min);
    return world.fabric().trace_hash();
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2));
}

TEST(DhtWorld, S1_04_churn_replaces_as_many_as_it_says_and_lookups_go_on) {
  DhtWorld world(of(400), LatencyModel::cities());
  world.make_full();
  // 5 % a minute.
  world.churn(SessionLengths(SessionShape::exponential, 20min), Departure::silent);
  world.fabric().run_for(5min);
  EXPECT_EQ(world.live().size(), 400U);
  const auto came = static_cast<double>(world.book().size()) - 400;
  EXPECT_NEAR(came, 100, 30);
  const auto lookups = world.measure(200, 2min);
  EXPECT_GE(figures(lookups).success_percent, 97);
  EXPECT_GT(world.census().dead_contacts, 0);
}

TEST(DhtWorld, lookups_of_nodes_that_left_are_void) {
  DhtWorld world(of(60), LatencyModel::cities());
  world.make_full();
  world.churn(SessionLengths(SessionShape::exponential, 2s), Departure::silent);
  const auto lookups = world.measure(60, 20s);
  std::size_t gone = 0;
  for (const MeasuredLookup& lookup : lookups) {
    gone += lookup.is_void;
    EXPECT_TRUE(lookup.is_void || lookup.taken);
  }
  EXPECT_GT(gone, 5U);
  EXPECT_EQ(figures(lookups).counted, 60 - gone);
}

TEST(DhtWorld, loss_costs_time_and_not_success) {
  const auto run = [](std::uint64_t percent) {
    DhtWorldConfig config = of(200);
    config.loss = {percent, 100};
    DhtWorld world(config, LatencyModel::cities());
    world.make_full();
    return figures(world.measure(450, 90s));
  };
  const LookupFigures clean = run(0);
  const LookupFigures lossy = run(10);
  EXPECT_EQ(clean.success_percent, 100);
  EXPECT_GE(lossy.success_percent, 99);
  EXPECT_GT(lossy.mean_ms, clean.mean_ms * 1.1);
}

TEST(DhtWorld, the_dead_half_is_dead) {
  DhtWorld world(of(300), LatencyModel::cities());
  world.make_full();
  const auto before = world.census();
  EXPECT_EQ(before.dead_contacts, 0);
  world.kill({1, 2});
  EXPECT_NEAR(static_cast<double>(world.live().size()), 150, 30);
  EXPECT_GT(world.census().dead_contacts, before.contacts / 3);
}

TEST(DhtWorld, a_partition_heals) {
  DhtWorld world(of(100), LatencyModel::cities());
  world.make_full();
  world.warm_up(1, 30s);
  const auto side = [](PeerHandle peer) {
    return static_cast<std::uint8_t>(static_cast<std::uint32_t>(peer) % 2);
  };
  world.fabric().cut(side);
  std::size_t across = 0;
  std::size_t found = 0;
  for (const MeasuredLookup& lookup : world.measure(60, 1min)) {
    if (side(lookup.origin) == side(lookup.target)) continue;
    ++across;
    found += lookup.found;
  }
  EXPECT_GT(across, 15U);
  EXPECT_EQ(found, 0U);
  world.fabric().heal();
  world.fabric().run_for(2min);
  EXPECT_EQ(figures(world.measure(60, 1min)).success_percent, 100);
}

TEST(DhtWorld, clients_ask_and_nobody_remembers_them) {
  DhtWorldConfig config = of(200);
  config.clients = {1, 2};
  DhtWorld world(config, LatencyModel::cities());
  world.make_full();
  world.warm_up(1, 30s);
  std::size_t clients = 0;
  for (const PeerHandle peer : world.live()) {
    clients += !world.fabric().core(peer).dht().is_server();
    for (const dht::Contact& contact : world.fabric().core(peer).dht().table().contacts())
      EXPECT_TRUE(world.fabric().core(contact.peer).dht().is_server());
  }
  EXPECT_NEAR(static_cast<double>(clients), 100, 25);
  EXPECT_EQ(figures(world.measure(50, 10s)).success_percent, 100);
}

TEST(DhtWorld, pools_are_bounded_and_fill_by_use) {
  DhtWorld world(of(300), LatencyModel::cities());
  world.make_full();
  EXPECT_EQ(world.census().connections, 0);
  world.warm_up(4, 1min);
  EXPECT_GT(world.census().connections, 20);
  // 64 that it wants, and those that others dialled and still want.
  EXPECT_LE(world.census().connections, 128);
}

TEST(LookupFigures, a_failed_lookup_counts_as_long_as_its_deadline) {
  std::vector<MeasuredLookup> lookups(4);
  for (MeasuredLookup& lookup : lookups) {
    lookup.direct = 100ms;
    lookup.taken = 200ms;
    lookup.found = true;
    lookup.cost.queries = 8;
  }
  lookups[1].found = false;  // it ended early, with nothing
  lookups[2].taken.reset();
  lookups[3].is_void = true;
  const LookupFigures figures = figures_of(lookups, 10s);
  EXPECT_EQ(figures.counted, 3U);
  EXPECT_NEAR(figures.success_percent, 33.3, 0.1);
  EXPECT_EQ(figures.ratio_p50, 100);
  EXPECT_EQ(figures.p95_ms, 10'000);
  EXPECT_NEAR(figures.mean_ms, 6733, 1);
  EXPECT_EQ(figures.queries, 8);
  EXPECT_EQ(figures_of({}, 10s).counted, 0U);
}

TEST(LookupFigures, percentiles) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({5, 1, 3}, 0.5), 3);
  EXPECT_EQ(percentile({5, 1, 3}, 1), 5);
}

}  // namespace
}  // namespace quicmesh::sim
