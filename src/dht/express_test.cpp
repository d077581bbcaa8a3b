#include "dht/express.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dht/network_for_tests.hpp"

namespace quicmesh::dht {
namespace {

ExpressEntry entry_of(std::uint32_t number, PeerHandle next, PeerHandle previous) {
  return {.number = number, .next = next, .previous = previous, .expires = Instant{9s}};
}

TEST(ExpressTime, after_a_failure_both_queries_go_at_once) {
  ExpressTime time;
  EXPECT_GT(time.hedge(), Duration{});
  time.on_outcome(false);
  EXPECT_EQ(time.hedge(), Duration{});
  time.on_outcome(true);
  EXPECT_GT(time.hedge(), Duration{});
  EXPECT_LT(time.hedge(), time.patience());
}

TEST(ExpressTable, an_answer_counts_only_from_the_one_who_was_asked) {
  ExpressTable table;
  table.add(entry_of(7, PeerHandle{1}, PeerHandle{2}));
  EXPECT_FALSE(table.take(PeerHandle{3}, 7));
  EXPECT_FALSE(table.take(PeerHandle{1}, 8));
  const auto taken = table.take(PeerHandle{1}, 7);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->previous, PeerHandle{2});
  EXPECT_FALSE(table.take(PeerHandle{1}, 7));
  EXPECT_EQ(table.memory(), 0U);
}

TEST(ExpressTable, one_previous_hop_has_its_share_and_no_more) {
  ExpressTable table;
  for (std::uint32_t i = 0; i < ExpressTable::of_previous_max; ++i) {
    EXPECT_TRUE(table.has_room_for(PeerHandle{2}));
    table.add(entry_of(i, PeerHandle{1}, PeerHandle{2}));
  }
  EXPECT_FALSE(table.has_room_for(PeerHandle{2}));
  EXPECT_TRUE(table.has_room_for(PeerHandle{3}));
  for (std::uint32_t i = 0; table.size() < ExpressTable::entries_max; ++i)
    table.add(entry_of(100 + i, PeerHandle{1}, PeerHandle{10 + i}));
  EXPECT_FALSE(table.has_room_for(PeerHandle{3}));
  table.forget_previous(PeerHandle{2});
  EXPECT_TRUE(table.has_room_for(PeerHandle{2}));
}

TEST(ExpressTable, entries_expire) {
  ExpressTable table;
  EXPECT_EQ(table.earliest(), never);
  table.add(entry_of(7, PeerHandle{1}, PeerHandle{2}));
  EXPECT_EQ(table.earliest(), Instant{9s});
  EXPECT_FALSE(table.take_expired(Instant{8s}));
  EXPECT_TRUE(table.take_expired(Instant{9s}));
  EXPECT_FALSE(table.take_expired(Instant{9s}));
}

TEST(ExpressTime, the_patience_follows_what_answers_took) {
  ExpressTime time;
  EXPECT_EQ(time.patience(), 2 * ExpressTime::first_expected);
  time.add_sample(100ms);
  EXPECT_EQ(time.patience(), 200ms);
  for (int i = 0; i < 100; ++i)
    time.add_sample(300ms);
  EXPECT_NEAR(double(time.patience().count()), double(Duration(600ms).count()), 1e6);
  time.add_sample(1h);
  EXPECT_EQ(time.patience(), ExpressTime::patience_max);
  for (int i = 0; i < 200; ++i)
    time.add_sample(1us);
  EXPECT_EQ(time.patience(), ExpressTime::patience_min);
}

// A network at rest: tables are full, and the connections that are wanted stand.
struct WarmNetwork : TestNetwork {
  explicit WarmNetwork(std::uint64_t seed, std::size_t nodes = 300, Config with = {})
      : TestNetwork(seed, with) {
    rtt = [](std::size_t a, std::size_t b) {
      return 10ms + std::chrono::milliseconds((a * 31 + b * 31) % 90);
    };
    add_all(nodes);
    fill_tables(10);
    run_for(60s);
  }

