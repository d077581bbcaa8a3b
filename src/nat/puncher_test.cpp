// The puncher by itself: what it refuses, what it gives back, when it ends. How it fares between
// NATs is in sim/punch_test.cpp.
#include "nat/puncher.hpp"

#include <gtest/gtest.h>

#include <set>

#include "crypto/seeded_rng.hpp"
#include "nat/nat_errc.hpp"
#include "nat/punch_predict.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

constexpr NatProfile strict{.mapping = NatBehaviour::endpoint_independent,
                            .filtering = NatBehaviour::address_and_port_dependent};
constexpr NatProfile random_ports{.mapping = NatBehaviour::address_and_port_dependent,
                                  .port_allocation = PortAllocation::random,
                                  .port_confidence = 100};
constexpr NatProfile sequential{.mapping = NatBehaviour::address_and_port_dependent,
                                .port_allocation = PortAllocation::sequential,
                                .port_delta = 2,
                                .port_confidence = 100};
constexpr NatProfile preserving{.mapping = NatBehaviour::address_and_port_dependent,
                                .port_allocation = PortAllocation::preserved,
                                .port_confidence = 100};

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

// Gives the puncher what it wants and writes down what it does.
class Bench {
 public:
  Result<PunchPlan> start(const NatProfile& ours, const NatProfile& theirs, bool lower_id = true,
                          std::uint8_t peer = 1) {
    PunchStart start = defaults(ours, theirs, lower_id, peer);
    return this->start(start);
  }
  PunchStart defaults(const NatProfile& ours, const NatProfile& theirs, bool lower_id = true,
                      std::uint8_t peer = 1) const {
    return {.peer = node(peer),
            .lower_id = lower_id,
            .ours = ours,
            .theirs = theirs,
            .path = {SocketId{0}, {}, endpoint("5.5.5.5:4433")},
            .our_external = endpoint("6.6.6.6:4433"),
            .attested = endpoint("5.5.5.5:1").ip,
            .stun_servers = {endpoint("7.7.7.7:3478"), endpoint("8.8.8.8:3478")},
            .round_trip = 40ms};
  }
  Result<PunchPlan> start(const PunchStart& start) {
    auto plan = puncher.start(now, start);
    drain();
    return plan;
  }

  bool say(const PunchMessage& message, std::uint8_t peer = 1) {
    const bool taken = puncher.on_message(now, node(peer), encode_punch_message(message));
    drain();
    return taken;
  }

