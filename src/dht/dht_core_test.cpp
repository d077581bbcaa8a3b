#include "dht/dht_core.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>

#include "dht/network_for_tests.hpp"

namespace quicmesh::dht {
namespace {

DhtKey random_key(Rng& rng) {
  DhtKey key;
  rng.fill(key.bytes);
  return key;
}

// S1.16
TEST(DhtCore, a_lookup_finds_the_nearest_nodes_of_the_network) {
  TestNetwork net(1);
  net.add_all(300);
  net.fill_tables(20);
  for (int round = 0; round < 50; ++round) {
    const std::size_t origin = net.rng().below(net.size());
    const DhtKey target = random_key(net.rng());
    ASSERT_TRUE(net.find(origin, target));
    const auto done = net.wait_for(origin);
    EXPECT_EQ(done.end, LookupEnd::converged);
    EXPECT_EQ(done.nearest, net.truly_nearest(target, 20, origin)) << "round " << round;
    EXPECT_LE(done.cost.hops, 5);
  }
}

// S1.02
TEST(DhtCore, nodes_that_know_one_contact_find_each_other) {
  TestNetwork net(2);
  net.add_all(200);
  net.join_all(1s);
  net.run_for(30s);
  int found = 0;
  for (int round = 0; round < 200; ++round) {
    const std::size_t origin = net.rng().below(net.size());
    const std::size_t sought = net.rng().below(net.size());
    if (origin == sought) continue;
    ASSERT_TRUE(net.find(origin, net.key(sought), {.until_found = true}));
    const auto done = net.wait_for(origin);
    EXPECT_EQ(done.end, LookupEnd::found) << "round " << round;
    if (done.end == LookupEnd::found) ++found;
  }
  EXPECT_GT(found, 190);
}

TEST(DhtCore, two_nodes_of_different_k_and_alpha_understand_each_other) {
  TestNetwork net(3, {.k = 10, .alpha = 2});
  net.add_all(100);
  const Config large{.k = 40, .alpha = 10};
  for (int i = 0; i < 100; ++i)
    net.add(net.random_id(), &large);
  net.fill_tables(40);
  for (const std::size_t origin : {0U, 150U}) {
    const DhtKey target = random_key(net.rng());
    ASSERT_TRUE(net.find(origin, target));
    const std::size_t k = origin == 0 ? 10 : 40;
    EXPECT_EQ(net.wait_for(origin).nearest, net.truly_nearest(target, k, origin));
  }
}

// U8
TEST(DhtCore, one_silent_peer_costs_its_own_time_out_and_not_the_lookups) {
  TestNetwork net(4);
  net.add_all(100);
  net.fill_tables(20);
  const DhtKey target = random_key(net.rng());
  ASSERT_TRUE(net.find(0, target));
  const Instant begun = net.now();
  (void)net.wait_for(0);
  const Duration all_answer = net.now() - begun;
  net.run_for(10s);
  // The one nearest to the target says nothing any more, and its connections stand.
  const PeerHandle nearest = net.truly_nearest(target, 1, 0)[0];
  net.lose = [&](std::size_t from, std::size_t, const Message&) {
    return net.peer(from) == nearest;
  };
  ASSERT_TRUE(net.find(0, target));
  const Instant again = net.now();
  const auto done = net.wait_for(0);
  EXPECT_EQ(done.nearest.size(), 20U);
  EXPECT_EQ(std::ranges::count(done.nearest, nearest), 0);
  EXPECT_LE(net.now() - again, all_answer + 200ms);
}

TEST(DhtCore, dead_nodes_leave_the_table) {
  TestNetwork net(5);
  net.add_all(100);
  net.fill_tables(20);
  const auto dead_in_table = [&] {
    return std::ranges::count_if(net.core(0).table().contacts(), [&](const Contact& contact) {
      return !net.alive(std::to_underlying(contact.peer));
    });
  };
  for (std::size_t node = 1; node < 100; node += 2)
    net.kill(node);
  const auto before = dead_in_table();
  ASSERT_GT(before, 15);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(net.find(0, random_key(net.rng())));
    const auto done = net.wait_for(0);
    for (const PeerHandle peer : done.nearest)
      EXPECT_TRUE(net.alive(std::to_underlying(peer)));
  }
  net.run_for(120s);
  EXPECT_LE(dead_in_table(), before / 4);
  EXPECT_GT(net.core(0).counters().contacts_lost, 0U);
  EXPECT_GT(net.core(0).table().live_count(), 30U);
}

// Were silence always taken for death, a night without a network would empty the table.
TEST(DhtCore, a_node_that_is_cut_off_keeps_its_contacts) {
  TestNetwork net(6);
  net.add_all(60);
  net.fill_tables(20);
  const std::size_t before = net.core(0).table().live_count();
  net.lose = [](std::size_t from, std::size_t to, const Message&) { return from == 0 || to == 0; };
  net.run_for(1s);
  for (int round = 0; round < 5; ++round) {
    ASSERT_TRUE(net.find(0, random_key(net.rng())));
    const auto done = net.wait_for(0);
    EXPECT_TRUE(done.nearest.empty());
  }
  EXPECT_EQ(net.core(0).table().live_count(), before);
  EXPECT_EQ(net.core(0).counters().contacts_lost, 0U);
}

TEST(DhtCore, a_lookup_ends_at_its_deadline_with_what_it_has) {
  TestNetwork net(7, {.lookup_deadline = 2s});
  net.add_all(60);
  net.fill_tables(20);
  net.rtt = [](std::size_t, std::size_t) { return 900ms; };
  ASSERT_TRUE(net.find(0, random_key(net.rng())));
  const Instant begun = net.now();
  const auto done = net.wait_for(0);
  EXPECT_EQ(done.end, LookupEnd::deadline);
  EXPECT_EQ(net.now() - begun, 2s);
  EXPECT_LT(done.nearest.size(), 20U);
  EXPECT_FALSE(done.nearest.empty());
}

TEST(DhtCore, at_quorum_the_answer_comes_early_and_the_lookup_goes_on) {
  TestNetwork net(8);
  net.add_all(200);
  net.fill_tables(20);
  const DhtKey target = random_key(net.rng());
  ASSERT_TRUE(net.find(0, target, {.quorum = 4}));
  const auto done = net.wait_for(0);
  EXPECT_LT(done.nearest.size(), 20U);
  const auto truth = net.truly_nearest(target, 4, 0);
  EXPECT_TRUE(std::ranges::equal(truth, std::span(done.nearest).first(4)));
  EXPECT_EQ(net.core(0).lookups_running(), 1U);
  const auto sent = net.core(0).counters().requests_sent;
  net.run_for(20s);
  EXPECT_EQ(net.core(0).lookups_running(), 0U);
  EXPECT_GT(net.core(0).counters().requests_sent, sent);
  EXPECT_TRUE(net.events(0).empty());
}

TEST(DhtCore, nobody_remembers_a_client) {
  TestNetwork net(9);
  net.add_all(40);
  const std::size_t client = net.size() - 1;
  net.core(client).set_server(false);
  net.join_all(100ms);
  net.run_for(20s);
  ASSERT_TRUE(net.find(client, net.key(7), {.until_found = true}));
  EXPECT_EQ(net.wait_for(client).end, LookupEnd::found);
  for (std::size_t node = 0; node < client; ++node) {
    EXPECT_EQ(net.core(node).table().find(net.peer(client)), nullptr) << node;
    EXPECT_NE(net.core(node).table().live_count(), 0U) << node;
  }
}

TEST(DhtCore, a_server_that_becomes_a_client_leaves_the_tables) {
  TestNetwork net(10);
  net.add_all(10);
  net.fill_tables(20);
  net.core(3).set_server(false);
  ASSERT_TRUE(net.find(3, random_key(net.rng())));
  (void)net.wait_for(3);
  net.run_for(1s);
  for (std::size_t node = 0; node < net.size(); ++node)
    EXPECT_EQ(net.core(node).table().find(net.peer(3)), nullptr) << node;
}

// TD4: what others tell is no contact until it has answered itself.
TEST(DhtCore, told_addresses_enter_no_table_unless_they_answer) {
  TestNetwork net(11);
  net.add_all(30);
  net.fill_tables(20);
  std::vector<PeerHandle> made_up;
  for (int i = 0; i < 200; ++i)
    made_up.push_back(net.peer(net.add()));
  for (const PeerHandle peer : made_up)
    net.kill(std::to_underlying(peer));
  net.twist = [&](std::size_t from, Message& message) {
    auto* nodes = std::get_if<Nodes>(&message.body);
    if (nodes == nullptr || from % 3 != 0) return;
    nodes->nodes.assign(made_up.begin() + std::ptrdiff_t(from), made_up.begin() + 40);
  };
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(net.find(1, random_key(net.rng())));
    const auto done = net.wait_for(1);
    EXPECT_GE(done.nearest.size(), 10U);
  }
  for (const Contact& contact : net.core(1).table().contacts())
    EXPECT_EQ(std::ranges::count(made_up, contact.peer), 0);
}