  struct Answer {
    Resolved resolved;
    Duration took{};
  };
  Answer resolve(std::size_t origin, std::size_t sought) {
    const Instant begun = now();
    EXPECT_TRUE(command(
        origin, [&](DhtCore& core) { return core.resolve(this->now(), book.id(peer(sought))); }));
    const auto resolved = wait_for<Resolved>(origin);
    return {resolved, now() - begun};
  }
  /// Two nodes that do not know each other.
  std::pair<std::size_t, std::size_t> strangers() {
    for (;;) {
      const std::size_t a = rng().below(size());
      const std::size_t b = rng().below(size());
      if (a == b || connected(a, b) || core(a).table().find(peer(b)) != nullptr) continue;
      return {a, b};
    }
  }
};

TEST(Express, finds_nodes_by_a_few_messages_and_in_less_time_than_a_lookup) {
  WarmNetwork net(61);
  WarmNetwork plain(61, 300, {.express = false});
  int by_express = 0;
  Duration with{};
  Duration without{};
  std::size_t messages = 0;
  std::size_t messages_without = 0;
  for (int round = 0; round < 100; ++round) {
    const auto [origin, sought] = net.strangers();
    const std::size_t before = net.messages;
    const auto answer = net.resolve(origin, sought);
    EXPECT_EQ(answer.resolved.end, LookupEnd::found);
    EXPECT_EQ(answer.resolved.node, net.peer(sought));
    if (answer.resolved.by_express) ++by_express;
    with += answer.took;
    net.run_for(5s);
    messages += net.messages - before;
    const std::size_t before_without = plain.messages;
    const auto other = plain.resolve(origin, sought);
    EXPECT_FALSE(other.resolved.by_express);
    EXPECT_EQ(other.resolved.node, plain.peer(sought));
    without += other.took;
    plain.run_for(5s);
    messages_without += plain.messages - before_without;
  }
  EXPECT_GT(by_express, 90);
  EXPECT_LT(with, without);
  EXPECT_LT(messages, messages_without);
  std::uint64_t passed_on = 0;
  for (std::size_t node = 0; node < net.size(); ++node)
    passed_on += net.core(node).counters().express_passed_on;
  EXPECT_GT(passed_on, 10U);
}

TEST(Express, where_answers_are_withheld_a_lookup_begins_after_twice_the_usual_time) {
  WarmNetwork net(62);
  net.lose = [](std::size_t, std::size_t, const Message& message) {
    return std::holds_alternative<ExpressAnswer>(message.body);
  };
  for (int round = 0; round < 20; ++round) {
    const auto [origin, sought] = net.strangers();
    const auto answer = net.resolve(origin, sought);
    EXPECT_EQ(answer.resolved.node, net.peer(sought));
    EXPECT_FALSE(answer.resolved.by_express);
    EXPECT_GE(answer.took, 2 * ExpressTime::first_expected);
    EXPECT_LE(answer.took, 2 * ExpressTime::first_expected + 700ms);
    net.run_for(5s);
  }
}

TEST(Express, answers_that_are_not_right_are_seen_through_on_the_way) {
  WarmNetwork net(63);
  // Every third node names somebody else instead of a dead end or what it knows.
  net.twist = [&](std::size_t from, Message& message) {
    if (from % 3 != 0) return;
    if (auto* answer = std::get_if<ExpressAnswer>(&message.body)) answer->node = net.peer(from);
  };
  for (int round = 0; round < 60; ++round) {
    const auto [origin, sought] = net.strangers();
    EXPECT_EQ(net.resolve(origin, sought).resolved.node, net.peer(sought));
    net.run_for(5s);
  }
  std::uint64_t seen_through = 0;
  for (std::size_t node = 0; node < net.size(); ++node)
    seen_through += net.core(node).counters().express_false;
  EXPECT_GT(seen_through, 10U);
}

TEST(Express, brings_immutable_values_and_only_right_ones) {
  WarmNetwork net(64);
  const Bytes value(200, 7);
  const DhtKey key = immutable_key(value);
  ASSERT_TRUE(net.command(
      0, [&](DhtCore& core) { return core.put(net.now(), ValueKind::immutable, key, value); }));
  EXPECT_GT(net.wait_for<PutFinished>(0).stored, 10U);
  net.run_for(5s);
  bool forge = false;
  net.twist = [&](std::size_t, Message& message) {
    auto* answer = std::get_if<ExpressAnswer>(&message.body);
    if (forge && answer != nullptr) answer->bytes = Bytes(200, 8);
  };
  int by_express = 0;
  for (std::size_t origin = 20; origin < 60; ++origin) {
    forge = origin >= 40;
    ASSERT_TRUE(net.command(
        origin, [&](DhtCore& core) { return core.get(net.now(), ValueKind::immutable, key); }));
    const auto done = net.wait_for<GetDone>(origin);
    EXPECT_EQ(done.bytes, value);
    EXPECT_EQ(done.end, LookupEnd::found);
    if (done.by_express) ++by_express;
    EXPECT_FALSE(forge && done.by_express);
    net.run_for(5s);
  }
  EXPECT_GT(by_express, 10);
  EXPECT_LE(by_express, 30);
}

TEST(Express, signed_values_are_never_asked_so) {
  WarmNetwork net(65, 60);
  bool express = false;
  net.twist = [&](std::size_t, Message& message) {
    express = express || std::holds_alternative<Express>(message.body);
  };
  net.core(0).set_wall_time(net.now(), WallTime{1'700'000'000});
  ASSERT_TRUE(net.command(
      0, [&](DhtCore& core) { return core.get(net.now(), ValueKind::signed_value, net.key(5)); }));
  (void)net.wait_for<GetDone>(0);
  ASSERT_TRUE(net.find(0, net.key(7)));
  (void)net.wait_for(0);
  EXPECT_FALSE(express);
}

// One node, its contacts played by the test.
class Forwarder : public testing::Test {
 protected:
  Forwarder() {
    config.records_needed = false;
    for (int i = 0; i < 200; ++i) {
      NodeId id;
      rng.fill(id.bytes);
      (void)book.intern(id);
    }
    core.emplace(now, config, book, PeerHandle{0}, Rng(2));
    // The first hundred are contacts, the first forty of them connected; the others are unknown.
    for (std::uint32_t i = 1; i < 100; ++i)
      core->adopt(now, PeerHandle{i}, i * 1ms);
    for (std::uint32_t i = 1; i < 40; ++i)
      core->handle(now, peer::Up{PeerHandle{i}, i * 1ms});
    (void)sent();
  }

  std::vector<peer::Send<Message>> sent() {
    std::vector<peer::Send<Message>> all;
    while (auto output = core->poll_output()) {
      if (auto* send = std::get_if<peer::Send<Message>>(&*output)) all.push_back(*send);
    }
    return all;
  }
  std::vector<peer::Send<Message>> ask(std::uint32_t from, std::uint32_t number, Express query) {
    core->handle(now, peer::Received<Message>{PeerHandle{from}, {number, true, query}});
    return sent();
  }
  DhtKey key(std::uint32_t peer) { return DhtKey::of(book.id(PeerHandle{peer})); }
  /// A target that the node does not know, but to which somebody connected is nearer.
  DhtKey unknown_target() {
    for (std::uint32_t i = 100;; ++i) {
      const auto nearer = [&](std::uint32_t peer) {
        return core->table().find(PeerHandle{peer}) != nullptr &&
               distance(key(i), key(peer)) < distance(key(i), key(0));
      };
      int count = 0;
      for (std::uint32_t peer = 2; peer < 40; ++peer)
        count += nearer(peer) ? 1 : 0;
      if (count >= 3) return key(i);
    }
  }

  Instant now{100s};
  Config config;
  PeerBook book{1000, 1};
  Rng rng{1};
  std::optional<DhtCore> core;
};

TEST_F(Forwarder, passes_a_query_on_to_one_peer_that_is_nearer_and_the_answer_back) {
  const DhtKey target = unknown_target();
  const auto onward = ask(1, 77, {.target = target, .hops_left = 9});
  ASSERT_EQ(onward.size(), 1U);
  const auto& query = std::get<Express>(onward[0].message.body);
  EXPECT_EQ(query.target, target);
  EXPECT_EQ(query.hops_left, 8);
  EXPECT_LT(distance(target, DhtKey::of(book.id(onward[0].to))), distance(target, key(0)));
  EXPECT_LT(std::to_underlying(onward[0].to), 40U) << "the connection stands";
  const PeerHandle found = book.find(NodeId{target.bytes});
  core->handle(now, peer::Received<Message>{
                        onward[0].to, {onward[0].message.request, true, ExpressAnswer{found, {}}}});
  const auto back = sent();
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0].to, PeerHandle{1});
  EXPECT_EQ(back[0].message.request, 77U);
  EXPECT_EQ(std::get<ExpressAnswer>(back[0].message.body).node, found);
}

TEST_F(Forwarder, answers_what_it_knows_itself) {
  for (const std::uint32_t known : {0U, 5U}) {
    const auto answers = ask(1, 77, {.target = key(known), .hops_left = 0});
    ASSERT_EQ(answers.size(), 1U);
    EXPECT_EQ(std::get<ExpressAnswer>(answers[0].message.body).node, PeerHandle{known});
  }
  // What the book has, but nobody vouches for, it does not know.
  const auto unknown = ask(1, 78, {.target = unknown_target(), .hops_left = 0});
  EXPECT_EQ(std::get<ExpressAnswer>(unknown.at(0).message.body).node, no_peer);
  config.records_needed = true;
  const auto without = ask(1, 79, {.target = key(5), .hops_left = 0});
  EXPECT_EQ(std::get<ExpressAnswer>(without.at(0).message.body).node, no_peer);
  book.set_record(PeerHandle{5}, Bytes(10, 1));
  const auto with = ask(1, 80, {.target = key(5), .hops_left = 0});
  EXPECT_EQ(std::get<ExpressAnswer>(with.at(0).message.body).node, PeerHandle{5});
}

TEST_F(Forwarder, hops_end_and_nobody_can_ask_for_more_than_there_are) {
  const auto last = ask(1, 77, {.target = unknown_target(), .hops_left = 0});
  ASSERT_EQ(last.size(), 1U);
  EXPECT_EQ(last[0].to, PeerHandle{1});
  const auto many = ask(1, 78, {.target = unknown_target(), .hops_left = 255});
  ASSERT_EQ(many.size(), 1U);
  EXPECT_EQ(std::get<Express>(many[0].message.body).hops_left, DhtCore::express_hops_max - 1);
}

TEST_F(Forwarder, one_peer_cannot_take_the_places_of_the_others) {
  const Express query{.target = unknown_target(), .hops_left = 9};
  for (std::uint32_t i = 0; i < ExpressTable::of_previous_max; ++i)
    EXPECT_TRUE(std::holds_alternative<Express>(ask(1, i, query).at(0).message.body));
  const auto refused = ask(1, 99, query);
  ASSERT_EQ(refused.size(), 1U);
  EXPECT_EQ(refused[0].message.request, 99U);
  EXPECT_EQ(std::get<ExpressAnswer>(refused[0].message.body).node, no_peer);
  EXPECT_EQ(core->counters().express_refused, 1U);
  EXPECT_TRUE(std::holds_alternative<Express>(ask(2, 1, query).at(0).message.body));
}

TEST_F(Forwarder, passes_on_no_more_than_its_budget) {
  config.forwards_a_second = 5;
  core.emplace(now, config, book, PeerHandle{0}, Rng(2));
  for (std::uint32_t i = 1; i < 40; ++i) {
    core->adopt(now, PeerHandle{i}, i * 1ms);
    core->handle(now, peer::Up{PeerHandle{i}, i * 1ms});
  }
  (void)sent();
  const Express query{.target = unknown_target(), .hops_left = 9};
  int passed = 0;
  for (std::uint32_t i = 0; i < 60; ++i) {
    const auto result = ask(1 + i % 39, i, query);
    passed += std::holds_alternative<Express>(result.at(0).message.body) ? 1 : 0;
  }
  EXPECT_LE(passed, 11);
  EXPECT_GE(passed, 10);
}

TEST_F(Forwarder, a_way_that_breaks_comes_to_a_dead_end_at_once) {
  const auto onward = ask(1, 77, {.target = unknown_target(), .hops_left = 9});
  ASSERT_EQ(onward.size(), 1U);
  core->handle(now, peer::Down{onward[0].to});
  const auto back = sent();
  ASSERT_EQ(back.size(), 1U);
  EXPECT_EQ(back[0].to, PeerHandle{1});
  EXPECT_EQ(std::get<ExpressAnswer>(back[0].message.body).node, no_peer);
}

TEST_F(Forwarder, who_leaves_a_query_unanswered_is_asked_whether_it_is_there) {
  const auto onward = ask(1, 77, {.target = unknown_target(), .hops_left = 9});
  ASSERT_EQ(onward.size(), 1U);
  now += ExpressTable::lifetime;
  core->handle_timeout(now);
  bool asked = false;
  for (const auto& send : sent())
    asked = asked || (send.to == onward[0].to && std::holds_alternative<Ping>(send.message.body));
  EXPECT_TRUE(asked);
  // An answer that comes now is nobody's.
  const auto before = core->counters().answers_unasked;
  core->handle(now, peer::Received<Message>{onward[0].to,
                                            {onward[0].message.request, true, ExpressAnswer{}}});
  EXPECT_EQ(core->counters().answers_unasked, before + 1);
}

TEST_F(Forwarder, the_far_way_knows_no_rtt) {
  for (std::uint32_t i = 100; i < 200; ++i) {
    const Express query{.target = key(i), .way = ExpressWay::far, .hops_left = 9};
    const auto onward = ask(1, i, query);
    ASSERT_EQ(onward.size(), 1U);
    if (!std::holds_alternative<Express>(onward[0].message.body)) continue;
    EXPECT_EQ(core->table().find(onward[0].to)->near_half, 0U);
    core->handle(now, peer::Received<Message>{onward[0].to,
                                              {onward[0].message.request, true, ExpressAnswer{}}});
    (void)sent();
  }
  EXPECT_GT(core->counters().express_passed_on, 30U);
}

TEST(Express, its_second_query_goes_another_way_when_the_first_takes_long) {
  WarmNetwork net(66);
  std::set<std::uint8_t> hops;
  int two = 0;
  int at_once = 0;
  std::vector<std::pair<std::size_t, ExpressWay>> first;
  std::vector<Instant> sent;
  const auto round = [&](bool withheld) {
    const auto [origin, sought] = net.strangers();
    first.clear();
    sent.clear();
    net.lose = [&, origin = origin](std::size_t from, std::size_t to, const Message& message) {
      if (const auto* query = std::get_if<Express>(&message.body); query && from == origin) {
        first.emplace_back(to, query->way);
        sent.push_back(net.now());
        hops.insert(query->hops_left);
      }
      return withheld && to == origin && std::holds_alternative<ExpressAnswer>(message.body);
    };
    (void)net.resolve(origin, sought);
    net.run_for(5s);
  };
  for (int i = 0; i < 30; ++i) {
    round(true);
    ASSERT_LE(first.size(), 2U);
    if (first.size() < 2) continue;
    ++two;
    if (sent[0] == sent[1]) {
      ++at_once;
    } else {
      EXPECT_EQ(sent[1] - sent[0], ExpressTime().hedge());
    }
    EXPECT_NE(first[0].first, first[1].first);
    EXPECT_EQ(first[0].second, ExpressWay::near);
    EXPECT_EQ(first[1].second, ExpressWay::far);
  }
  EXPECT_GT(two, 20);
  EXPECT_LT(at_once, 10);  // of those whose last one came to nothing, too
  EXPECT_GT(hops.size(), 2U);
  // Where it brings the answer, one will do.
  two = 0;
  for (int i = 0; i < 30; ++i) {
    round(false);
    if (first.size() == 2) ++two;
  }
  EXPECT_LT(two, 15);
}

// Not only when it is due; and after queries that came to nothing both go at once.
TEST(Express, its_second_query_goes_as_soon_as_the_first_comes_to_a_dead_end) {
  WarmNetwork net(67);
  struct Sent {
    Instant at;
    std::size_t to = 0;
    ExpressWay way{};
  };
  std::vector<Sent> sent;  // by node 0, the only one that looks for anybody
  bool dead_ends = false;  // whoever is asked does not pass it on
  net.lose = [&](std::size_t from, std::size_t to, const Message& message) {
    const auto* query = std::get_if<Express>(&message.body);
    if (from == 0 && query != nullptr) sent.push_back({net.now(), to, query->way});
    return false;
  };
  net.twist = [&](std::size_t from, Message& message) {
    auto* query = std::get_if<Express>(&message.body);
    if (from == 0 && query != nullptr && dead_ends) query->hops_left = 0;
  };
  bool last_won = true;
  int after_dead_end = 0;
  int both_at_once = 0;
  for (std::size_t sought = 1; sought < net.size() && both_at_once < 3; ++sought) {
    if (net.connected(0, sought) || net.core(0).table().find(net.peer(sought))) continue;
    sent.clear();
    dead_ends = last_won;
    const bool won = net.resolve(0, sought).resolved.by_express;
    net.run_for(5s);
    if (last_won && !won) {
      ASSERT_EQ(sent.size(), 2U);
      EXPECT_EQ(sent[1].way, ExpressWay::far);
      EXPECT_GT(sent[1].at, sent[0].at);
      EXPECT_LE(sent[1].at - sent[0].at, net.rtt(0, sent[0].to));
      ++after_dead_end;
    } else if (!last_won && sent.size() == 2) {
      EXPECT_EQ(sent[0].at, sent[1].at);
      ++both_at_once;
    }
    last_won = won;
  }
  EXPECT_GE(after_dead_end, 3);
  EXPECT_EQ(both_at_once, 3);
}

TEST(Express, connections_are_kept_to_every_bucket_within_the_bound) {
  WarmNetwork net(67);
  for (const std::size_t node : {0U, 100U, 299U}) {
    const DhtCore& core = net.core(node);
    EXPECT_LE(core.links_up(), net.config.links_server);
    EXPECT_GE(core.links_up(), net.config.links_server / 4);
  }
  const std::size_t handshakes = net.handshakes;
  net.run_for(5min);
  EXPECT_LT(net.handshakes - handshakes, net.size()) << "it comes to rest";
}

TEST(Express, who_closes_a_connection_is_left_in_peace_for_ten_minutes) {
  Config config;
  config.records_needed = false;
  config.refresh_interval = 10h;
  PeerBook book(100, 1);
  Rng rng(3);
  for (int i = 0; i < 2; ++i) {
    NodeId id;
    rng.fill(id.bytes);
    (void)book.intern(id);
  }
  Instant now{100s};
  DhtCore core(now, config, book, PeerHandle{0}, Rng(4));
  const auto opens_until = [&](Instant until) {
    int opens = 0;
    for (;;) {
      while (auto output = core.poll_output())
        opens += std::holds_alternative<peer::Open>(*output) ? 1 : 0;
      if (core.poll_timeout() > until) break;
      now = core.poll_timeout();
      core.handle_timeout(now);
    }
    now = until;
    return opens;
  };
  core.adopt(now, PeerHandle{1}, 5ms);
  EXPECT_EQ(opens_until(now + 1s), 1);
  core.handle(now, peer::Up{PeerHandle{1}, 5ms});
  core.handle(now, peer::Down{PeerHandle{1}});
  // The ping that was under way counts as unanswered; the contact answers once more.
  core.adopt(now, PeerHandle{1}, 5ms);
  EXPECT_EQ(opens_until(now + 9min), 0);
  EXPECT_EQ(opens_until(now + 2min), 1);
}

}  // namespace
}  // namespace quicmesh::dht
