// The data path of the relay's server: who may send what where, trains, rates, fairness.
#include <gtest/gtest.h>

#include "base/rng.hpp"
#include "relay/server_for_tests.hpp"

namespace quicmesh {
namespace {

constexpr auto initiator = RelayRole::initiator;
constexpr auto responder = RelayRole::responder;

struct Pair : TestRelay {
  explicit Pair(RelayLimits limits = {}) : TestRelay(limits) {
    join(1);
    join(2);
    session = *connect(1, 2);
  }
  RelaySessionId session{};
};

// TR1: no open relay.

TEST(RelayForward, a_third_party_that_knows_the_session_gets_nothing_through) {
  Pair relay;
  relay.join(3);
  for (const RelayRole role : {initiator, responder}) {
    const Bytes frame = TestRelay::frame(relay.session, role);
    EXPECT_FALSE(relay.forward(TestRelay::path(3), frame)) << "a client, but of no part in it";
    EXPECT_FALSE(relay.forward(TestRelay::path(66), frame)) << "a stranger";
    EXPECT_FALSE(relay.forward(TestRelay::path(1, 1001), frame)) << "another port";
  }
  NetworkPath other_socket = TestRelay::path(1);
  other_socket.socket = SocketId{2};
  EXPECT_FALSE(relay.forward(other_socket, TestRelay::frame(relay.session, initiator)));
  EXPECT_EQ(relay.server.dropped(RelayDrop::unbound_source), 7u);
}

TEST(RelayForward, an_end_cannot_speak_as_the_other) {
  Pair relay;
  EXPECT_FALSE(relay.forward(TestRelay::path(1), TestRelay::frame(relay.session, responder)));
  EXPECT_FALSE(relay.forward(TestRelay::path(2), TestRelay::frame(relay.session, initiator)));
}

TEST(RelayForward, unknown_and_closed_sessions_are_dropped_without_an_answer) {
  Pair relay;
  const RelaySessionId guess{static_cast<std::uint64_t>(relay.session) ^ 1};
  EXPECT_FALSE(relay.forward(TestRelay::path(1), TestRelay::frame(guess, initiator)));
  EXPECT_FALSE(relay.forward(TestRelay::path(66), TestRelay::frame(guess, initiator)));
  relay.say(1, RelayCloseSession{relay.session, RelayCloseReason::by_peer});
  EXPECT_FALSE(relay.forward(TestRelay::path(1), TestRelay::frame(relay.session, initiator)));
  EXPECT_FALSE(relay.forward(TestRelay::path(66), TestRelay::frame(relay.session, initiator)));
  EXPECT_EQ(relay.server.dropped(RelayDrop::unknown_session), 4u);
  EXPECT_FALSE(relay.challenge());
}

// TR2: whatever a client says, datagrams go to bound paths and to no other.
TEST(RelayForward, no_field_of_a_control_message_becomes_a_destination) {
  const SocketAddress victims[] = {
      {IpAddress::loopback(IpFamily::v4), 22},    {IpAddress::loopback(IpFamily::v6), 22},
      {IpAddress::v4({169, 254, 169, 254}), 80},  {IpAddress::v4({192, 168, 1, 1}), 53},
      {IpAddress::any(IpFamily::v4), 1},          {*IpAddress::parse("::ffff:127.0.0.1"), 22},
      {*IpAddress::parse("64:ff9b::7f00:1"), 22}, {IpAddress::v4({93, 184, 216, 34}), 443},
  };
  for (const SocketAddress& victim : victims) {
    // An identifier that spells the address, and every message that has room for an address.
    NodeId spelled;
    std::ranges::copy(victim.ip.bytes(), spelled.bytes.begin());
    Bytes opaque = to_bytes(victim.ip.bytes());
    RelaySessionId session{};
    for (std::size_t i = 0; i < 8; ++i)
      session = RelaySessionId{static_cast<std::uint64_t>(session) << 8 | victim.ip.bytes()[i]};
    const RelayHint hint{spelled, {victim}};
    const RelayMessage messages[] = {
        RelayConnect{spelled},
        RelaySignal{spelled, opaque},
        RelaySignal{TestRelay::node(2), opaque},
        RelayCloseSession{session, RelayCloseReason::by_peer},
        RelayLoadQuery{0x7f000001},
        RelayRegister{},
        RelayRegistered{victim, 0, 0, 0},
        RelaySession{session, spelled, initiator},
        RelayRefused{RelayRequest::session, spelled, RelayRefusal::redirect, 0, {hint}},
        RelayLoad{0x7f000001, 0},
        RelayDraining{{hint}},
    };
    for (const RelayMessage& message : messages) {
      Pair relay;
      relay.say(1, message);
      for (const RelaySessionId id : {relay.session, session}) {
        for (const RelayRole role : {initiator, responder}) {
          Bytes frame = TestRelay::frame(id, role, relay_header_size);
          frame.insert(frame.end(), opaque.begin(), opaque.end());
          for (const unsigned from : {1u, 2u, 66u}) {
            const auto to = relay.forward(TestRelay::path(from), frame);
            EXPECT_TRUE(!to || *to == TestRelay::path(1) || *to == TestRelay::path(2))
                << to->remote.to_string() << " after message " << message.index();
          }
        }
      }
      while (const auto challenge = relay.challenge())
        EXPECT_EQ(challenge->first, TestRelay::path(66)) << "to who sent, and nobody else";
    }
  }
}

// Challenges.

TEST(RelayForward, a_rebound_client_proves_itself_in_one_round_trip_for_all_its_sessions) {
  Pair relay;
  relay.join(3);
  const auto second = relay.connect(3, 1);
  const NetworkPath moved = TestRelay::path(1, 5555);
  const Bytes frame = TestRelay::frame(relay.session, initiator);
  EXPECT_FALSE(relay.forward(moved, frame));
  const auto challenge = relay.challenge();
  ASSERT_TRUE(challenge);
  EXPECT_EQ(challenge->first, moved);
  EXPECT_LE(challenge->second.size(), frame.size());
  EXPECT_FALSE(relay.forward(moved, TestRelay::answer_to(challenge->second, 1)));
  EXPECT_EQ(relay.forward(moved, frame), TestRelay::path(2));
  EXPECT_EQ(relay.forward(TestRelay::path(2), TestRelay::frame(relay.session, responder)), moved);
  EXPECT_EQ(relay.forward(TestRelay::path(3), TestRelay::frame(*second, initiator)), moved);
  EXPECT_FALSE(relay.forward(TestRelay::path(1), frame)) << "the former address is no longer its";
  EXPECT_EQ(relay.row("rebindings").value, 1u);
}

TEST(RelayForward, an_answer_in_a_train_counts_too) {
  Pair relay;
  const NetworkPath moved = TestRelay::path(1, 5555);
  Bytes small = TestRelay::frame(relay.session, initiator, challenge_frame_size);
  EXPECT_FALSE(relay.forward(moved, small));
  Bytes train = TestRelay::answer_to(relay.challenge()->second, 1);
  train.insert(train.end(), small.begin(), small.end());
  std::array<RelayRun, 4> runs;
  const auto result =
      relay.server.forward_train(relay.now, moved, train, challenge_frame_size, runs);
  ASSERT_EQ(result.runs, 1u);
  EXPECT_EQ(runs[0].offset, challenge_frame_size);
}

struct ForgedAnswer {
  const char* what;
  unsigned key;        // whose key makes the MAC
  NetworkPath source;  // from where it comes
  Duration later;
};

TEST(RelayForward, who_saw_the_frame_but_has_no_key_binds_nothing) {
  const NetworkPath attacker = TestRelay::path(66);
  const ForgedAnswer cases[] = {
      {"the attacker's own key", 66, attacker, 0s},
      {"the other end's key", 2, attacker, 0s},
      {"an answer made for another source", 1, TestRelay::path(67), 0s},
      {"an answer made for another port", 1, TestRelay::path(66, 1), 0s},
      {"an answer that comes too late", 1, attacker, 2 * ChallengeNonces::challenge_step},
  };
  for (const ForgedAnswer& test : cases) {
    Pair relay;
    const Bytes frame = TestRelay::frame(relay.session, initiator);
    EXPECT_FALSE(relay.forward(attacker, frame));
    const auto challenge = relay.challenge();
    ASSERT_TRUE(challenge);
    relay.pass(test.later);
    EXPECT_FALSE(relay.forward(test.source, TestRelay::answer_to(challenge->second, test.key)));
    EXPECT_FALSE(relay.forward(test.source, frame)) << test.what;
    EXPECT_EQ(relay.forward(TestRelay::path(1), frame), TestRelay::path(2)) << test.what;
    EXPECT_EQ(relay.row("rebindings").drops, 1u) << test.what;
  }
}

TEST(RelayForward, a_replayed_answer_binds_nothing) {
  Pair relay;
  const Bytes frame = TestRelay::frame(relay.session, initiator);
  const NetworkPath moved = TestRelay::path(1, 5555);
  relay.forward(moved, frame);
  const Bytes answer = TestRelay::answer_to(relay.challenge()->second, 1);
  relay.forward(moved, answer);
  ASSERT_TRUE(relay.forward(moved, frame));
  // The client moves on; the recorded answer is sent again from where it was good.
  const NetworkPath again = TestRelay::path(1, 6666);
  relay.forward(again, frame);
  relay.forward(again, TestRelay::answer_to(relay.challenge()->second, 1));
  ASSERT_TRUE(relay.forward(again, frame));
  relay.forward(moved, answer);
  EXPECT_FALSE(relay.forward(moved, frame));
  EXPECT_TRUE(relay.forward(again, frame));
  relay.forward(again, answer);
  EXPECT_TRUE(relay.forward(again, frame));
}

TEST(RelayForward, a_challenge_sent_back_as_it_came_is_no_answer) {
  Pair relay;
  relay.forward(TestRelay::path(66), TestRelay::frame(relay.session, initiator));
  Bytes echoed = relay.challenge()->second;
  relay.forward(TestRelay::path(66), echoed);
  echoed[0] = static_cast<std::uint8_t>(RelayFrameType::answer);
  relay.forward(TestRelay::path(66), echoed);
  EXPECT_EQ(relay.row("rebindings").value, 0u);
  EXPECT_EQ(relay.row("rebindings").drops, 1u);
}

TEST(RelayForward, the_path_that_quic_validated_counts_at_once) {
  Pair relay;
  const NetworkPath moved = TestRelay::path(1, 7777);
  relay.server.client_path_changed(TestRelay::id(1), moved);
  EXPECT_EQ(relay.forward(moved, TestRelay::frame(relay.session, initiator)), TestRelay::path(2));
  EXPECT_FALSE(relay.challenge());
}

// TR4: never larger than the question, and rate-limited.
TEST(RelayForward, challenges_are_small_few_and_only_for_frames_as_large) {
  Pair relay;
  relay.forward(TestRelay::path(66),
                TestRelay::frame(relay.session, initiator, challenge_frame_size - 1));
  EXPECT_FALSE(relay.challenge());
  std::size_t bytes = 0;
  std::size_t sent = 0;
  for (int i = 0; i < 10'000; ++i) {
    relay.forward(TestRelay::path(66, static_cast<std::uint16_t>(i + 1)),
                  TestRelay::frame(relay.session, initiator, challenge_frame_size));
    sent += challenge_frame_size;
    while (const auto challenge = relay.challenge())
      bytes += challenge->second.size();
    relay.now += 100us;
  }
  EXPECT_LE(bytes, sent);
  const auto allowed = ChallengeLimit::network_burst + 1s / ChallengeLimit::network_interval;
  EXPECT_LE(bytes, static_cast<std::size_t>(allowed) * challenge_frame_size);
  EXPECT_GT(bytes, 0u);
  Bytes frame = TestRelay::frame(relay.session, initiator);
  EXPECT_FALSE(relay.forward(TestRelay::from(IpAddress::v4({172, 16, 5, 5})), frame));
  EXPECT_TRUE(relay.challenge()) << "another network is not affected";
}

TEST(RelayForward, challenges_are_bounded_in_all) {
  Pair relay;
  unsigned sent = 0;
  for (unsigned i = 0; i < 2000; ++i) {
    const IpAddress ip = IpAddress::v4({172, 16, std::uint8_t(i % 256), 1});
    relay.forward(TestRelay::from(ip, std::uint16_t(i + 1)),
                  TestRelay::frame(relay.session, initiator));
    while (relay.challenge())
      ++sent;
  }
  EXPECT_EQ(sent, ChallengeLimit::total_burst);
  // And so is the queue of a driver that does not drain it.
  relay.pass(10s);
  for (unsigned i = 0; i < 2000; ++i) {
    const IpAddress ip = IpAddress::v4({172, 16, std::uint8_t(i % 256), 1});
    relay.forward(TestRelay::from(ip), TestRelay::frame(relay.session, initiator));
  }
  sent = 0;
  while (relay.challenge())
    ++sent;
  EXPECT_EQ(sent, RelayRules::challenges_queued_max);
}

// Trains.

class Train : public ::testing::Test {
 public:
  static constexpr std::size_t segment = 100;

