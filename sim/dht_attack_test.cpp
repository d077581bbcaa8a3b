// Hostile nodes in small DHTs, and that the defences are what holds them off. The large runs are
// those of `quicmesh sim dht-attack` (docs/guide/dht-simulator.md).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <utility>

#include "dht/value.hpp"
#include "quicmesh/keypair.hpp"
#include "sim/dht_world.hpp"
#include "sim/lookup_figures.hpp"

namespace quicmesh::sim {
namespace {

DhtWorldConfig with_hostile(std::uint64_t percent, Hostility hostility) {
  DhtWorldConfig config;
  config.nodes = 250;
  config.hostile = {percent, 100};
  config.hostility = hostility;
  return config;
}

std::vector<MeasuredValue> some_values(std::size_t count) {
  std::vector<MeasuredValue> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    values[i].bytes = Bytes(16, static_cast<std::uint8_t>(i));
    values[i].key = dht::immutable_key(values[i].bytes);
  }
  return values;
}

std::ptrdiff_t found(const std::vector<MeasuredValue>& values) {
  return std::ranges::count(values, true, &MeasuredValue::found);
}

TEST(DhtAttack, values_are_found_where_nobody_is_hostile) {
  DhtWorld world(with_hostile(0, Hostility::none), LatencyModel::cities());
  world.make_full();
  auto values = some_values(60);
  world.put_all(values, 10s);
  world.get_all(values, 10s);
  EXPECT_EQ(found(values), 60);
  // And only because they were put.
  auto never_put = some_values(70);
  never_put.erase(never_put.begin(), never_put.begin() + 60);
  world.get_all(never_put, 10s);
  EXPECT_EQ(found(never_put), 0);
}

// TD3
TEST(DhtAttack, a_fifth_that_lies_keeps_nobody_from_finding) {
  DhtWorld world(with_hostile(20, Hostility::lying), LatencyModel::cities());
  world.make_full();
  auto values = some_values(60);
  world.put_all(values, 10s);
  world.get_all(values, 10s);
  EXPECT_GE(found(values), 59);
  EXPECT_GE(figures_of(world.measure(60, 20s), 10s).success_percent, 98);
}

// Where the liars are nearly everybody nothing helps: the attack is a real one.
TEST(DhtAttack, nine_tenths_that_lie_do) {
  DhtWorld world(with_hostile(90, Hostility::lying), LatencyModel::cities());
  world.make_full();
  EXPECT_LT(figures_of(world.measure(60, 20s), 10s).success_percent, 90);
}

// TD2
TEST(DhtAttack, a_forged_value_or_express_answer_is_known_for_one) {
  DhtWorldConfig config = with_hostile(30, Hostility::forging);
  config.ask = Ask::record;
  DhtWorld world(config, LatencyModel::cities());
  world.make_full();
  auto values = some_values(60);
  world.put_all(values, 10s);
  world.get_all(values, 10s);
  EXPECT_GE(found(values), 57);
  unsigned false_values = 0;
  for (const MeasuredValue& value : values)
    false_values += value.false_values;
  EXPECT_GT(false_values, 0U);
  EXPECT_GE(figures_of(world.measure(60, 20s), 10s).success_percent, 90);
  std::uint64_t false_answers = 0;
  for (const PeerHandle peer : world.live())
    false_answers += world.fabric().core(peer).dht().counters().express_false;
  EXPECT_GT(false_answers, 0U);
}

// A world in which forty-five ids stand around `key`.
DhtWorldConfig with_ground_ids(const DhtKey& key, Hostility hostility) {
  DhtWorldConfig config = with_hostile(0, hostility);
  config.nodes = 600;
  config.key_under_attack = key;
  config.ground_ids = 45;
  return config;
}

std::uint64_t regions(DhtWorld& world) {
  std::uint64_t sum = 0;
  for (const PeerHandle peer : world.live())
    sum += world.fabric().core(peer).dht().counters().regions;
  return sum;
}

// TD1, TD2
TEST(DhtAttack, ids_ground_around_a_key_do_not_hide_its_value) {
  const auto values = some_values(1);
  DhtWorld world(with_ground_ids(values[0].key, Hostility::lying), LatencyModel::cities());
  world.make_full();
  world.put_all(values, 1s);
  std::vector<MeasuredValue> wanted(50, values[0]);
  world.get_all(wanted, 10s);
  EXPECT_GE(found(wanted), 49);
  EXPECT_GT(regions(world), 10U);
}

// TD1, TD6: they have the first version, and serve it.
TEST(DhtAttack, ids_ground_around_a_signed_value_do_not_bring_its_past_back) {
  const Keypair owner = Keypair::from_seed(std::array<std::uint8_t, 32>{1});
  std::vector<MeasuredValue> values(1);
  values[0].kind = dht::ValueKind::signed_value;
  values[0].key = dht::signed_key(owner.public_key(), {});
  DhtWorld world(with_ground_ids(values[0].key, Hostility::serving_old), LatencyModel::cities());
  world.make_full();
  for (const std::uint8_t version : {std::uint8_t{1}, std::uint8_t{2}}) {
    const WallTime now = world.wall_time();
    const Bytes text(8, version);
    values[0].bytes =
        dht::make_signed_value(owner, {.sequence = dht::sequence_of(now),
                                       .expiry = WallTime{std::to_underlying(now) + 3600},
                                       .salt = {},
                                       .value = text})
            .value();
    world.put_all(values, 1s);
    world.fabric().run_for(10s);
  }
  std::vector<MeasuredValue> wanted(50, values[0]);
  world.get_all(wanted, 10s);
  EXPECT_GE(found(wanted), 49);
}

TEST(DhtAttack, where_nobody_besieges_a_key_regions_are_rare) {
  DhtWorldConfig config = with_hostile(0, Hostility::none);
  config.nodes = 600;
  DhtWorld world(config, LatencyModel::cities());
  world.make_full();
  auto values = some_values(100);
  world.put_all(values, 10s);
  world.get_all(values, 10s);
  EXPECT_EQ(found(values), 100);
  EXPECT_LE(regions(world), 8U);
}

// TD4
TEST(DhtAttack, who_is_only_told_about_is_no_contact) {
  DhtWorldConfig config = with_hostile(30, Hostility::lying);
  config.name_the_dead = true;
  DhtWorld world(config, LatencyModel::cities());
  world.make_full();
  const auto lookups = world.measure(60, 20s);
  double failures = 0;
  for (const MeasuredLookup& lookup : lookups)
    failures += lookup.cost.failures;
  EXPECT_GT(failures, 0);  // they were asked
  EXPECT_EQ(world.captured().dead, 0U);
}

// TD4
TEST(DhtAttack, one_public_prefix_has_two_places_in_a_bucket_and_ten_in_a_table) {
  const auto captured = [](std::size_t groups) {
    DhtWorldConfig config = with_hostile(40, Hostility::none);
    config.hostile_groups = groups;
    DhtWorld world(config, LatencyModel::cities());
    world.make_full();
    world.warm_up(1, 20s);
    return world.captured();
  };
  const DhtWorld::Captured limited = captured(1);
  EXPECT_LE(limited.most_of_a_group_in_bucket, 2U);
  EXPECT_LE(limited.most_of_a_group_in_table, 10U);
  EXPECT_LT(limited.contacts, 20);
  EXPECT_GT(captured(0).contacts, 35);
}

// TD10
TEST(DhtAttack, who_is_near_to_everybody_gets_near_halves_at_most) {
  DhtWorldConfig config = with_hostile(10, Hostility::none);
  config.nodes = 1000;
  config.hostile_everywhere = true;
  DhtWorld world(config, LatencyModel::cities());
  world.make_full();
  const DhtWorld::Captured captured = world.captured();
  EXPECT_GT(captured.near_half, 20);
  EXPECT_LT(captured.random_half, 13);
  EXPECT_LT(captured.contacts, 25);
}

TEST(DhtAttack, hostile_nodes_name_the_accomplices_nearest_to_a_key) {
  PeerBook book(100, 1);
  Rng rng(7);
  Conspiracy conspiracy;
  for (int i = 0; i < 50; ++i) {
    NodeId id;
    rng.fill(id.bytes);
    conspiracy.named.push_back(book.intern(id));
  }
  conspiracy.sort(book);
  const DhtKey target = DhtKey::of(book.id(conspiracy.named[17]));
  const auto nearest = conspiracy.nearest(book, target, 20);
  ASSERT_EQ(nearest.size(), 20U);
  EXPECT_EQ(nearest.front(), conspiracy.named[17]);
  for (std::size_t i = 1; i < nearest.size(); ++i)
    EXPECT_LT(distance(target, DhtKey::of(book.id(nearest[i - 1]))),
              distance(target, DhtKey::of(book.id(nearest[i]))));
}

// TD5: whoever comes to hostile nodes alone meets no others; one honest contact is a way out.
TEST(DhtAttack, one_honest_contact_among_ten_is_a_way_out) {
  const auto honest_contacts = [](bool with_honest) {
    DhtWorld world(with_hostile(20, Hostility::lying), LatencyModel::cities());
    world.make_full();
    std::vector<PeerHandle> known;
    while (known.size() < 9) {
      const PeerHandle other = world.random_live();
      if (world.is_hostile(other)) known.push_back(other);
    }
    if (with_honest) known.push_back(world.random_honest());
    const PeerHandle joiner = world.join_by(known);
    world.fabric().run_for(2min);
    const DhtWorld::Captured captured = world.captured(joiner);
    EXPECT_GT(captured.all_near + captured.all_random, 0U);
    return 100 - captured.contacts;
  };
  EXPECT_EQ(honest_contacts(false), 0);
  EXPECT_GT(honest_contacts(true), 20);
}

// A false express answer misleads nobody, though it comes first to many.
TEST(DhtAttack, forged_express_answers_are_not_believed) {
  DhtWorldConfig config = with_hostile(30, Hostility::forging_express);
  config.ask = Ask::record;
  DhtWorld world(config, LatencyModel::cities());
  world.make_full();
  world.warm_up(2, 30s);
  const auto lookups = world.measure(60, 20s);
  EXPECT_EQ(figures_of(lookups, 10s).success_percent, 100);
  EXPECT_GT(std::ranges::count(lookups, true, &MeasuredLookup::first_express_false), 0);
}

}  // namespace
}  // namespace quicmesh::sim
