// Clients and servers of relays together, in virtual time: registering, sessions, loss, choice.
#include <gtest/gtest.h>

#include "base/tunnel_path.hpp"
#include "relay/net_for_tests.hpp"

namespace quicmesh {
namespace {

// Registering and choosing.

TEST(RelayClient, the_nearest_relay_becomes_home_and_the_next_the_standby) {
  Net net({80ms, 20ms, 40ms}, 1);
  net.run(10s);
  const RelayChoice& choice = net.node(1).client.choice();
  EXPECT_EQ(choice.home, relay_id(2));
  EXPECT_EQ(choice.standby, relay_id(3));
  EXPECT_TRUE(is_up(net, 1, 2) && is_up(net, 1, 3));
  EXPECT_FALSE(is_up(net, 1, 1)) << "no reservation where none is needed";
  EXPECT_EQ(events_of<RelaysChosen>(net.node(1)).size(), 1u) << "no change of mind on the way";
  EXPECT_EQ(events_of<RelayUp>(net.node(1)).front().observed, TestRelay::path(1).remote);
  EXPECT_EQ(net.node(1).client.relays()[1].rtt, 20ms);
}

TEST(RelayClient, a_relay_that_is_away_does_not_hold_up_the_choice) {
  Net net;
  net.add_server(1, 20ms);
  net.add_server(2, 20ms);
  net.kill_quietly(2);
  net.add_node(1, {1, 2});
  net.run(RelayClient::survey_patience);
  EXPECT_EQ(net.node(1).client.choice().home, relay_id(1));
  net.run(10s);
  ASSERT_EQ(events_of<RelayDown>(net.node(1)).size(), 1u);
  EXPECT_EQ(events_of<RelayDown>(net.node(1))[0].reason, RelayErrc::no_answer);
  net.run(5min);
  EXPECT_EQ(events_of<RelayDown>(net.node(1)).size(), 1u) << "said once";
  EXPECT_LE(net.node(1).opened[relay_id(2)], 15) << "and tried with back-off";
  EXPECT_GE(net.node(1).opened[relay_id(2)], 4);
}

TEST(RelayClient, more_relays_than_fit_are_refused) {
  RelayClient client(TestRelay::node(1), Rng(1));
  for (unsigned i = 0; i < RelayClient::relays_max; ++i)
    EXPECT_TRUE(client.add_relay(Instant{1s}, hint_of(i)));
  EXPECT_EQ(client.add_relay(Instant{1s}, hint_of(99)), failure(RelayErrc::too_many));
  EXPECT_EQ(client.signal(TestRelay::node(2), {1}), failure(RelayErrc::no_relay));
  EXPECT_EQ(client.signal(TestRelay::node(2), {}), failure(RelayErrc::bad_signal));
  EXPECT_EQ(client.signal(TestRelay::node(2), Bytes(1201)), failure(RelayErrc::bad_signal));
  for (unsigned i = 0; i < RelayClient::dials_max; ++i)
    EXPECT_TRUE(client.connect(Instant{1s}, TestRelay::node(100 + i)));
  EXPECT_EQ(client.connect(Instant{1s}, TestRelay::node(99)), failure(RelayErrc::too_many));
  RelayClient lonely(TestRelay::node(1), Rng(1));
  EXPECT_EQ(lonely.connect(Instant{1s}, TestRelay::node(2)), failure(RelayErrc::no_relay));
}

struct ChoiceCase {
  const char* what;
  RelayCandidate a;
  RelayCandidate b;
  RelayChoice current;
  int home;  // 0 none, 1, 2
};

// The table of the choice: a is relay 1, b relay 2. S1.98, S1.99
TEST(HomeRelay, changes_only_for_a_clear_gain) {
  const NodeId a = relay_id(1);
  const NodeId b = relay_id(2);
  const RelayChoice at_a{a, b};
  const ChoiceCase cases[] = {
      {"nothing usable", {a, 10ms, 0, false}, {b, 10ms, 0, false}, {}, 0},
      {"the nearer", {a, 30ms, 0, true}, {b, 20ms, 0, true}, {}, 2},
      {"of equals the first", {a, 20ms, 0, true}, {b, 20ms, 0, true}, {}, 1},
      {"the measured one", {a, std::nullopt, 0, true}, {b, 900ms, 0, true}, {}, 2},
      {"less than 10 ms is no gain", {a, 20ms, 0, true}, {b, 11ms, 0, true}, at_a, 1},
      {"10 ms is one", {a, 20ms, 0, true}, {b, 10ms, 0, true}, at_a, 2},
      {"less than a fifth is none", {a, 100ms, 0, true}, {b, 81ms, 0, true}, at_a, 1},
      {"a fifth is one", {a, 100ms, 0, true}, {b, 80ms, 0, true}, at_a, 2},
      {"half full is twice as far", {a, 30ms, 50, true}, {b, 45ms, 0, true}, {}, 2},
      {"home is down", {a, 5ms, 0, false}, {b, 500ms, 0, true}, at_a, 2},
      {"home is overloaded", {a, 5ms, 95, true}, {b, 500ms, 0, true}, at_a, 2},
      {"both are", {a, 5ms, 100, true}, {b, 500ms, 99, true}, at_a, 1},
      {"back only for a gain", {a, 15ms, 0, true}, {b, 20ms, 0, true}, {b, a}, 2},
  };
  for (const ChoiceCase& test : cases) {
    const RelayCandidate relays[] = {test.a, test.b};
    const RelayChoice choice = choose_relays(relays, test.current);
    const std::optional<NodeId> expected =
        test.home == 0 ? std::nullopt : std::optional(test.home == 1 ? a : b);
    EXPECT_EQ(choice.home, expected) << test.what;
    EXPECT_NE(choice.standby, choice.home.value_or(NodeId{})) << test.what;
  }
}

TEST(HomeRelay, a_standby_stays_too_and_a_home_that_was_left_follows_it) {
  const RelayCandidate relays[] = {
      {relay_id(1), 10ms, 0, true}, {relay_id(2), 30ms, 0, true}, {relay_id(3), 29ms, 0, true}};
  EXPECT_EQ(choose_relays(relays, {relay_id(1), relay_id(2)}),
            (RelayChoice{relay_id(1), relay_id(2)}));
  EXPECT_EQ(choose_relays(relays, {relay_id(2), relay_id(1)}),
            (RelayChoice{relay_id(1), relay_id(2)}));
}

// Sessions: a NodeId and a relay in common are enough.

TEST(RelayClient, two_nodes_with_relays_in_common_have_a_session_over_each) {
  Net net({20ms, 30ms}, 2);
  net.run(1s);
  net.connect(1, 2);
  net.run(19ms);
  EXPECT_EQ(legs(net, 1, 2), 0u);
  net.run(1ms);
  EXPECT_EQ(legs(net, 1, 2), 1u) << "one round trip to the relay";
  net.run(100ms);
  ASSERT_EQ(legs(net, 1, 2), 2u);
  ASSERT_EQ(legs(net, 2, 1), 2u);
  const auto a = net.node(1).client.legs(TestRelay::node(2));
  const auto b = net.node(2).client.legs(TestRelay::node(1));
  EXPECT_EQ(a[0].relay, relay_id(1)) << "home first";
  EXPECT_EQ(a[0].session, b[0].session);
  EXPECT_EQ(a[0].role, RelayRole::initiator);
  EXPECT_EQ(b[0].role, RelayRole::responder);
  EXPECT_EQ(a[0].path.remote, hint_of(1).addresses[0]);
}

TEST(RelayClient, a_dial_at_the_very_start_waits_for_the_relays) {
  Net net;
  net.add_server(1, 20ms);
  net.add_node(2, {1});
  net.run(1s);
  net.add_node(1, {1});
  net.connect(1, 2);
  net.run(61ms);
  EXPECT_EQ(legs(net, 1, 2), 1u) << "connection, reservation, session: a round trip each";
  EXPECT_TRUE(events_of<RelayUnreachable>(net.node(1)).empty());
}

TEST(RelayClient, any_relay_in_common_is_found_though_it_is_neithers_home) {
  Net net;
  for (unsigned i = 1; i <= 5; ++i)
    net.add_server(i, Duration(i * 20ms));
  net.add_node(1, {1, 2, 5});
  net.add_node(2, {5, 5});
  net.run(20s);
  ASSERT_FALSE(is_up(net, 1, 5));
  net.connect(1, 2);
  net.run(2s);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  EXPECT_EQ(net.node(1).client.legs(TestRelay::node(2))[0].relay, relay_id(5));
  net.node(1).client.close(net.now, TestRelay::node(2));
  net.touch(1);
  net.run(2s);
  EXPECT_FALSE(is_up(net, 1, 5)) << "and left when it is not needed any more";
  EXPECT_EQ(events_of<RelaySessionDown>(net.node(2)).back().reason, RelayErrc::closed_by_peer);
}

TEST(RelayClient, a_peer_that_no_relay_has_is_unreachable_and_says_why) {
  Net net({20ms, 20ms}, 1);
  net.run(1s);
  net.connect(1, 9);
  net.run(1s);
  const auto events = events_of<RelayUnreachable>(net.node(1));
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].peer, TestRelay::node(9));
  EXPECT_EQ(events[0].reason, RelayErrc::not_here);
  EXPECT_FALSE(hint(events[0].reason).empty());
  net.run(60s);
  EXPECT_EQ(events_of<RelayUnreachable>(net.node(1)).size(), 1u) << "not asked again by itself";
}