  void wait(Duration span) {
    const Instant end = now + span;
    for (int turns = 0; puncher.poll_timeout() <= end; ++turns) {
      ASSERT_LT(turns, 10'000) << "the deadline is never in the future";
      now = std::max(now, puncher.poll_timeout());
      puncher.handle_timeout(now);
      drain();
    }
    now = end;
  }

  // The STUN request that left last is answered.
  bool answer(const SocketAddress& external) {
    if (asked.empty()) return false;
    const auto [path, id] = asked.back();
    asked.pop_back();
    std::array<std::uint8_t, 64> room{};
    StunWriter writer(room, StunClass::success, StunMethod::binding, id);
    writer.add_xor_address(StunAttribute::xor_mapped_address, external);
    const bool taken = puncher.handle_datagram(now, path, Ecn::not_ect, writer.written());
    drain();
    return taken;
  }

  void drain() {
    for (bool more = true; more;) {
      more = false;
      while (const auto sent = puncher.poll_transmit(now, buffer)) {
        const auto message = StunMessage::parse(ByteView(buffer).first(sent->size));
        asked.emplace_back(sent->path, message->transaction_id());
      }
      while (const auto event = puncher.poll_event()) {
        more = true;
        on_event(*event);
      }
    }
  }

  void on_event(const PuncherEvent& event) {
    if (const auto* wanted = std::get_if<OpenSocket>(&event)) {
      if (hold_sockets) return held.push_back(wanted->id);
      if (refuse_sockets) return puncher.handle_socket_failed(now, wanted->id);
      open_socket(wanted->id);
    } else if (const auto* close = std::get_if<CloseSocket>(&event)) {
      EXPECT_EQ(open.erase(close->socket), 1u);
    } else if (const auto* said_now = std::get_if<PunchSay>(&event)) {
      EXPECT_LE(said_now->body.size(), punch_message_size_max);
      said.push_back(decode_punch_message(said_now->body).value());
    } else if (const auto* probe = std::get_if<PunchProbe>(&event)) {
      EXPECT_TRUE(probe->path.socket == SocketId{0} || open.contains(probe->path.socket));
      probes.push_back(*probe);
    } else {
      ended.push_back(std::get<PunchEnded>(event));
    }
  }

  SocketId open_socket(SocketRequestId id) {
    const SocketId socket{++last_socket};
    open.insert(socket);
    most_open = std::max(most_open, open.size());
    const auto port = static_cast<std::uint16_t>(50'000 + last_socket);
    puncher.handle_socket_opened(now, id, socket, {IpAddress{}, port});
    return socket;
  }

  std::set<std::uint16_t> probed_ports() const {
    std::set<std::uint16_t> ports;
    for (const PunchProbe& probe : probes)
      ports.insert(probe.path.remote.port);
    return ports;
  }

  SeededRng secure_rng{1, "bench"};
  StrangerAllowance allowance;
  Puncher puncher{secure_rng, Rng(1), allowance};
  Instant now{1000s};
  bool refuse_sockets = false;
  bool hold_sockets = false;
  std::vector<SocketRequestId> held;
  std::uint16_t last_socket = 0;
  std::set<SocketId> open;
  std::size_t most_open = 0;
  std::vector<std::pair<NetworkPath, TransactionId>> asked;
  std::vector<PunchMessage> said;
  std::vector<PunchProbe> probes;
  std::vector<PunchEnded> ended;
  Bytes buffer = Bytes(transmit_buffer_size);
};

PunchMessage predicted(std::uint8_t round, int port, int step = 1, int count = 8,
                       std::uint16_t attempt = 7) {
  return {.type = PunchMessageType::predicted,
          .technique = PunchTechnique::predict,
          .round = round,
          .attempt = attempt,
          .port = static_cast<std::uint16_t>(port),
          .step = static_cast<std::int16_t>(step),
          .count = static_cast<std::uint16_t>(count)};
}

PunchMessage birthday(PunchMessageType type, std::uint16_t attempt, std::uint16_t count = 0) {
  return {.type = type,
          .technique = PunchTechnique::birthday,
          .round = 1,
          .attempt = attempt,
          .count = count};
}

TEST(Puncher, begins_nothing_for_plain_and_relay) {
  Bench bench;
  EXPECT_EQ(bench.start(strict, {})->technique, PunchTechnique::plain);
  EXPECT_EQ(bench.start(random_ports, random_ports)->technique, PunchTechnique::relay);
  EXPECT_FALSE(bench.puncher.is_punching(node(1)));
  EXPECT_FALSE(bench.say(predicted(1, 40'000)));
  EXPECT_EQ(bench.puncher.poll_timeout(), never);
}

TEST(Puncher, refuses_an_endpoint_that_is_none) {
  Bench bench;
  for (const char* address : {"5.5.5.5:1023", "5.5.5.5:0", "0.0.0.0:4433"}) {
    PunchStart start = bench.defaults(strict, strict);
    start.path.remote = endpoint(address);
    EXPECT_EQ(bench.start(start).error(), NatErrc::unusable_external) << address;
  }
}

TEST(Puncher, refuses_more_peers_than_it_can_serve) {
  Bench bench;
  for (std::uint8_t peer = 1; peer <= Puncher::peers_max; ++peer)
    ASSERT_TRUE(bench.start(strict, strict, true, peer));
  EXPECT_EQ(bench.start(strict, strict, true, 200).error(), NatErrc::too_many_punches);
  // One that is under way is not begun again.
  const std::size_t probes = bench.probes.size();
  EXPECT_TRUE(bench.start(strict, random_ports, true, 1));
  EXPECT_EQ(bench.probes.size(), probes);
}

TEST(Puncher, waits_longer_after_each_failure) {
  Bench bench;
  Duration expected = Puncher::back_off_first;
  for (int failures = 1; failures <= 8; ++failures) {
    ASSERT_TRUE(bench.start(strict, strict));
    bench.wait(5s);
    ASSERT_EQ(bench.ended.size(), static_cast<std::size_t>(failures));
    EXPECT_EQ(bench.ended.back().outcome, PunchOutcome::no_way_through);
    EXPECT_EQ(bench.ended.back().back_off, expected);
    EXPECT_EQ(bench.start(strict, strict).error(), NatErrc::punch_too_soon);
    EXPECT_LE(bench.puncher.may_start(node(1)), bench.now + expected);
    bench.now = bench.puncher.may_start(node(1));
    expected = std::min<Duration>(2 * expected, Puncher::back_off_max);
  }
  ASSERT_TRUE(bench.start(strict, strict));
  bench.puncher.on_path_answered(bench.now, node(1), {SocketId{0}, {}, endpoint("5.5.5.5:4433")});
  bench.drain();
  EXPECT_EQ(bench.ended.back().outcome, PunchOutcome::direct);
  // All is forgotten.
  ASSERT_TRUE(bench.start(strict, strict));
  bench.wait(5s);
  EXPECT_EQ(bench.ended.back().back_off, Puncher::back_off_first);
  bench.puncher.forget_back_offs();
  EXPECT_TRUE(bench.start(strict, strict));
}

TEST(Puncher, sends_its_opener_right_behind_the_sample) {
  Bench bench;
  ASSERT_EQ(bench.start(sequential, strict)->role, PunchRole::predicted);
  // Both are out: `drain` takes the transmit first, as every driver does.
  ASSERT_EQ(bench.asked.size(), 1u);
  ASSERT_EQ(bench.probes.size(), 1u);
  EXPECT_EQ(bench.probes[0].path.socket, bench.asked[0].first.socket);
  EXPECT_EQ(bench.probes[0].path.remote, endpoint("5.5.5.5:4433"));
  EXPECT_EQ(bench.probes[0].hop_limit, PunchTask::opener_hops);
  ASSERT_TRUE(bench.answer(endpoint("6.6.6.6:40000")));
  ASSERT_EQ(bench.said.size(), 1u);
  EXPECT_EQ(bench.said[0].port, 40'002);
  EXPECT_EQ(bench.said[0].step, 2);
  EXPECT_EQ(bench.said[0].count, predict_window);
}

TEST(Puncher, takes_the_inner_port_where_the_nat_keeps_it) {
  Bench bench;
  ASSERT_TRUE(bench.start(preserving, strict));
  EXPECT_TRUE(bench.asked.empty());
  ASSERT_EQ(bench.said.size(), 1u);
  EXPECT_EQ(bench.said[0].port, 50'001);  // what the bench's first socket is bound to
}

// With the second request it is not known which of the two made the mapping.
TEST(Puncher, tells_an_earlier_port_after_a_lost_sample) {
  Bench bench;
  ASSERT_TRUE(bench.start(sequential, strict));
  bench.wait(110ms);
  ASSERT_EQ(bench.asked.size(), 2u);
  ASSERT_TRUE(bench.answer(endpoint("6.6.6.6:40000")));
  EXPECT_EQ(bench.said.at(0).port, 39'998);
}

TEST(Puncher, tells_no_port_of_another_address) {
  Bench bench;
  ASSERT_TRUE(bench.start(sequential, strict));
  ASSERT_TRUE(bench.answer(endpoint("6.6.6.7:40000")));
  EXPECT_TRUE(bench.said.empty());
  EXPECT_EQ(bench.asked.size(), 1u);  // the next round's
}

TEST(Puncher, ends_without_samples_or_sockets) {
  Bench bench;
  ASSERT_TRUE(bench.start(sequential, strict));
  bench.wait(20s);
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_EQ(bench.ended[0].outcome, PunchOutcome::no_sample);
  EXPECT_EQ(bench.ended[0].rounds, PunchTask::rounds_max);
  EXPECT_TRUE(bench.open.empty());
  EXPECT_LE(bench.most_open, 2u);

  PunchStart without_servers = bench.defaults(sequential, strict, true, 2);
  without_servers.stun_servers = {endpoint("5.5.5.5:3478")};  // the peer's own address
  ASSERT_TRUE(bench.start(without_servers));
  EXPECT_EQ(bench.ended.at(1).outcome, PunchOutcome::no_sample);

  bench.refuse_sockets = true;
  ASSERT_TRUE(bench.start(sequential, strict, true, 3));
  EXPECT_EQ(bench.ended.at(2).outcome, PunchOutcome::no_sockets);
  ASSERT_TRUE(bench.start(random_ports, strict, true, 4));
  (void)bench.say(birthday(PunchMessageType::accept, bench.said.back().attempt), 4);
  bench.wait(2s);
  EXPECT_EQ(bench.ended.at(3).outcome, PunchOutcome::no_sockets);
  EXPECT_TRUE(bench.open.empty());
}

TEST(Puncher, gives_sockets_back_that_come_too_late) {
  Bench bench;
  bench.hold_sockets = true;
  ASSERT_TRUE(bench.start(sequential, strict));
  ASSERT_EQ(bench.held.size(), 1u);
  bench.puncher.stop(bench.now, node(1));
  (void)bench.open_socket(bench.held[0]);
  bench.drain();
  EXPECT_TRUE(bench.open.empty());
  EXPECT_TRUE(bench.ended.empty());
  // A connection that comes again is no failure.
  EXPECT_TRUE(bench.start(sequential, strict));
}

TEST(Puncher, leaves_the_socket_open_that_got_through) {
  Bench bench;
  ASSERT_TRUE(bench.start(random_ports, strict));
  (void)bench.say(birthday(PunchMessageType::accept, bench.said.at(0).attempt));
  bench.wait(100ms);
  ASSERT_GT(bench.open.size(), 40u);
  const SocketId lucky = *std::next(bench.open.begin(), 17);
  bench.puncher.on_path_answered(bench.now, node(1), {lucky, {}, endpoint("5.5.5.5:4433")});
  bench.drain();
  EXPECT_EQ(bench.open, std::set{lucky});
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_TRUE(bench.ended[0].adopted);
  EXPECT_EQ(bench.ended[0].path->socket, lucky);
}

TEST(Puncher, takes_no_datagrams_of_others) {
  Bench bench;
  ASSERT_TRUE(bench.start(sequential, strict));
  const Bytes probe(35, 0x20);
  const NetworkPath own = bench.asked.at(0).first;
  EXPECT_FALSE(bench.puncher.handle_datagram(bench.now, own, Ecn::not_ect, probe));
  std::array<std::uint8_t, 64> room{};
  StunWriter writer(room, StunClass::success, StunMethod::binding, bench.asked[0].second);
  writer.add_xor_address(StunAttribute::xor_mapped_address, endpoint("6.6.6.6:40000"));
  const NetworkPath main{SocketId{0}, {}, own.remote};
  EXPECT_FALSE(bench.puncher.handle_datagram(bench.now, main, Ecn::not_ect, writer.written()));
  EXPECT_TRUE(bench.puncher.handle_datagram(bench.now, own, Ecn::not_ect, writer.written()));
}

// One counts up, the other down: so they meet although others took ports in between.
TEST(Puncher, sends_in_opposite_order_where_both_sides_are_predicted) {
  for (const bool leads : {true, false}) {
    Bench bench;
    ASSERT_EQ(bench.start(sequential, sequential, leads)->role, PunchRole::same);
    PunchMessage begin{.type = PunchMessageType::begin, .technique = PunchTechnique::predict};
    begin.attempt = 7;
    if (leads) {
      begin.attempt = bench.said.at(0).attempt;
      bench.wait(20ms);
    } else {
      EXPECT_TRUE(bench.say(begin));
    }
    EXPECT_TRUE(bench.say(predicted(1, 40'000, 2, 8, begin.attempt)));
    EXPECT_TRUE(bench.probes.empty());
    ASSERT_TRUE(bench.answer(endpoint("6.6.6.6:30000")));
    EXPECT_EQ(bench.said.back().port, 30'002);
    std::vector<std::uint16_t> ports;
    for (const PunchProbe& probe : bench.probes)
      ports.push_back(probe.path.remote.port);
    const std::vector<std::uint16_t> up{40'000, 40'002, 40'004, 40'006,
                                        40'008, 40'010, 40'012, 40'014};
    const std::vector<std::uint16_t> down{40'012, 40'010, 40'008, 40'006, 40'004, 40'002, 40'000};
    EXPECT_EQ(ports, leads ? up : down);
  }
}

TEST(Puncher, follows_from_prediction_to_guessing_once) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, sequential));
  EXPECT_TRUE(bench.say(predicted(5, 40'000)));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 9)));
  EXPECT_EQ(bench.said.back().type, PunchMessageType::accept);
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 9, 128)));
  EXPECT_TRUE(bench.say(predicted(1, 50'000, 1, 8, 10)));  // not back again
  bench.wait(20s);
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_EQ(bench.ended[0].technique, PunchTechnique::birthday);
  EXPECT_LE(bench.probes.size(), birthday_packets_max + PredictingPunch::volleys * predict_window);
}

// THREATS TQ10: a peer says ports, and few of them; the address is the one known.
TEST(Puncher, probes_only_ports_within_the_bounds) {
  struct Row {
    PunchMessage message;
    std::size_t ports;
  };
  const Row rows[] = {{predicted(1, 40'000), 8},
                      {predicted(1, 40'000, 1, 9), 0},
                      {predicted(1, 40'000, 2049), 0},
                      {predicted(1, 40'000, -2048), 8},
                      {predicted(1, 1023), 0},
                      {predicted(1, 53), 0},
                      {predicted(1, 65'535), 1},
                      {predicted(1, 1026, -1), 3},
                      {predicted(1, 65'000, 2000, 8), 1},
                      {predicted(1, 40'000, 1, 1), 1}};
  for (const Row& row : rows) {
    Bench bench;
    ASSERT_EQ(bench.start(strict, sequential)->role, PunchRole::predicting);
    EXPECT_TRUE(bench.say(row.message));
    bench.wait(1s);
    EXPECT_EQ(bench.probed_ports().size(), row.ports) << row.message.port;
    EXPECT_EQ(bench.puncher.counters().messages_refused, row.ports == 0 ? 1u : 0u);
    for (const PunchProbe& probe : bench.probes) {
      EXPECT_EQ(probe.path.remote.ip, endpoint("5.5.5.5:1").ip);
      EXPECT_GE(probe.path.remote.port, PunchTask::first_port);
    }
  }
}

TEST(Puncher, counts_rounds_itself) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, sequential));
  for (std::uint16_t attempt = 1; attempt <= 100; ++attempt) {
    for (std::uint8_t round = 1; round <= 5; ++round)
      EXPECT_TRUE(bench.say(predicted(round, 40'000 + attempt, 1, 8, attempt)));
    bench.wait(100ms);
  }
  EXPECT_EQ(bench.puncher.counters().messages_refused, 495u);
  EXPECT_LE(bench.probes.size(),
            std::size_t{PunchTask::rounds_max} * PredictingPunch::volleys * predict_window);
}

TEST(Puncher, ignores_former_rounds) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, sequential));
  EXPECT_TRUE(bench.say(predicted(2, 40'000)));
  const std::size_t probes = bench.probes.size();
  EXPECT_TRUE(bench.say(predicted(1, 50'000)));
  EXPECT_TRUE(bench.say(predicted(2, 50'000)));
  EXPECT_EQ(bench.probes.size(), probes);
  EXPECT_EQ(bench.puncher.counters().messages_late, 2u);
  // A peer that began anew counts from one again.
  EXPECT_TRUE(bench.say(predicted(1, 50'000, 1, 8, 8)));
  EXPECT_GT(bench.probes.size(), probes);
}

TEST(Puncher, refuses_what_is_not_of_this_technique_or_role) {
  const PunchMessage others[] = {
      birthday(PunchMessageType::openers_out, 1, 256),
      {.type = PunchMessageType::begin, .technique = PunchTechnique::synchronised},
      {.type = PunchMessageType::begin, .technique = PunchTechnique::predict},
      {.type = PunchMessageType::accept, .technique = PunchTechnique::predict}};
  for (const PunchMessage& message : others) {
    Bench bench;
    ASSERT_TRUE(bench.start(strict, sequential));
    EXPECT_TRUE(bench.say(message));
    EXPECT_EQ(bench.puncher.counters().messages_refused, 1u);
    EXPECT_TRUE(bench.probes.empty());
  }
  // The predicted side follows nobody.
  Bench bench;
  ASSERT_TRUE(bench.start(sequential, strict));
  const std::size_t probes = bench.probes.size();
  EXPECT_TRUE(bench.say(predicted(1, 40'000)));
  EXPECT_EQ(bench.puncher.counters().messages_refused, 1u);
  EXPECT_EQ(bench.probes.size(), probes);
}

TEST(Puncher, counts_malformed_words) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, sequential));
  EXPECT_TRUE(bench.puncher.on_message(bench.now, node(1), Bytes(64, 0xff)));
  EXPECT_TRUE(bench.puncher.on_message(bench.now, node(1), {}));
  EXPECT_EQ(bench.puncher.counters().messages_malformed, 2u);
  EXPECT_TRUE(bench.puncher.is_punching(node(1)));
}

TEST(Puncher, guesses_only_after_it_has_agreed) {
  Bench bench;
  ASSERT_EQ(bench.start(strict, random_ports)->role, PunchRole::random_ports);
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 3, 256)));
  bench.wait(1s);
  EXPECT_TRUE(bench.probes.empty());
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 3)));
  ASSERT_EQ(bench.said.size(), 1u);
  EXPECT_EQ(bench.said[0].type, PunchMessageType::accept);
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 4, 256)));  // another attempt's
  bench.wait(1s);
  EXPECT_TRUE(bench.probes.empty());
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 3, 128)));
  bench.wait(1s);
  EXPECT_LE(bench.probes.size(), 512u + birthday_packets_per_tick);
  EXPECT_GE(bench.probes.size(), 500u);
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 5)));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 5, 128)));
  bench.wait(20s);
  EXPECT_EQ(bench.probes.size(), birthday_packets_max);
  EXPECT_EQ(bench.probed_ports().size(), birthday_packets_max);  // none twice
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_EQ(bench.ended[0].outcome, PunchOutcome::no_way_through);
}

TEST(Puncher, sends_nobody_a_birthday_whom_nobody_attests) {
  for (const bool many : {false, true}) {
    Bench bench;
    PunchStart start =
        many ? bench.defaults(random_ports, strict) : bench.defaults(strict, random_ports);
    start.attested = endpoint("5.5.5.6:1").ip;
    ASSERT_TRUE(bench.start(start));
    ASSERT_EQ(bench.ended.size(), 1u);
    EXPECT_EQ(bench.ended[0].outcome, PunchOutcome::not_attested);
    EXPECT_TRUE(bench.probes.empty());
    EXPECT_EQ(bench.most_open, 0u);
  }
}

TEST(Puncher, has_one_birthday_at_a_time) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, random_ports, true, 1));
  ASSERT_TRUE(bench.start(strict, random_ports, true, 2));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 3), 1));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 3), 2));
  EXPECT_EQ(bench.said.size(), 1u);  // the second waits for its turn
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 3, 128), 2));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 3, 128), 1));
  bench.wait(2s);
  for (const PunchProbe& probe : bench.probes)
    EXPECT_EQ(probe.peer, node(1));
  bench.wait(4s);
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_EQ(bench.said.back().type, PunchMessageType::accept);
}

// Four birthdays' worth of packets at once, then one every half minute, whoever asks.
TEST(Puncher, has_a_budget_for_birthdays_over_all_peers) {
  Bench bench;
  constexpr std::uint8_t peers = 12;
  for (std::uint8_t peer = 1; peer <= peers; ++peer) {
    PunchStart start = bench.defaults(strict, random_ports, true, peer);
    start.path.remote.ip = IpAddress::v4({5, 5, 5, peer});  // of one, far fewer are allowed
    start.attested = start.path.remote.ip;
    if (bench.start(start)) {
      EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 3), peer));
      EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 3, 128), peer));
    }
    bench.wait(5s);
  }
  const std::size_t allowed = BirthdayTurns::birthdays_at_once + 5 * peers / 30;
  EXPECT_LE(bench.probes.size(), allowed * birthday_packets_max);
  EXPECT_GE(bench.probes.size(), BirthdayTurns::birthdays_at_once * birthday_packets_max);
}