TEST(DhtCore, an_answer_counts_only_from_the_one_who_was_asked) {
  TestNetwork net(12);
  net.add_all(3);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  net.tell(0, peer::Up{net.peer(2), 10ms});
  const PeerHandle one = net.peer(1);
  net.core(0).bootstrap(net.now(), std::span(&one, 1));
  const auto output = net.core(0).poll_output();
  ASSERT_TRUE(output);
  const auto& sent = std::get<peer::Send<Message>>(*output);
  ASSERT_EQ(sent.to, one);
  net.tell(0, peer::Received<Message>{net.peer(2), {sent.message.request, true, Nodes{}}});
  EXPECT_EQ(net.core(0).table().live_count(), 0U);
  EXPECT_EQ(net.core(0).counters().answers_unasked, 1U);
  net.tell(0, peer::Received<Message>{one, {sent.message.request, true, Nodes{}}});
  EXPECT_EQ(net.core(0).table().live_count(), 1U);
}

TEST(DhtCore, more_lookups_than_are_kept_are_refused) {
  TestNetwork net(13);
  net.add_all(2);
  net.fill_tables(20);
  net.lose = [](std::size_t, std::size_t, const Message&) { return true; };
  for (std::size_t i = 0; i < DhtCore::lookups_max; ++i)
    EXPECT_TRUE(net.find(0, random_key(net.rng())));
  const auto refused = net.find(0, random_key(net.rng()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), DhtErrc::too_many_queries);
  net.run_for(20s);
  EXPECT_EQ(net.core(0).lookups_running(), 0U);
  EXPECT_EQ(net.events(0).size(), DhtCore::lookups_max);
}