TEST(RelayClient, a_relay_that_does_not_answer_a_request_is_passed_over) {
  Net net({20ms}, 1);
  net.run(1s);
  net.kill_quietly(1);
  net.connect(1, 2);
  net.run(RelayClient::ask_patience);
  ASSERT_EQ(events_of<RelayUnreachable>(net.node(1)).size(), 1u);
  EXPECT_EQ(events_of<RelayUnreachable>(net.node(1))[0].reason, RelayErrc::no_answer);
}

TEST(RelayClient, signals_go_to_a_peer_without_a_session) {
  Net net({20ms}, 2);
  net.run(1s);
  EXPECT_TRUE(net.node(1).client.signal(TestRelay::node(2), {1, 2}));
  EXPECT_TRUE(net.node(1).client.signal(TestRelay::node(3), {3}));
  net.touch(1);
  net.run(1s);
  ASSERT_EQ(events_of<RelaySignalled>(net.node(2)).size(), 1u);
  EXPECT_EQ(events_of<RelaySignalled>(net.node(2))[0].peer, TestRelay::node(1));
  EXPECT_EQ(events_of<RelaySignalled>(net.node(2))[0].data, (Bytes{1, 2}));
  ASSERT_EQ(events_of<RelaySignalFailed>(net.node(1)).size(), 1u);
  EXPECT_EQ(events_of<RelaySignalFailed>(net.node(1))[0].reason, RelayErrc::not_here);
}