TEST(Puncher, rests_while_a_path_is_being_proved_but_not_for_good) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, random_ports));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::begin, 3)));
  EXPECT_TRUE(bench.say(birthday(PunchMessageType::openers_out, 3, 128)));
  bench.wait(100ms);
  const NetworkPath path{SocketId{0}, {}, endpoint("5.5.5.5:40000")};
  for (unsigned i = 0; i < 10; ++i) {
    bench.puncher.on_path_heard(bench.now, node(1), path);
    const std::size_t probes = bench.probes.size();
    bench.wait(300ms);
    EXPECT_EQ(bench.probes.size() == probes, i < Puncher::rests_max) << i;
    bench.wait(100ms);
  }
  // Over the relay nothing is proved.
  bench.puncher.on_path_answered(bench.now, node(1), {relayed_socket, {}, endpoint("9.9.9.9:9")});
  bench.drain();
  EXPECT_TRUE(bench.puncher.is_punching(node(1)));
}

TEST(Puncher, gives_up_a_silent_peer) {
  for (const NatProfile& theirs : {sequential, random_ports, strict}) {
    Bench bench;
    ASSERT_TRUE(bench.start(strict, theirs, false));
    bench.wait(PunchTask::silence_max + 1ms);
    ASSERT_EQ(bench.ended.size(), 1u);
    EXPECT_EQ(bench.ended[0].outcome, PunchOutcome::silent_peer);
    EXPECT_EQ(bench.puncher.poll_timeout(), never);
  }
  Bench bench;
  ASSERT_TRUE(bench.start(random_ports, strict));
  bench.wait(5s);
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_EQ(bench.ended[0].outcome, PunchOutcome::silent_peer);
  EXPECT_EQ(bench.most_open, 0u);
}

TEST(Puncher, ends_when_the_peer_gives_up) {
  Bench bench;
  ASSERT_TRUE(bench.start(strict, sequential));
  EXPECT_TRUE(bench.say({.type = PunchMessageType::end, .technique = PunchTechnique::predict}));
  ASSERT_EQ(bench.ended.size(), 1u);
  EXPECT_EQ(bench.ended[0].outcome, PunchOutcome::given_up_there);
  // The follower is ready again before the leader is.
  EXPECT_EQ(bench.ended[0].back_off, Puncher::back_off_first / 2);
}

TEST(Puncher, outcomes_have_names) {
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(PunchOutcome::busy); ++i)
    names.insert(to_string(static_cast<PunchOutcome>(i)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(PunchOutcome::busy) + 1);
}

}  // namespace
}  // namespace quicmesh