TEST(DhtCore, answers_with_no_more_contacts_than_it_was_asked_for) {
  TestNetwork net(14);
  net.add_all(100);
  net.fill_tables(40);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  for (const unsigned count : {0U, 1U, 7U, 40U, 255U}) {
    std::optional<Nodes> answer;
    net.core(0).handle(
        net.now(),
        peer::Received<Message>{net.peer(1),
                                {5, true, FindNode{net.key(1), static_cast<std::uint8_t>(count)}}});
    while (auto output = net.core(0).poll_output()) {
      auto* sent = std::get_if<peer::Send<Message>>(&*output);
      if (sent != nullptr && std::holds_alternative<Nodes>(sent->message.body)) {
        EXPECT_EQ(sent->message.request, 5U);
        answer = std::get<Nodes>(sent->message.body);
      }
    }
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->nodes.size(), std::min<std::size_t>(count, contacts_max));
    EXPECT_EQ(std::ranges::count(answer->nodes, net.peer(1)), 0);
  }
}

TEST(DhtCore, keeps_no_more_connections_than_it_should) {
  TestNetwork net(15, {.links_server = 8});
  net.add_all(150);
  net.fill_tables(20);
  for (int round = 0; round < 10; ++round) {
    ASSERT_TRUE(net.find(0, random_key(net.rng())));
    (void)net.wait_for(0);
    net.run_for(3s);
    EXPECT_LE(net.core(0).links_up(), 2 * 8U);
  }
  net.run_for(5s);
  // The next change of its connections brings it down to the bound.
  net.tell(0, peer::Up{net.peer(149), 40ms});
  EXPECT_LE(net.core(0).links_up(), 9U);
  EXPECT_GT(net.core(0).counters().links_closed, 0U);
}

// S1.27, S1.28
TEST(DhtCore, slow_tiers_are_asked_only_when_the_fast_ones_do_not_suffice) {
  TestNetwork net(16);
  net.add_all(200);
  // Even ones are near each other, odd ones are far from everybody.
  net.rtt = [](std::size_t a, std::size_t b) { return a % 2 == 0 && b % 2 == 0 ? 10ms : 200ms; };
  net.fill_tables(20);
  const LatencyTiers tiers{.longest = {50ms}, .count = 2};
  for (std::size_t node = 0; node < net.size(); ++node)
    net.tell(node, peer::TiersChanged{tiers});
  // Somebody of the fast tier whom we do not know: nobody slow is needed to find it.
  int sought = 0;
  for (std::size_t node = 2; node < net.size(); node += 2) {
    if (net.core(0).table().find(net.peer(node)) != nullptr) continue;
    ++sought;
    ASSERT_TRUE(net.find(0, net.key(node), {.until_found = true}));
    const auto done = net.wait_for(0);
    EXPECT_EQ(done.end, LookupEnd::found);
    EXPECT_EQ(done.cost.slow_tier_queries, 0) << node;
  }
  EXPECT_GT(sought, 10);
  // The k nearest of all, however, are both fast and slow.
  ASSERT_TRUE(net.find(0, random_key(net.rng())));
  EXPECT_GT(net.wait_for(0).cost.slow_tier_queries, 0);
}