// Loss (TR6, R6).

TEST(RelayClient, relay_is_asked_anew_where_it_sees_this_node_when_a_tunnel_takes_over) {
  Net net({20ms}, 1);
  net.run(1s);
  Net::Node& node = net.node(1);
  const auto tunnel = [](std::uint16_t number) {
    NetworkPath path = TestRelay::path(90);
    path.socket =
        SocketId{static_cast<std::uint16_t>(std::to_underlying(first_tunnel_socket) + number)};
    return path;
  };
  auto& server = net.server(1).relay.server;
  server.client_seen_at(node.controls.at(relay_id(1)), tunnel(0).remote);
  node.client.control_path_changed(relay_id(1), tunnel(0));
  net.touch(1);
  net.run(100ms);
  ASSERT_EQ(events_of<RelayUp>(node).size(), 2u);
  EXPECT_TRUE(events_of<RelayUp>(node).back().tunnelled);
  // From one tunnel to the next nothing changes for peers.
  server.client_seen_at(node.controls.at(relay_id(1)), TestRelay::path(91).remote);
  node.client.control_path_changed(relay_id(1), tunnel(1));
  net.touch(1);
  net.run(100ms);
  EXPECT_EQ(events_of<RelayUp>(node).size(), 2u);
  node.client.control_path_changed(relay_id(1), TestRelay::path(91));
  net.touch(1);
  net.run(100ms);
  ASSERT_EQ(events_of<RelayUp>(node).size(), 3u);
  EXPECT_FALSE(events_of<RelayUp>(node).back().tunnelled);
  EXPECT_EQ(events_of<RelayUp>(node).back().observed, TestRelay::path(91).remote);
}

TEST(RelayClient, relay_is_doubted_before_it_is_given_up) {
  Net net({20ms}, 1);
  net.run(1s);
  Net::Node& node = net.node(1);
  net.kill_quietly(1);
  node.client.check(net.now, relay_id(1));
  net.touch(1);
  net.run(RelayClient::doubt_after - 1ms);
  EXPECT_EQ(node.doubted[relay_id(1)], 0);
  net.run(1ms);
  EXPECT_EQ(node.doubted[relay_id(1)], 1);
  net.run(RelayClient::query_patience - RelayClient::doubt_after);
  EXPECT_EQ(node.doubted[relay_id(1)], 1) << "once a question";
  net.server(1).alive = true;  // reached another way
  net.run(RelayClient::query_patience);
  EXPECT_TRUE(is_up(net, 1, 1));
  EXPECT_TRUE(events_of<RelayDown>(node).empty());
}

TEST(RelayClient, relay_that_answers_late_as_ever_is_not_doubted) {
  Net net({1500ms}, 1);
  net.run(1min);
  net.node(1).doubted.clear();
  net.run(10min);
  EXPECT_EQ(net.node(1).doubted[relay_id(1)], 0);
}

TEST(RelayClient, a_relay_that_restarts_is_registered_at_again_and_its_sessions_come_back) {
  Net net({20ms}, 2);
  net.run(11s);
  net.connect(1, 2);
  net.run(1s);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  net.restart(1);
  net.run(30ms);
  EXPECT_EQ(legs(net, 1, 2), 0u);
  EXPECT_EQ(events_of<RelaySessionDown>(net.node(1)).back().reason, RelayErrc::relay_lost);
  EXPECT_EQ(events_of<RelayDown>(net.node(2)).back().reason, RelayErrc::relay_lost);
  net.run(3s);
  EXPECT_EQ(legs(net, 1, 2), 1u);
  EXPECT_EQ(legs(net, 2, 1), 1u);
}

