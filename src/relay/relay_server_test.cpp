// Sessions, quotas and control messages of the relay's server, in virtual time.
#include <gtest/gtest.h>

#include <string>

#include "base/tunnel_path.hpp"
#include "relay/server_for_tests.hpp"

namespace quicmesh {
namespace {

constexpr auto initiator = RelayRole::initiator;
constexpr auto responder = RelayRole::responder;

// S1.43, S1.R8
TEST(RelayServer, two_registered_nodes_get_a_session_and_their_datagrams_pass_both_ways) {
  TestRelay relay;
  ASSERT_TRUE(relay.join(1));
  EXPECT_EQ(relay.find<RelayRegistered>(1)->observed, TestRelay::path(1).remote);
  ASSERT_TRUE(relay.join(2));
  const auto session = relay.connect(1, 2);
  ASSERT_TRUE(session);
  const auto* told = relay.find<RelaySession>(2);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->session, *session);
  EXPECT_EQ(told->peer, TestRelay::node(1));
  EXPECT_EQ(told->role, responder);
  EXPECT_EQ(relay.find<RelaySession>(1)->peer, TestRelay::node(2));
  EXPECT_EQ(relay.find<RelaySession>(1)->role, initiator);
  EXPECT_EQ(relay.forward(TestRelay::path(1), TestRelay::frame(*session, initiator)),
            TestRelay::path(2));
  EXPECT_EQ(relay.forward(TestRelay::path(2), TestRelay::frame(*session, responder)),
            TestRelay::path(1));
  const RelayRoute route =
      relay.server.route(relay.now, TestRelay::path(1), {initiator, *session, 9}, 100);
  EXPECT_EQ(route.destination, TestRelay::path(2));
}

TEST(RelayServer, asking_twice_or_from_both_sides_gives_one_session) {
  TestRelay relay;
  relay.join(1);
  relay.join(2);
  const auto session = relay.connect(1, 2);
  EXPECT_EQ(relay.connect(1, 2), session);
  EXPECT_EQ(relay.find<RelaySession>(2), nullptr) << "the other end knows already";
  EXPECT_EQ(relay.connect(2, 1), session);
  EXPECT_EQ(relay.find<RelaySession>(2)->role, responder);
  EXPECT_EQ(relay.row("sessions").value, 1u);
}

TEST(RelayServer, a_node_that_is_not_registered_is_neither_found_nor_served) {
  TestRelay relay;
  relay.join(1);
  relay.up(2);
  EXPECT_FALSE(relay.connect(1, 2));
  EXPECT_EQ(relay.refused(1), RelayRefusal::not_here);
  EXPECT_FALSE(relay.connect(2, 1));
  EXPECT_EQ(relay.refused(2), RelayRefusal::not_registered);
  relay.say(2, RelaySignal{TestRelay::node(1), {1}});
  EXPECT_EQ(relay.refused(2), RelayRefusal::not_registered);
  EXPECT_EQ(relay.find<RelaySignal>(1), nullptr);
  EXPECT_FALSE(relay.connect(1, 1)) << "nor does a node get a session with itself";
  EXPECT_EQ(relay.refused(1), RelayRefusal::not_here);
}

TEST(RelayServer, who_does_not_register_is_sent_away) {
  TestRelay relay;
  relay.up(1);
  relay.join(2);
  EXPECT_EQ(relay.server.poll_timeout(), relay.now + RelayRules::register_within);
  relay.pass(RelayRules::register_within - 1ns);
  EXPECT_FALSE(relay.disconnected(1));
  relay.pass(1ns);
  EXPECT_EQ(relay.disconnected(1), RelayErrc::not_registered);
  EXPECT_FALSE(relay.disconnected(2));
  EXPECT_EQ(relay.row("clients").value, 1u);
}

TEST(RelayServer, the_newest_connection_of_a_node_replaces_the_former) {
  TestRelay relay;
  relay.join(1);
  relay.join(2);
  const auto session = relay.connect(1, 2);
  const RelayClientId again{100};
  ASSERT_TRUE(relay.server.client_up(relay.now, again, TestRelay::node(1), TestRelay::path(9),
                                     TestRelay::key(9)));
  relay.server.handle_message(relay.now, again, RelayRegister{});
  relay.drain();
  EXPECT_EQ(relay.disconnected(1), RelayErrc::replaced);
  ASSERT_TRUE(relay.find<RelayCloseSession>(2));
  EXPECT_EQ(relay.find<RelayCloseSession>(2)->reason, RelayCloseReason::peer_gone);
  EXPECT_FALSE(relay.forward(TestRelay::path(1), TestRelay::frame(*session, initiator)));
  EXPECT_EQ(relay.row("reservations").value, 2u);
}

TEST(RelayServer, a_client_that_leaves_ends_its_sessions) {
  TestRelay relay;
  relay.join(1);
  relay.join(2);
  const auto session = relay.connect(1, 2);
  relay.server.client_down(TestRelay::id(2));
  relay.drain();
  ASSERT_TRUE(relay.find<RelayCloseSession>(1));
  EXPECT_EQ(relay.find<RelayCloseSession>(1)->session, *session);
  EXPECT_FALSE(relay.forward(TestRelay::path(1), TestRelay::frame(*session, initiator)));
  EXPECT_EQ(relay.server.dropped(RelayDrop::unknown_session), 1u);
  EXPECT_EQ(relay.row("sessions").value, 0u);
}

TEST(RelayServer, an_idle_session_expires_and_a_used_one_does_not) {
  TestRelay relay;
  for (unsigned client = 1; client <= 3; ++client)
    relay.join(client);
  const auto used = relay.connect(1, 2);
  const auto idle = relay.connect(1, 3);
  relay.pass(RelayRules::session_idle_max - 1s);
  ASSERT_TRUE(relay.forward(TestRelay::path(2), TestRelay::frame(*used, responder)));
  relay.pass(1s);
  ASSERT_TRUE(relay.find<RelayCloseSession>(3));
  EXPECT_EQ(relay.find<RelayCloseSession>(3)->reason, RelayCloseReason::idle);
  EXPECT_EQ(relay.find<RelayCloseSession>(3)->session, *idle);
  EXPECT_EQ(relay.find<RelayCloseSession>(2), nullptr);
  relay.pass(RelayRules::session_idle_max - 1s);
  EXPECT_TRUE(relay.find<RelayCloseSession>(2)) << "a minute after its last datagram";
  EXPECT_EQ(relay.server.poll_timeout(), never);
}

TEST(RelayServer, only_its_ends_close_a_session) {
  TestRelay relay;
  for (unsigned client = 1; client <= 3; ++client)
    relay.join(client);
  const auto session = relay.connect(1, 2);
  relay.say(3, RelayCloseSession{*session, RelayCloseReason::by_peer});
  EXPECT_TRUE(relay.forward(TestRelay::path(1), TestRelay::frame(*session, initiator)));
  relay.say(2, RelayCloseSession{*session, RelayCloseReason::evicted});
  ASSERT_TRUE(relay.find<RelayCloseSession>(1));
  EXPECT_EQ(relay.find<RelayCloseSession>(1)->reason, RelayCloseReason::by_peer);
  EXPECT_FALSE(relay.forward(TestRelay::path(1), TestRelay::frame(*session, initiator)));
}

// Quotas, each at its boundary (TR3).

TEST(RelayServer, the_number_of_clients_is_bounded) {
  RelayLimits limits;
  limits.clients = 3;
  TestRelay relay(limits);
  for (unsigned client = 1; client <= 3; ++client)
    EXPECT_TRUE(relay.up(client));
  EXPECT_EQ(relay.server.client_up(relay.now, TestRelay::id(4), TestRelay::node(4),
                                   TestRelay::path(4), TestRelay::key(4)),
            failure(RelayErrc::busy));
  relay.server.client_down(TestRelay::id(2));
  EXPECT_TRUE(relay.up(4));
  EXPECT_EQ(relay.row("clients").drops, 1u);
}

TEST(RelayServer, reservations_are_bounded_and_others_are_named) {
  RelayLimits limits;
  limits.reservations = 2;
  TestRelay relay(limits);
  EXPECT_TRUE(relay.join(1));
  EXPECT_TRUE(relay.join(2));
  EXPECT_FALSE(relay.join(3));
  EXPECT_EQ(relay.refused(3), RelayRefusal::busy);
  EXPECT_EQ(relay.find<RelayRefused>(3)->load_percent, 100);
  std::vector<RelayHint> others(12, RelayHint{TestRelay::node(50), {TestRelay::path(50).remote}});
  relay.server.set_other_relays(others);
  relay.say(3, RelayRegister{});
  EXPECT_EQ(relay.refused(3), RelayRefusal::redirect);
  EXPECT_EQ(relay.find<RelayRefused>(3)->relays.size(), relay_hints_max);
  relay.server.client_down(TestRelay::id(1));
  relay.say(3, RelayRegister{});
  EXPECT_TRUE(relay.find<RelayRegistered>(3));
  EXPECT_EQ(relay.row("reservations").drops, 2u);
}

TEST(RelayServer, a_public_address_has_eight_reservations_and_its_network_thirty_two) {
  TestRelay relay;
  const auto at = [](unsigned host, std::uint16_t port) {
    return TestRelay::from(IpAddress::v4({93, 184, 216, static_cast<std::uint8_t>(host)}), port);
  };
  for (unsigned i = 0; i < 8; ++i)
    EXPECT_TRUE(relay.join(1 + i, at(1, static_cast<std::uint16_t>(1000 + i)))) << i;
  EXPECT_FALSE(relay.join(9, at(1, 1008)));
  EXPECT_EQ(relay.refused(9), RelayRefusal::quota);
  for (unsigned i = 8; i < 32; ++i)
    EXPECT_TRUE(relay.join(10 + i, at(1 + i / 8, 1000))) << i;
  EXPECT_FALSE(relay.join(99, at(77, 1000)));
  EXPECT_EQ(relay.refused(99), RelayRefusal::quota);
  EXPECT_EQ(relay.row("public addresses").drops, 1u);
  EXPECT_EQ(relay.row("public networks").drops, 1u);
  relay.server.client_down(TestRelay::id(1));
  EXPECT_TRUE(relay.join(99, at(77, 1000)));
}

TEST(RelayServer, of_ipv6_a_64_is_one_address_and_a_48_one_network) {
  TestRelay relay;
  const auto at = [](const std::string& text) { return TestRelay::from(*IpAddress::parse(text)); };
  for (unsigned i = 0; i < 8; ++i)
    EXPECT_TRUE(relay.join(1 + i, at("2a01:4f8:1:1::" + std::to_string(i + 1))));
  EXPECT_FALSE(relay.join(9, at("2a01:4f8:1:1:ffff::9")));
  for (unsigned i = 8; i < 32; ++i)
    EXPECT_TRUE(relay.join(10 + i, at("2a01:4f8:1:" + std::to_string(i) + "::1"))) << i;
  EXPECT_FALSE(relay.join(99, at("2a01:4f8:1:aaaa::1")));
  EXPECT_TRUE(relay.join(99, at("2a01:4f8:2::1")));
}

TEST(RelayServer, in_a_laboratory_its_public_addresses_have_a_quota) {
  for (const AddressRules rules : {AddressRules::internet, AddressRules::laboratory}) {
    RelayLimits limits;
    limits.reservations_per_ip = 1;
    limits.address_rules = rules;
    TestRelay relay(limits);
    const IpAddress public_there = IpAddress::v4({203, 0, 113, 5});
    EXPECT_TRUE(relay.join(1, TestRelay::from(public_there, 1000)));
    EXPECT_EQ(relay.join(2, TestRelay::from(public_there, 1001)), rules == AddressRules::internet);
  }
}

TEST(RelayServer, addresses_that_are_not_public_have_no_quota) {
  TestRelay relay;
  for (unsigned client = 1; client <= 40; ++client) {
    EXPECT_TRUE(relay.join(
        client, TestRelay::from(IpAddress::loopback(IpFamily::v4), std::uint16_t(client))));
  }
  EXPECT_EQ(relay.row("public addresses").value, 0u);
}

TEST(RelayServer, a_reservation_moves_with_its_client) {
  TestRelay relay;
  const auto at = [](unsigned host, std::uint16_t port) {
    return TestRelay::from(IpAddress::v4({93, 184, static_cast<std::uint8_t>(host), 1}), port);
  };
  for (unsigned i = 0; i < 8; ++i)
    relay.join(1 + i, at(1, std::uint16_t(1000 + i)));
  relay.server.client_path_changed(TestRelay::id(1), at(2, 1000));
  EXPECT_EQ(relay.row("public addresses").value, 2u);
  EXPECT_TRUE(relay.join(20, at(1, 2000)));
  EXPECT_FALSE(relay.join(21, at(1, 2001)));
  for (unsigned i = 0; i < 8; ++i)
    relay.server.client_down(TestRelay::id(1 + i));
  relay.server.client_down(TestRelay::id(20));
  EXPECT_EQ(relay.row("public addresses").value, 0u);
  EXPECT_EQ(relay.row("public networks").value, 0u);
}

TEST(RelayServer, sessions_are_bounded_in_all_and_for_a_client) {
  RelayLimits limits;
  limits.sessions = 3;
  limits.sessions_per_client = 2;
  TestRelay relay(limits);
  for (unsigned client = 1; client <= 6; ++client)
    relay.join(client);
  EXPECT_TRUE(relay.connect(1, 2));
  EXPECT_TRUE(relay.connect(1, 3));
  EXPECT_FALSE(relay.connect(1, 4)) << "its own quota";
  EXPECT_EQ(relay.refused(1), RelayRefusal::quota);
  EXPECT_TRUE(relay.connect(5, 6));
  EXPECT_FALSE(relay.connect(5, 2)) << "the relay's";
  EXPECT_EQ(relay.refused(5), RelayRefusal::busy);
  EXPECT_EQ(relay.row("sessions").value, 3u);
  EXPECT_EQ(relay.row("sessions").drops, 1u);
  EXPECT_EQ(relay.row("sessions of a client").drops, 1u);
}

TEST(RelayServer, callers_who_get_no_answer_do_not_cut_a_node_off) {
  RelayLimits limits;
  limits.sessions_per_client = 2;
  TestRelay relay(limits);
  for (unsigned client = 1; client <= 4; ++client)
    relay.join(client);
  const auto answered = relay.connect(2, 1);
  const auto unanswered = relay.connect(3, 1);
  ASSERT_TRUE(relay.forward(TestRelay::path(1), TestRelay::frame(*answered, responder)));
  ASSERT_TRUE(relay.forward(TestRelay::path(3), TestRelay::frame(*unanswered, initiator)));
  EXPECT_FALSE(relay.connect(4, 1)) << "the other is too young to give way";
  EXPECT_EQ(relay.refused(4), RelayRefusal::quota);
  relay.pass(RelayRules::session_young);
  EXPECT_TRUE(relay.connect(4, 1));
  ASSERT_TRUE(relay.find<RelayCloseSession>(3));
  EXPECT_EQ(relay.find<RelayCloseSession>(3)->reason, RelayCloseReason::evicted);
  EXPECT_TRUE(relay.forward(TestRelay::path(1), TestRelay::frame(*answered, responder)));
}

TEST(RelayServer, requests_have_a_rate) {
  TestRelay relay;
  relay.join(1);
  for (unsigned i = 0; i < RelayRules::connect_burst; ++i) {
    relay.connect(1, 9);
    EXPECT_EQ(relay.refused(1), RelayRefusal::not_here) << i;
  }
  relay.connect(1, 9);
  EXPECT_EQ(relay.refused(1), RelayRefusal::slow_down);
  relay.pass(RelayRules::connect_interval);
  relay.connect(1, 9);
  EXPECT_EQ(relay.refused(1), RelayRefusal::not_here);
  for (unsigned i = 0; i < RelayRules::message_burst; ++i)
    relay.say(1, RelayLoadQuery{i});
  EXPECT_TRUE(relay.outputs.empty()) << "not even an answer any more";
  EXPECT_GT(relay.row("messages").drops, 0u);
  relay.pass(1s);
  relay.say(1, RelayLoadQuery{77});
  ASSERT_TRUE(relay.find<RelayLoad>(1));
  EXPECT_EQ(relay.find<RelayLoad>(1)->token, 77u);
}

// Signals.

TEST(RelayServer, a_signal_carries_its_senders_name_and_nobody_elses) {
  TestRelay relay;
  relay.join(1);
  relay.join(2);
  relay.say(1, RelaySignal{TestRelay::node(2), {1, 2, 3}});
  ASSERT_TRUE(relay.find<RelaySignal>(2));
  EXPECT_EQ(relay.find<RelaySignal>(2)->node, TestRelay::node(1));
  EXPECT_EQ(relay.find<RelaySignal>(2)->data, (Bytes{1, 2, 3}));
  relay.say(1, RelaySignal{TestRelay::node(7), {1}});
  EXPECT_EQ(relay.refused(1), RelayRefusal::not_here);
}

TEST(RelayServer, signals_have_a_rate_at_both_ends) {
  TestRelay relay;
  for (unsigned client = 1; client <= 5; ++client)
    relay.join(client);
  const auto burst = [&](unsigned from) {
    unsigned passed = 0;
    for (unsigned i = 0; i < 50; ++i) {
      relay.say(from, RelaySignal{TestRelay::node(5), {1}});
      if (relay.find<RelaySignal>(5) != nullptr) ++passed;
    }
    return passed;
  };
  EXPECT_EQ(burst(1), RelayRules::signal_sent_burst);
  EXPECT_EQ(burst(2), RelayRules::signal_sent_burst);
  EXPECT_EQ(burst(3), RelayRules::signal_received_burst - 2 * RelayRules::signal_sent_burst);
  EXPECT_EQ(relay.refused(3), RelayRefusal::slow_down);
}

TEST(RelayServer, a_client_that_does_not_read_gets_no_signals_and_then_goes) {
  TestRelay relay;
  relay.join(1);
  relay.join(2);
  relay.server.client_backlog(TestRelay::id(2), RelayRules::signal_backlog_max_bytes + 1);
  relay.say(1, RelaySignal{TestRelay::node(2), {1}});
  EXPECT_EQ(relay.find<RelaySignal>(2), nullptr);
  EXPECT_EQ(relay.refused(1), RelayRefusal::slow_down);
  relay.server.client_backlog(TestRelay::id(2), RelayRules::signal_backlog_max_bytes);
  relay.say(1, RelaySignal{TestRelay::node(2), {1}});
  EXPECT_TRUE(relay.find<RelaySignal>(2));
  relay.server.client_backlog(TestRelay::id(2), RelayRules::control_backlog_max_bytes + 1);
  relay.drain();
  EXPECT_EQ(relay.disconnected(2), RelayErrc::slow_down);
}

TEST(RelayServer, messages_that_only_a_relay_sends_end_the_connection) {
  TestRelay relay;
  const RelayMessage wrong[] = {RelayRegistered{}, RelaySession{}, RelayRefused{}, RelayLoad{},
                                RelayDraining{}};
  for (const RelayMessage& message : wrong) {
    relay.join(1);
    relay.say(1, message);
    EXPECT_EQ(relay.disconnected(1), RelayErrc::out_of_place) << message.index();
  }
  relay.say(1, RelayRegister{});
  EXPECT_TRUE(relay.outputs.empty()) << "nobody is there any more";
}

// S1.52: overload is said, with the load and with others to go to.
TEST(RelayServer, a_draining_relay_says_so_and_takes_nobody_new) {
  TestRelay relay;
  relay.join(1);
  relay.join(2);
  const auto session = relay.connect(1, 2);
  const RelayHint other{TestRelay::node(50), {TestRelay::path(50).remote}};
  relay.server.set_other_relays({&other, 1});
  relay.server.drain();
  relay.drain();
  ASSERT_TRUE(relay.find<RelayDraining>(1));
  EXPECT_EQ(relay.find<RelayDraining>(2)->relays, std::vector{other});
  EXPECT_FALSE(relay.join(3));
  EXPECT_EQ(relay.refused(3), RelayRefusal::redirect);
  EXPECT_TRUE(relay.forward(TestRelay::path(1), TestRelay::frame(*session, initiator)));
  relay.say(1, RelayLoadQuery{1});
  EXPECT_EQ(relay.find<RelayLoad>(1)->load_percent, 100);
}

// THREATS TR1: a client that wants a packet to a port of its own chooses no address.
TEST(RelayServer, stands_in_with_one_packet_to_the_address_of_the_client_alone) {
  TestRelay relay;
  relay.join(1);
  std::array<std::uint8_t, 1500> buffer{};
  const TransactionId id{{1, 2, 3}};
  relay.say(1, RelayStandIn{{id, 40'000}});
  ASSERT_TRUE(relay.find<RelayStoodIn>(1));
  EXPECT_EQ(relay.find<RelayStoodIn>(1)->answer.verdict, StandInVerdict::sent);
  const auto packet = relay.server.poll_transmit(buffer);
  ASSERT_TRUE(packet);
  NetworkPath expected = TestRelay::path(1);
  expected.remote.port = 40'000;
  EXPECT_EQ(packet->path, expected);
  EXPECT_EQ(packet->size, stand_in_packet_size);
  EXPECT_EQ(read_stand_in_packet(ByteView(buffer).first(packet->size)), id);
  EXPECT_FALSE(relay.server.poll_transmit(buffer)) << "one for each request";

  relay.say(1, RelayStandIn{{id, 22}});
  EXPECT_EQ(relay.find<RelayStoodIn>(1)->answer.verdict, StandInVerdict::refused_port);
  NetworkPath tunnel = TestRelay::path(2);
  tunnel.socket = first_tunnel_socket;
  relay.join(2, tunnel);
  relay.say(2, RelayStandIn{{id, 40'000}});
  EXPECT_EQ(relay.find<RelayStoodIn>(2)->answer.verdict, StandInVerdict::refused_address);
  EXPECT_FALSE(relay.server.poll_transmit(buffer));
}

TEST(RelayServer, packets_of_stand_ins_are_few_for_one_network) {
  TestRelay relay;
  relay.join(1);
  std::array<std::uint8_t, 1500> buffer{};
  unsigned sent = 0;
  for (int i = 0; i < 400; ++i) {
    relay.say(1, RelayStandIn{{TransactionId{}, 40'000}});
    while (relay.server.poll_transmit(buffer))
      ++sent;
    relay.pass(20ms);
  }
  const auto seconds = 8u;
  EXPECT_LE(sent,
            RelayRules::stand_in_limits.burst + seconds * RelayRules::stand_in_limits.per_second);
  EXPECT_GE(sent, RelayRules::stand_in_limits.burst);
}

TEST(RelayServer, the_same_inputs_give_the_same_outputs) {
  const auto run = [](std::uint64_t seed) {
    RelayLimits limits;
    limits.sessions_per_client = 4;
    TestRelay relay(limits, seed);
    Rng rng(7);
    Bytes trace;
    for (int step = 0; step < 3000; ++step) {
      const auto client = static_cast<unsigned>(1 + rng.below(12));
      switch (rng.below(5)) {
        case 0:
          relay.join(client);
          break;
        case 1:
          relay.server.client_down(TestRelay::id(client));
          relay.drain();
          break;
        case 2:
          relay.connect(client, static_cast<unsigned>(1 + rng.below(12)));
          break;
        case 3:
          relay.say(client, RelaySignal{TestRelay::node(unsigned(1 + rng.below(12))), {9}});
          break;
        default:
          relay.pass(rng.between(0s, 20s));
      }
      for (const RelayServerOutput& output : relay.outputs) {
        const auto* sent = std::get_if<RelaySend>(&output);
        const Bytes bytes = sent ? encode_relay_message(sent->message) : Bytes{0};
        trace.insert(trace.end(), bytes.begin(), bytes.end());
      }
    }
    return trace;
  };
  EXPECT_EQ(run(1), run(1));
  EXPECT_NE(run(1), run(2)) << "the session ids are in the trace";
}

}  // namespace
}  // namespace quicmesh