  Train() {
    relay_.join(3);
    other_ = *relay_.connect(1, 3);
  }
  Train& add(Bytes frame) {
    bytes_.insert(bytes_.end(), frame.begin(), frame.end());
    return *this;
  }
  Train& to_2(std::size_t size = segment) {
    return add(TestRelay::frame(relay_.session, initiator, size));
  }
  Train& to_3(std::size_t size = segment) { return add(TestRelay::frame(other_, initiator, size)); }
  std::vector<std::array<std::size_t, 3>> forward(std::size_t room = 64) {
    std::vector<RelayRun> runs(room);
    result_ = relay_.server.forward_train(relay_.now, TestRelay::path(1), bytes_, segment, runs);
    std::vector<std::array<std::size_t, 3>> found;
    for (std::size_t i = 0; i < result_.runs; ++i)
      found.push_back({runs[i].destination.remote.ip.bytes()[3], runs[i].offset, runs[i].size});
    return found;
  }
  using Runs = std::vector<std::array<std::size_t, 3>>;  // client, offset, size

  Pair relay_;
  RelaySessionId other_{};
  Bytes bytes_;
  RelayTrain result_;
};

TEST_F(Train, of_one_session_stays_whole) {
  for (int i = 0; i < 50; ++i)
    to_2();
  EXPECT_EQ(forward(), (Runs{{2, 0, 5000}}));
}

TEST_F(Train, is_split_only_where_the_session_changes) {
  to_2().to_2().to_3().to_3().to_3().to_2();
  EXPECT_EQ(forward(), (Runs{{2, 0, 200}, {3, 200, 300}, {2, 500, 100}}));
}

TEST_F(Train, may_end_in_a_short_segment) {
  to_2().to_2().to_2(40);
  EXPECT_EQ(forward(), (Runs{{2, 0, 240}}));
  bytes_.clear();
  to_2().to_3(12);
  EXPECT_EQ(forward(), (Runs{{2, 0, 100}, {3, 100, 12}}));
  bytes_.clear();
  to_2().to_2(relay_header_size);
  EXPECT_EQ(forward(), (Runs{{2, 0, 100}})) << "a header without payload is not forwarded";
  EXPECT_EQ(relay_.server.dropped(RelayDrop::malformed), 1u);
}

TEST_F(Train, loses_only_its_garbage) {
  to_2().to_2().add(Bytes(segment, 0xff)).to_2().add(Bytes(segment, 0)).to_3();
  EXPECT_EQ(forward(), (Runs{{2, 0, 200}, {2, 300, 100}, {3, 500, 100}}));
  EXPECT_EQ(relay_.server.dropped(RelayDrop::malformed), 2u);
}

TEST_F(Train, a_session_of_others_in_the_middle_is_dropped) {
  const auto theirs = *relay_.connect(2, 3);
  to_2().add(TestRelay::frame(theirs, initiator, segment)).to_2();
  EXPECT_EQ(forward(), (Runs{{2, 0, 100}, {2, 200, 100}}));
  EXPECT_EQ(relay_.server.dropped(RelayDrop::unbound_source), 1u);
}

TEST_F(Train, is_dealt_with_in_parts_where_the_span_is_small) {
  to_2().to_3().to_2();
  EXPECT_EQ(forward(2), (Runs{{2, 0, 100}, {3, 100, 100}}));
  EXPECT_EQ(result_.consumed, 200u);
}

TEST_F(Train, that_is_empty_is_nothing) {
  EXPECT_EQ(forward(), Runs{});
  EXPECT_EQ(result_.consumed, 0u);
}

TEST_F(Train, beyond_the_rate_is_cut_at_a_segment) {
  const std::size_t burst = std::max<std::size_t>(RelayLimits{}.client_bytes_per_s / 20,
                                                  RelayRules::client_burst_min_bytes);
  for (std::size_t i = 0; i < burst / segment + 10; ++i)
    to_2();
  EXPECT_EQ(forward(), (Runs{{2, 0, burst / segment * segment}}));
  EXPECT_EQ(relay_.server.dropped(RelayDrop::over_rate), 10u);
  bytes_.clear();
  to_2();
  EXPECT_EQ(forward(), Runs{});
  relay_.now += 1ms;
  EXPECT_EQ(forward(), (Runs{{2, 0, 100}}));
}

// Fairness in virtual time (R5): goodput of a client that sends steadily, with and without one that
// floods at ten times its own share.

struct Flow {
  unsigned client;
  std::uint64_t bytes_per_s;
};

// Bytes forwarded for each flow in the last 8 of 10 seconds. Each sends to a client of its own.
std::vector<std::uint64_t> run_flows(RelayLimits limits, const std::vector<Flow>& flows) {
  constexpr std::size_t size = 1200;
  TestRelay relay(limits);
  std::vector<RelaySessionId> sessions;
  std::vector<std::uint64_t> owed(flows.size());
  std::vector<std::uint64_t> passed(flows.size());
  for (const Flow& flow : flows) {
    relay.join(flow.client);
    relay.join(flow.client + 100);
    sessions.push_back(*relay.connect(flow.client, flow.client + 100));
  }
  const Instant start = relay.now;
  Rng rng(3);
  while (relay.now - start < 10s) {
    // Bursts of a random length apart, so that no flow is in step with another.
    const Duration step = rng.between(500us, 1500us);
    relay.now += step;
    for (std::size_t i = 0; i < flows.size(); ++i) {
      owed[i] += flows[i].bytes_per_s * static_cast<std::uint64_t>(step.count()) / 1'000'000'000;
      while (owed[i] >= size) {
        owed[i] -= size;
        const auto to = relay.forward(TestRelay::path(flows[i].client),
                                      TestRelay::frame(sessions[i], initiator, size));
        if (to && relay.now - start >= 2s) passed[i] += size;
      }
    }
  }
  return passed;
}

TEST(RelayFairness, a_client_has_its_rate_and_no_more) {
  RelayLimits limits;
  limits.client_bytes_per_s = 1'000'000;
  const auto passed = run_flows(limits, {{1, 10'000'000}, {2, 900'000}});
  EXPECT_NEAR(static_cast<double>(passed[0]), 8e6, 8e4);
  EXPECT_NEAR(static_cast<double>(passed[1]), 7.2e6, 7e3);
}

// R5
TEST(RelayFairness, a_flood_takes_less_than_a_twentieth_from_others) {
  RelayLimits limits;
  limits.client_bytes_per_s = 2'000'000;
  limits.total_bytes_per_s = 2'500'000;
  for (const std::uint64_t rate : {100'000u, 600'000u, 1'000'000u}) {
    const auto alone = run_flows(limits, {{1, rate}});
    const auto beside = run_flows(limits, {{1, rate}, {2, 20'000'000}});
    EXPECT_GE(beside[0] * 100, alone[0] * 95) << rate;
  }
}

TEST(RelayFairness, several_floods_share_what_the_modest_leave) {
  RelayLimits limits;
  limits.client_bytes_per_s = 4'000'000;
  limits.total_bytes_per_s = 4'000'000;
  // Max-min: 0.2 and 0.8 are served in full, three floods have 1.0 each.
  const auto passed = run_flows(
      limits, {{1, 200'000}, {2, 800'000}, {3, 8'000'000}, {4, 8'000'000}, {5, 8'000'000}});
  EXPECT_GE(passed[0], 8 * 195'000u);
  EXPECT_GE(passed[1], 8 * 760'000u);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < passed.size(); ++i) {
    total += passed[i];
    if (i >= 2) {
      EXPECT_NEAR(static_cast<double>(passed[i]), 8e6, 8e5) << i;
    }
  }
  EXPECT_NEAR(static_cast<double>(total), 32e6, 3.2e6);
}

TEST(RelayFairness, the_share_comes_back_when_the_flood_is_over) {
  FairShare share(1'000'000, 1'000'000);
  Instant now{50s};
  EXPECT_EQ(share.share(now), 1'000'000u);
  for (int i = 0; i < 50; ++i) {  // four who take all they are given
    now += FairShare::tick;
    share.count(4 * share.share(now) / 10, 100'000);
  }
  EXPECT_NEAR(static_cast<double>(share.share(now)), 250'000, 5'000);
  for (int i = 0; i < 4; ++i) {
    now += FairShare::tick;
    share.count(1000, 0);
    (void)share.share(now);
  }
  EXPECT_EQ(share.share(now), 1'000'000u);
}

TEST(RelayRate, lets_pass_what_its_rate_says_and_a_burst) {
  RelayRate rate;
  const Instant now{10s};
  EXPECT_EQ(rate.room(now, 1000, 500), 500u);
  rate.take(now, 500, 1000);
  EXPECT_EQ(rate.room(now, 1000, 500), 0u);
  EXPECT_EQ(rate.room(now + 100ms, 1000, 500), 100u);
  EXPECT_EQ(rate.room(now + 1h, 1000, 500), 500u) << "no more than the burst is saved up";
  EXPECT_EQ(RelayRate{}.room(now, RelayRate::rate_max, RelayRate::rate_max), RelayRate::rate_max);
}

}  // namespace
}  // namespace quicmesh