TEST(RelayClient, when_home_dies_the_session_over_the_standby_stands_already) {
  Net net({20ms, 60ms}, 2);
  net.run(1s);
  net.connect(1, 2);
  net.run(1s);
  ASSERT_EQ(legs(net, 1, 2), 2u);
  net.kill_quietly(1);
  net.node(1).client.suspect(net.now, relay_id(1));
  net.touch(1);
  net.run(RelayClient::suspect_patience_min);
  const auto left = net.node(1).client.legs(TestRelay::node(2));
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].relay, relay_id(2));
  EXPECT_EQ(net.node(1).client.choice().home, relay_id(2));
  EXPECT_EQ(events_of<RelayDown>(net.node(1)).back().reason, RelayErrc::relay_silent);
}

TEST(RelayClient, the_second_session_comes_back_with_its_relay) {
  Net net({20ms, 60ms}, 2);
  net.run(11s);
  net.connect(1, 2);
  net.run(1s);
  net.restart(1);
  net.run(50ms);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  net.run(3s);
  EXPECT_EQ(legs(net, 1, 2), 2u) << "and not when the minute is over";
}

TEST(RelayClient, a_relay_that_is_suspected_without_cause_stays) {
  Net net({20ms}, 1);
  net.run(1s);
  net.node(1).client.suspect(net.now, relay_id(1));
  net.touch(1);
  net.run(20s);
  EXPECT_TRUE(is_up(net, 1, 1));
  EXPECT_TRUE(events_of<RelayDown>(net.node(1)).empty());
}

TEST(RelayClient, a_relay_that_falls_silent_is_noticed_without_traffic) {
  Net net({20ms}, 1);
  net.run(1s);
  net.kill_quietly(1);
  net.run(RelayClient::query_interval * 6 / 5 + 2 * RelayClient::query_patience);
  ASSERT_EQ(events_of<RelayDown>(net.node(1)).size(), 1u);
  EXPECT_EQ(events_of<RelayDown>(net.node(1))[0].reason, RelayErrc::relay_silent);
}

TEST(RelayClient, a_change_of_network_ends_all_waiting) {
  Net net;
  net.add_server(1, 20ms);
  net.kill_quietly(1);
  net.add_node(1, {1});
  net.run(10min);
  const int before = net.node(1).opened[relay_id(1)];
  net.server(1).alive = true;
  net.node(1).client.network_changed(net.now);
  net.touch(1);
  net.run(100ms);
  EXPECT_GE(net.node(1).opened[relay_id(1)], before);
  net.run(RelayClient::open_patience + 1s);
  EXPECT_TRUE(is_up(net, 1, 1));
}

// What a relay says of itself would have this node tell all its peers, so it is heard when asked.
TEST(RelayClient, where_a_relay_sees_this_node_counts_when_it_was_asked) {
  Net net({20ms}, 1);
  net.run(1s);
  Net::Node& node = net.node(1);
  const RelayRegistered elsewhere{TestRelay::path(77).remote, 0, 0, 0};
  node.client.handle_message(net.now, relay_id(1), elsewhere);
  net.touch(1);
  EXPECT_EQ(events_of<RelayUp>(node).size(), 1u);
  node.client.network_changed(net.now);
  net.touch(1);
  net.run(100ms);
  EXPECT_EQ(events_of<RelayUp>(node).size(), 1u) << "it is where it was";
  net.server(1).relay.server.client_seen_at(node.controls.at(relay_id(1)), elsewhere.observed);
  node.client.network_changed(net.now);
  net.touch(1);
  net.run(100ms);
  ASSERT_EQ(events_of<RelayUp>(node).size(), 2u);
  EXPECT_EQ(events_of<RelayUp>(node).back().observed, elsewhere.observed);
}

// Overload (S1.52, U4).

TEST(RelayClient, a_full_relay_names_another_and_that_one_is_used) {
  RelayLimits full;
  full.reservations = 0;
  Net net;
  net.add_server(1, 10ms, full);
  net.add_server(2, 50ms);
  const RelayHint other = hint_of(2);
  net.server(1).relay.server.set_other_relays({&other, 1});
  net.add_node(1, {1});
  net.run(1s);
  const auto overloaded = events_of<RelayOverloaded>(net.node(1));
  ASSERT_EQ(overloaded.size(), 1u);
  EXPECT_EQ(overloaded[0].load_percent, 100u);
  EXPECT_EQ(overloaded[0].alternatives, std::vector{other});
  EXPECT_EQ(events_of<RelayDown>(net.node(1))[0].reason, RelayErrc::redirect);
  EXPECT_EQ(net.node(1).client.choice().home, relay_id(2));
  EXPECT_EQ(net.node(1).opened[relay_id(1)], 1) << "and the full one is left alone for a while";
}

TEST(RelayClient, a_draining_home_is_left_and_its_sessions_are_served_to_the_end) {
  Net net({10ms, 50ms}, 2);
  net.run(1s);
  net.connect(1, 2);
  net.run(1s);
  net.server(1).relay.server.drain();
  net.touch_server(1);
  net.run(20s);
  EXPECT_EQ(net.node(1).client.choice().home, relay_id(2));
  EXPECT_EQ(legs(net, 1, 2), 2u);
}