TEST(DhtCore, stale_buckets_are_refreshed) {
  TestNetwork net(17, {.refresh_interval = 60s});
  net.add_all(50);
  net.fill_tables(20);
  net.run_for(100s);
  // Each bucket once within its interval, no lookup of a user's among them.
  EXPECT_GT(net.core(0).counters().requests_sent, 20U);
  const auto stale = net.core(0).table().stalest();
  ASSERT_TRUE(stale);
  EXPECT_GT(stale->since, net.now() - 75s);
  EXPECT_TRUE(net.events(0).empty());
}

/// How often `node` asks for what `counts` says, from now on.
std::size_t& count_requests(TestNetwork& net, std::size_t node,
                            std::function<bool(const DhtKey&)> counts) {
  const auto count = std::make_shared<std::size_t>(0);
  net.lose = [=](std::size_t from, std::size_t, const Message& message) {
    const auto* find = std::get_if<FindNode>(&message.body);
    if (from == node && find != nullptr && counts(find->target)) ++*count;
    return false;
  };
  return *count;
}

TEST(DhtCore, those_around_us_are_refreshed_together_by_a_lookup_of_our_own_id) {
  TestNetwork net(19, {.express = false, .refresh_interval = 60s});
  net.add_all(300);
  net.fill_tables(20);
  const unsigned first_own = net.core(0).table().first_own();
  ASSERT_GT(net.core(0).table().bucket_count(), first_own + 2);
  const DhtKey own = net.key(0);
  const std::size_t& around_us = count_requests(net, 0, [&](const DhtKey& target) {
    return target != own && shared_bits(own, target) >= first_own;
  });
  net.run_for(100s);
  EXPECT_EQ(around_us, 0U);
  const std::size_t& of_own_id =
      count_requests(net, 0, [&](const DhtKey& target) { return target == own; });
  net.run_for(75s);
  EXPECT_GE(of_own_id, 20U);
  EXPECT_LE(of_own_id, 60U);
}

TEST(DhtCore, a_bucket_in_use_is_not_refreshed_once_the_density_is_known) {
  const auto requests = [](bool in_use) {
    const Config refreshes{.express = false, .refresh_interval = 60s, .records_needed = false};
    TestNetwork net(20, {.express = false});
    net.add(net.random_id(), &refreshes);  // the others answer, and do nothing of their own
    net.add_all(99);
    net.fill_tables(20);
    std::size_t& count = count_requests(
        net, 0, [own = net.key(0)](const DhtKey& target) { return shared_bits(own, target) == 0; });
    // Half of the first bucket is heard within each interval.
    const auto live_on = [&](Duration time) {
      for (const Instant end = net.now() + time; net.now() < end;) {
        net.run_for(20s);
        const auto live = net.core(0).table().live(0);
        std::vector<PeerHandle> heard;
        for (std::size_t place = 0; in_use && place < live.size(); place += 2)
          heard.push_back(live[place].peer);
        for (const PeerHandle peer : heard)
          net.core(0).adopt(net.now(), peer, 40ms);
      }
    };
    live_on(15min);
    const std::size_t before = count;
    live_on(60min);
    return count - before;
  };
  const std::size_t in_use = requests(true);
  EXPECT_LT(in_use * 2, requests(false));
  EXPECT_GT(in_use, 20U) << "one in four is refreshed all the same";
}

// After a join: a lookup of a random key of the bucket would go on to the k nearest to that key.
TEST(DhtCore, filling_a_bucket_ends_when_it_is_filled) {
  TestNetwork net(21);
  net.add_all(400);
  net.fill_tables(20);
  const std::size_t last = net.add();
  const DhtKey own = net.key(last);
  std::map<DhtKey, std::size_t> asked;
  net.lose = [&](std::size_t from, std::size_t, const Message& message) {
    const auto* find = std::get_if<FindNode>(&message.body);
    if (from == last && find != nullptr && find->target != own) ++asked[find->target];
    return false;
  };
  const PeerHandle first = TestNetwork::peer(0);
  net.core(last).bootstrap(net.now(), std::span(&first, 1));
  net.tell(last, peer::TiersChanged{});
  net.run_for(60s);
  std::size_t filled = 0;
  for (const auto& [target, times] : asked) {
    const auto live = net.core(last).table().live(shared_bits(own, target)).size();
    filled += live >= 15 ? 1 : 0;
    if (live >= 15) {
      EXPECT_LE(times, 20U);
    }
  }
  EXPECT_GE(filled, 2U);
}