TEST(RelayClient, redirects_into_other_realms_are_not_followed) {
  RelayLimits full;
  full.reservations = 0;
  Net net;
  net.add_server(1, 10ms, full);
  const std::vector<RelayHint> others = {
      {relay_id(2), {{IpAddress::loopback(IpFamily::v4), 443}}},
      {relay_id(3), {{IpAddress::v4({169, 254, 169, 254}), 80}}},
      {relay_id(4), {{IpAddress::v4({93, 184, 216, 34}), 443}, {IpAddress::v4({127, 0, 0, 1}), 1}}},
      {TestRelay::node(1), {{IpAddress::v4({93, 184, 216, 34}), 443}}},
      {relay_id(5), {{IpAddress::v4({93, 184, 216, 34}), 22}}},
  };
  net.server(1).relay.server.set_other_relays(others);
  net.add_node(1, {1});
  net.run(100ms);
  const auto relays = net.node(1).client.relays();
  ASSERT_EQ(relays.size(), 2u);
  EXPECT_EQ(relays[1].id, relay_id(4));
  EXPECT_FALSE(relays[1].configured);
  net.run(2min);
  EXPECT_EQ(net.node(1).client.relays().size(), 1u) << "one that never answers is forgotten";
}

RelayDraining naming(unsigned first, unsigned count, const IpAddress& at) {
  RelayDraining message;
  for (unsigned i = 0; i < count; ++i)
    message.relays.push_back({relay_id(first + i), {{at, std::uint16_t(2000 + i)}}});
  return message;
}

// TQ9: a relay's words would aim this client's handshakes at anybody.
TEST(RelayClient, a_relay_that_names_address_after_address_draws_few_dials) {
  Net net({20ms}, 1);
  net.run(1s);
  RelayClient& client = net.node(1).client;
  const IpAddress victim = IpAddress::v4({93, 184, 216, 34});
  for (unsigned minute = 0; minute < 30; ++minute) {
    for (unsigned i = 0; i < 60; ++i) {
      client.handle_message(net.now, relay_id(1), naming(100 + 4 * (60 * minute + i), 4, victim));
      EXPECT_LE(client.relays().size(), 1 + RelayClient::hinted_max);
      net.touch(1);
      net.run(1s);
    }
  }
  std::size_t dials = 0;
  for (const auto& [relay, times] : net.node(1).opened) {
    if (relay != relay_id(1)) dials += static_cast<std::size_t>(times);
  }
  EXPECT_EQ(dials, 1u) << "within the hour";
}

TEST(RelayClient, in_a_laboratory_its_addresses_are_public) {
  for (const AddressRules rules : {AddressRules::internet, AddressRules::laboratory}) {
    Net net({20ms}, 1);
    RelayClient& client = net.node(1).client;
    client.set_address_rules(rules);
    net.run(1s);
    client.handle_message(net.now, relay_id(1), naming(2, 1, IpAddress::v4({198, 51, 100, 7})));
    EXPECT_EQ(client.relays().size(), rules == AddressRules::laboratory ? 2u : 1u);
  }
}

TEST(RelayClient, one_relay_cannot_take_the_room_for_the_sessions_of_another) {
  Net net({20ms, 30ms}, 2);
  net.run(1s);
  RelayClient& client = net.node(1).client;
  for (unsigned i = 0; i < 2 * RelayClient::sessions_max; ++i) {
    client.handle_message(
        net.now, relay_id(2),
        RelaySession{RelaySessionId{1000 + i}, TestRelay::node(100 + i), RelayRole::responder});
  }
  EXPECT_EQ(client.relays()[1].sessions, RelayClient::sessions_per_relay_max);
  net.connect(1, 2);
  net.run(1s);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  EXPECT_EQ(client.legs(TestRelay::node(2))[0].relay, relay_id(1));
}

// The peer parts while this node asks for it: whoever waits for another relay hears from that.
TEST(RelayClient, a_peer_that_closes_a_session_does_not_silence_the_other_relay) {
  Net net({20ms, 200ms}, 2);
  net.run(2s);
  net.connect(1, 2);
  net.run(50ms);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  net.node(2).client.close(net.now, TestRelay::node(1));
  net.touch(2);
  net.run(60ms);
  ASSERT_EQ(legs(net, 1, 2), 0u);
  net.run(1s);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  EXPECT_EQ(net.node(1).client.legs(TestRelay::node(2))[0].relay, relay_id(2));
}

TEST(RelayClient, whoever_waits_for_another_relay_is_told_when_that_has_not_got_the_peer) {
  Net net({20ms, 200ms}, 1);
  net.add_node(2, {1});
  net.run(2s);
  net.connect(1, 2);
  net.run(50ms);
  ASSERT_EQ(legs(net, 1, 2), 1u);
  net.node(2).client.close(net.now, TestRelay::node(1));
  net.touch(2);
  net.run(10s);
  EXPECT_EQ(legs(net, 1, 2), 0u) << "the peer wanted its end";
  EXPECT_EQ(events_of<RelayUnreachable>(net.node(1)).size(), 1u);
}

TEST(RelayClient, a_quota_is_told_apart_from_overload) {
  RelayLimits limits;
  limits.sessions_per_client = 1;
  Net net;
  net.add_server(1, 10ms, limits);
  for (unsigned i = 1; i <= 3; ++i)
    net.add_node(i, {1});
  net.run(1s);
  net.connect(1, 2);
  net.connect(1, 3);
  net.run(1s);
  ASSERT_EQ(events_of<RelayUnreachable>(net.node(1)).size(), 1u);
  EXPECT_EQ(events_of<RelayUnreachable>(net.node(1))[0].reason, RelayErrc::quota);
  EXPECT_TRUE(events_of<RelayOverloaded>(net.node(1)).empty());
}

// Frames.

class Frames : public ::testing::Test {
 public:
  Frames() {
    net_.run(1s);
    net_.connect(1, 2);
    net_.run(1s);
    leg_ = net_.node(1).client.legs(TestRelay::node(2)).at(0);
  }
  Bytes frame_from_1(std::uint16_t epoch = 7) {
    Bytes frame = to_bytes(leg_.header(epoch));
    frame.insert(frame.end(), 60, 0x42);
    return frame;
  }
  TestRelay& relay() {
    net_.server(1).relay.now = net_.now;
    return net_.server(1).relay;
  }

  Net net_{{20ms}, 2};
  RelayLeg leg_;
};

TEST_F(Frames, pass_the_relay_untouched_and_arrive_without_the_header) {
  const Bytes frame = frame_from_1();
  const auto to = relay().forward(net_.node(1).path, frame);
  ASSERT_EQ(to, net_.node(2).path);
  const auto arrival = net_.node(2).client.handle_frame(net_.now, leg_.path, frame);
  ASSERT_TRUE(arrival);
  EXPECT_EQ(arrival->peer, TestRelay::node(1));
  EXPECT_EQ(arrival->relay, relay_id(1));
  EXPECT_EQ(arrival->epoch, 7);
  EXPECT_EQ(to_bytes(arrival->payload), Bytes(60, 0x42));
}

TEST_F(Frames, count_only_from_the_relay_and_from_the_other_end) {
  const Bytes frame = frame_from_1();
  NetworkPath elsewhere = leg_.path;
  elsewhere.remote.port ^= 1;
  RelayClient& client = net_.node(2).client;
  EXPECT_FALSE(client.handle_frame(net_.now, elsewhere, frame));
  EXPECT_FALSE(net_.node(1).client.handle_frame(net_.now, leg_.path, frame)) << "its own";
  Bytes other = frame;
  other[8] ^= 1;
  EXPECT_FALSE(client.handle_frame(net_.now, leg_.path, other));
  EXPECT_EQ(client.frames_refused(), 2u);
  EXPECT_TRUE(client.handle_frame(net_.now, leg_.path, frame));
}

TEST_F(Frames, a_rebinding_heals_in_one_round_trip) {
  const NetworkPath moved = TestRelay::path(1, 4444);
  EXPECT_FALSE(relay().forward(moved, frame_from_1()));
  const auto challenge = relay().challenge();
  ASSERT_TRUE(challenge);
  RelayClient& client = net_.node(1).client;
  EXPECT_FALSE(client.handle_frame(net_.now, leg_.path, challenge->second));
  Bytes buffer(transmit_buffer_size);
  const auto answer = client.poll_transmit(buffer);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->path, leg_.path);
  buffer.resize(answer->size);
  (void)relay().forward(moved, buffer);
  EXPECT_EQ(relay().forward(moved, frame_from_1()), net_.node(2).path);
}

TEST_F(Frames, only_true_challenges_from_the_relay_are_answered_and_not_too_many) {
  (void)relay().forward(TestRelay::path(66), frame_from_1());
  const Bytes challenge = relay().challenge()->second;
  Bytes buffer(transmit_buffer_size);
  RelayClient& client = net_.node(1).client;
  NetworkPath elsewhere = leg_.path;
  elsewhere.remote.port ^= 1;
  (void)client.handle_frame(net_.now, elsewhere, challenge);
  Bytes forged = challenge;
  forged.back() ^= 1;
  (void)client.handle_frame(net_.now, leg_.path, forged);
  forged = challenge;
  forged[0] = static_cast<std::uint8_t>(RelayFrameType::answer);
  (void)client.handle_frame(net_.now, leg_.path, forged);
  (void)net_.node(2).client.handle_frame(net_.now, leg_.path, challenge);
  EXPECT_FALSE(client.poll_transmit(buffer));
  EXPECT_FALSE(net_.node(2).client.poll_transmit(buffer)) << "it is meant for the other end";
  EXPECT_EQ(client.frames_refused(), 3u);
  unsigned answers = 0;
  for (int i = 0; i < 1000; ++i) {
    (void)client.handle_frame(net_.now, leg_.path, challenge);
    while (client.poll_transmit(buffer))
      ++answers;
  }
  EXPECT_LE(answers, RelayClient::answer_burst);
  EXPECT_GE(answers, RelayClient::answer_burst - 2);
}