// The handshake's round trip, and the request's.
TEST(DhtCore, a_first_answer_brings_two_samples_of_the_round_trip) {
  TestNetwork net(22, {.near_buckets = false, .express = false});
  net.add_all(2);
  const PeerHandle first = TestNetwork::peer(0);
  net.core(1).bootstrap(net.now(), std::span(&first, 1));
  net.tell(1, peer::TiersChanged{});
  net.run_for(1s);
  const Contact* contact = net.core(1).table().find(first);
  ASSERT_NE(contact, nullptr);
  EXPECT_EQ(contact->samples, 2U);
}

TEST(DhtCore, a_node_at_rest_has_no_timer_but_the_refresh) {
  TestNetwork net(18);
  net.add_all(50);
  net.fill_tables(20);
  for (int i = 0; i < 40; ++i)
    ASSERT_TRUE(net.find(0, random_key(net.rng())));
  net.run_for(50ms);
  EXPECT_GT(net.core(0).memory(), net.core(0).table().memory() + 8192);
  net.run_for(60s);
  EXPECT_EQ(net.core(0).lookups_running(), 0U);
  EXPECT_GT(net.core(0).poll_timeout(), net.now() + 10min);
  // Lookups took memory while they ran, and gave it back.
  EXPECT_LT(net.core(0).memory(), net.core(0).table().memory() + 3072);
}

TEST(DhtCore, contacts_worth_keeping_bring_a_node_back) {
  TestNetwork net(19);
  net.add_all(60);
  net.fill_tables(20);
  ASSERT_TRUE(net.find(0, random_key(net.rng())));
  const auto heard_last = net.wait_for(0).nearest;
  const auto keep = net.core(0).contacts_to_keep();
  EXPECT_EQ(keep.size(), net.core(0).table().live_count());
  EXPECT_EQ(std::ranges::count(heard_last, keep.front()), 1);
  // Born again, with nothing but those.
  const std::size_t again = net.add();
  net.core(again).bootstrap(net.now(), std::span(keep).first(5));
  net.tell(again, peer::TiersChanged{});
  net.run_for(30s);
  EXPECT_GE(net.core(again).table().live_count(), 20U);
}

TEST(DhtCore, marks_every_handle_that_it_names) {
  TestNetwork net(20);
  net.add_all(60);
  net.fill_tables(20);
  ASSERT_TRUE(net.find(0, random_key(net.rng())));
  net.run_for(60ms);
  PeerBook::Sweep sweep(net.book);
  net.core(0).mark(sweep);
  const NodeId contact = net.book.id(net.core(0).table().contacts()[3].peer);
  EXPECT_GT(sweep.finish(), 0U);
  EXPECT_NE(net.book.find(contact), no_peer);
  for (const Contact& kept : net.core(0).table().contacts())
    (void)net.book.id(kept.peer);  // asserts that it is there
}

// M1: the whole node, its table full
TEST(DhtCore, a_node_at_rest_with_a_full_table_fits_into_twelve_kilobytes) {
  TestNetwork net(21);
  net.add_all(1);
  for (unsigned bucket = 0; bucket < 16; ++bucket) {
    for (int i = 0; i < 25; ++i) {
      const NodeId id{net.core(0).table().random_key_in(bucket, net.rng()).bytes};
      net.core(0).adopt(net.now(), net.book.intern(id), 50ms);
    }
  }
  for (std::uint32_t i = 1; i <= 64; ++i)
    net.tell(0, peer::Up{PeerHandle{i}, 50ms});
  EXPECT_EQ(net.core(0).table().live_count(), 320U);
  EXPECT_EQ(net.core(0).links_up(), 64U);
  EXPECT_LE(sizeof(DhtCore) + net.core(0).memory(), 12U * 1024);
  RecordProperty("bytes", static_cast<int>(sizeof(DhtCore) + net.core(0).memory()));
}

}  // namespace
}  // namespace quicmesh::dht