// Why a session ended, as its ends are told.
TEST(RelayClient, every_end_of_a_session_has_its_reason) {
  const std::pair<RelayCloseReason, RelayErrc> cases[] = {
      {RelayCloseReason::by_peer, RelayErrc::closed_by_peer},
      {RelayCloseReason::peer_gone, RelayErrc::peer_gone},
      {RelayCloseReason::idle, RelayErrc::session_idle},
      {RelayCloseReason::evicted, RelayErrc::evicted},
  };
  for (const auto& [reason, error] : cases) {
    Net net({20ms}, 2);
    net.run(1s);
    net.connect(1, 2);
    net.run(1s);
    RelayClient& client = net.node(1).client;
    const RelayLeg leg = client.legs(TestRelay::node(2)).at(0);
    client.handle_message(net.now, relay_id(1), RelayCloseSession{leg.session, reason});
    net.touch(1);
    EXPECT_EQ(events_of<RelaySessionDown>(net.node(1)).back().reason, error);
    net.run(10s);
    const bool over = reason == RelayCloseReason::by_peer;
    EXPECT_EQ(legs(net, 1, 2), over ? 0u : 1u) << "sought again, unless the peer wanted its end";
  }
}

TEST(RelayClient, a_relay_that_is_removed_takes_its_sessions_along) {
  Net net({20ms, 20ms}, 2);
  net.run(1s);
  net.connect(1, 2);
  net.run(1s);
  ASSERT_EQ(legs(net, 1, 2), 2u);
  net.node(1).client.remove_relay(net.now, relay_id(1));
  net.touch(1);
  EXPECT_EQ(events_of<RelaySessionDown>(net.node(1)).back().reason, RelayErrc::closed_here);
  EXPECT_EQ(net.node(1).client.choice().home, relay_id(2));
  net.run(1s);
  EXPECT_EQ(legs(net, 1, 2), 1u);
  EXPECT_EQ(legs(net, 2, 1), 1u);
  EXPECT_EQ(events_of<RelaySessionDown>(net.node(2)).back().reason, RelayErrc::peer_gone);
}

TEST(RelayClient, a_relay_that_lost_the_reservation_is_registered_at_again) {
  Net net({20ms}, 1);
  net.run(1s);
  net.connect(1, 2);
  net.node(1).client.handle_message(
      net.now, relay_id(1),
      RelayRefused{RelayRequest::session, TestRelay::node(2), RelayRefusal::not_registered, 0, {}});
  net.touch(1);
  EXPECT_EQ(events_of<RelayDown>(net.node(1)).back().reason, RelayErrc::not_registered);
  net.run(2s);
  EXPECT_TRUE(is_up(net, 1, 1));
}

TEST(RelayClient, a_relay_has_nothing_to_say_before_the_reservation) {
  RelayClient client(TestRelay::node(1), Rng(1));
  const Instant now{1s};
  ASSERT_TRUE(client.add_relay(now, hint_of(1)));
  client.control_up(now, relay_id(1), TestRelay::path(1), TestRelay::key(1));
  const RelaySession session{RelaySessionId{5}, TestRelay::node(2), RelayRole::responder};
  client.handle_message(now, relay_id(1), session);
  EXPECT_TRUE(client.legs(TestRelay::node(2)).empty());
  client.handle_message(now, relay_id(1), RelayRegistered{});
  client.handle_message(now, relay_id(1), session);
  EXPECT_EQ(client.legs(TestRelay::node(2)).size(), 1u);
}

TEST(RelayClient, the_data_path_follows_the_control_connection) {
  Net net({20ms}, 2);
  net.run(1s);
  net.connect(1, 2);
  net.run(1s);
  NetworkPath other = net.node(1).client.legs(TestRelay::node(2)).at(0).path;
  other.socket = SocketId{5};
  net.node(1).client.control_path_changed(relay_id(1), other);
  EXPECT_EQ(net.node(1).client.legs(TestRelay::node(2)).at(0).path, other);
}

// Relays restart and fall silent, nodes connect and part, all at random; then all is left alone.
// Claim: when the longest back-off is over all are registered again, so that whoever connects has a
// session, both ends agree on it, and the relays hold no others.
TEST(RelayClient, after_ten_minutes_of_faults_everything_heals) {
  const auto run = [](std::uint64_t seed) {
    Net net;
    Rng rng(seed);
    for (unsigned relay = 1; relay <= 3; ++relay)
      net.add_server(relay, relay * 20ms);
    for (unsigned node = 1; node <= 5; ++node)
      net.add_node(node, {1, 2, 3});
    std::map<unsigned, bool> wanted;  // by 10 * from + to
    for (int fault = 0; fault < 60; ++fault) {
      const auto relay = static_cast<unsigned>(1 + rng.below(3));
      const auto from = static_cast<unsigned>(1 + rng.below(5));
      const auto to = static_cast<unsigned>(1 + (from + rng.below(4)) % 5);
      switch (rng.below(5)) {
        case 0:
          net.restart(relay);
          break;
        case 1:
          net.kill_quietly(relay);
          break;
        case 2:
          net.node(from).client.close(net.now, TestRelay::node(to));
          net.touch(from);
          wanted[10 * from + to] = wanted[10 * to + from] = false;
          break;
        default:
          net.connect(from, to);
          wanted[10 * from + to] = true;
      }
      net.run(rng.between(0s, 20s));
    }
    for (unsigned relay = 1; relay <= 3; ++relay)
      net.restart(relay);
    net.run(RelayClient::retry_max * 6 / 5 + RelayClient::open_patience);
    for (const auto& [pair, want] : wanted) {
      if (want) net.connect(pair / 10, pair % 10);
    }
    net.run(RelayClient::ask_patience);
    std::size_t ends = 0;
    for (unsigned from = 1; from <= 5; ++from) {
      for (unsigned to = 1; to <= 5; ++to) {
        if (wanted[10 * from + to]) {
          EXPECT_GE(legs(net, from, to), 1u) << from << " to " << to << ", seed " << seed;
        }
        for (const RelayLeg& leg : net.node(from).client.legs(TestRelay::node(to))) {
          ++ends;
          const auto back = net.node(to).client.legs(TestRelay::node(from));
          EXPECT_EQ(std::ranges::count(back, leg.session, &RelayLeg::session), 1)
              << from << " to " << to << ", seed " << seed;
        }
      }
    }
    std::size_t sessions = 0;
    Bytes trace;
    for (unsigned relay = 1; relay <= 3; ++relay) {
      TestRelay& server = net.server(relay).relay;
      sessions += server.row("sessions").value;
      EXPECT_EQ(server.row("clients").value, server.row("reservations").value);
    }
    EXPECT_EQ(ends, 2 * sessions) << "seed " << seed;
    for (unsigned node = 1; node <= 5; ++node) {
      for (const RelayEvent& event : net.node(node).events)
        trace.push_back(static_cast<std::uint8_t>(event.index()));
    }
    return trace;
  };
  for (std::uint64_t seed = 1; seed <= 8; ++seed)
    (void)run(seed);
  EXPECT_EQ(run(1), run(1)) << "and replays";
}

// TR5: a relay that says what it likes does harm to nothing but its own sessions.
TEST(RelayClient, an_evil_relay_cannot_touch_the_sessions_of_another) {
  Net net;
  net.add_server(1, 20ms);
  net.add_server(2, 30ms);
  net.add_node(1, {1, 2});
  net.add_node(2, {1});
  net.run(1s);
  net.connect(1, 2);
  net.run(1s);
  RelayClient& client = net.node(1).client;
  const RelayLeg leg = client.legs(TestRelay::node(2)).at(0);
  ASSERT_EQ(leg.relay, relay_id(1));
  client.handle_message(net.now, relay_id(2),
                        RelayCloseSession{leg.session, RelayCloseReason::peer_gone});
  client.handle_message(net.now, relay_id(2),
                        RelaySession{leg.session, TestRelay::node(3), RelayRole::responder});
  client.handle_message(net.now, relay_id(2),
                        RelaySession{RelaySessionId{1}, TestRelay::node(1), RelayRole::responder});
  client.handle_message(net.now, relay_id(2),
                        RelaySession{RelaySessionId{2}, TestRelay::node(9), RelayRole::initiator});
  EXPECT_EQ(client.legs(TestRelay::node(2)).size(), 1u);
  EXPECT_TRUE(client.legs(TestRelay::node(3)).empty());
  EXPECT_TRUE(client.legs(TestRelay::node(1)).empty()) << "no session with oneself";
  EXPECT_TRUE(client.legs(TestRelay::node(9)).empty()) << "none that was not asked for";
  for (unsigned i = 0; i < 2 * RelayClient::sessions_max; ++i) {
    client.handle_message(
        net.now, relay_id(2),
        RelaySession{RelaySessionId{100 + i}, TestRelay::node(2000 + i), RelayRole::responder});
  }
  std::size_t sessions = 0;
  for (const RelayReport& report : client.relays())
    sessions += report.sessions;
  EXPECT_EQ(sessions, 1 + RelayClient::sessions_per_relay_max);
  net.touch(1);
  client.handle_message(net.now, relay_id(2), RelayRegister{});
  net.touch(1);
  EXPECT_EQ(events_of<RelayDown>(net.node(1)).back().reason, RelayErrc::out_of_place);
  EXPECT_EQ(client.legs(TestRelay::node(2)).size(), 1u);
}

}  // namespace
}  // namespace quicmesh
