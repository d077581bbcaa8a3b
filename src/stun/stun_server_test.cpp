// The server, its rate limiter, and the stand-in for its second address.
#include "stun/stun_server.hpp"

#include <gtest/gtest.h>

#include <array>

#include "crypto/seeded_rng.hpp"
#include "stun/stand_in.hpp"
#include "stun/stun_errc.hpp"
#include "stun/stun_writer.hpp"

namespace quicmesh {
namespace {

using enum StunAttribute;

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}

constexpr Instant t0{100s};
const SocketAddress client = endpoint("203.0.113.9:40000");
const SocketAddress client_v6 = endpoint("[2001:db8::9]:40000");

StunServerEndpoint serve(std::uint16_t socket, std::string_view address) {
  return {SocketId{socket}, endpoint(address).ip, endpoint(address)};
}

StunServerConfig one_address() {
  return {.primary = serve(0, "198.51.100.1:3478"), .alternates = {}, .limits = {}};
}
StunServerConfig two_addresses() {
  StunServerConfig config = one_address();
  config.alternates = {serve(1, "198.51.100.1:3479"), serve(2, "198.51.100.2:3478"),
                       serve(3, "198.51.100.2:3479")};
  return config;
}

struct Request {
  std::optional<ChangeRequest> change{};
  std::optional<std::uint16_t> port{};
  std::size_t ballast = 0;
  std::optional<StunAttribute> extra{};
  bool with_fingerprint = false;
};

class StunServerTest : public ::testing::Test {
 protected:
  Bytes make(const Request& request) {
    Bytes room(2000);
    StunWriter writer(room, StunClass::request, StunMethod::binding, id);
    if (request.change) writer.add_change_request(*request.change);
    if (request.port) writer.add_u16(response_port, *request.port);
    if (request.ballast > 0) writer.add(software, Bytes(request.ballast, 'x'));
    if (request.extra) writer.add(*request.extra, {});
    if (request.with_fingerprint) writer.add_fingerprint();
    return to_bytes(writer.written());
  }

  // The answer to `request` that came to `socket` of a server with `config`.
  std::optional<Transmit> ask(StunServer& server, const Request& request, std::uint16_t socket = 0,
                              const SocketAddress& from = client, Instant now = t0) {
    const Bytes bytes = make(request);
    request_size = bytes.size();
    const IpAddress local =
        socket >= 2 ? endpoint("198.51.100.2:1").ip : endpoint("198.51.100.1:1").ip;
    EXPECT_TRUE(server.handle_datagram(now, {SocketId{socket}, local, from}, Ecn::not_ect, bytes));
    const auto transmit = server.poll_transmit(now, buffer);
    EXPECT_LE(transmit ? transmit->size : 0, 3 * request_size);
    return transmit;
  }
  StunMessage message(const Transmit& transmit) {
    return StunMessage::parse(ByteView(buffer).first(transmit.size)).value();
  }

  SeededRng rng{1};
  TransactionId id{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}};
  std::array<std::uint8_t, 2048> buffer{};
  std::size_t request_size = 0;
};

// S1.32, S1.R7 ("what is my address").
TEST_F(StunServerTest, tells_a_client_its_address) {
  StunServer server(one_address(), rng);
  const auto transmit = ask(server, {.ballast = 40});
  ASSERT_TRUE(transmit);
  EXPECT_EQ(transmit->path.remote, client);
  EXPECT_EQ(transmit->path.socket, SocketId{0});
  const StunMessage answer = message(*transmit);
  EXPECT_EQ(answer.message_class(), StunClass::success);
  EXPECT_EQ(answer.transaction_id(), id);
  EXPECT_EQ(answer.xor_address(xor_mapped_address), client);
  EXPECT_EQ(answer.address(mapped_address), client);
  EXPECT_EQ(answer.address(response_origin), endpoint("198.51.100.1:3478"));
  EXPECT_FALSE(answer.has(other_address));
  EXPECT_FALSE(answer.has(fingerprint));
  EXPECT_TRUE(message(*ask(server, {.with_fingerprint = true})).has(fingerprint));
}

// RFC 5780 s6.1, table 1: where the answer comes from and which other address it names.
TEST_F(StunServerTest, answers_a_change_request_from_the_address_wanted) {
  StunServer server(two_addresses(), rng);
  const std::array addresses{endpoint("198.51.100.1:3478"), endpoint("198.51.100.1:3479"),
                             endpoint("198.51.100.2:3478"), endpoint("198.51.100.2:3479")};
  for (std::uint16_t asked = 0; asked < 4; ++asked) {
    for (unsigned change = 0; change < 4; ++change) {
      const auto transmit =
          ask(server, {.change = ChangeRequest{(change & 2) != 0, (change & 1) != 0}}, asked);
      ASSERT_TRUE(transmit);
      const std::size_t from = asked ^ change;
      EXPECT_EQ(transmit->path.socket, SocketId{static_cast<std::uint16_t>(from)});
      EXPECT_EQ(transmit->path.local, addresses[from].ip);
      EXPECT_EQ(message(*transmit).address(response_origin), addresses[from]);
      EXPECT_EQ(message(*transmit).address(other_address), addresses[asked ^ 3u]);
    }
  }
}

TEST_F(StunServerTest, refuses_a_change_request_without_a_second_address) {
  StunServer server(one_address(), rng);
  const StunMessage answer = message(*ask(server, {.change = ChangeRequest{false, true}}));
  EXPECT_EQ(answer.message_class(), StunClass::error);
  EXPECT_EQ(answer.error_code()->code, 420u);
  EXPECT_EQ(answer.unknown_attributes(), std::vector{change_request});
  EXPECT_EQ(server.counters().refused_unknown_attribute, 1u);
  // Asking for no change is no wish.
  EXPECT_EQ(message(*ask(server, {.change = ChangeRequest{}})).message_class(), StunClass::success);
}

// RFC 8489 s6.3.1
TEST_F(StunServerTest, refuses_what_it_must_understand_and_does_not) {
  StunServer server(one_address(), rng);
  const StunMessage answer = message(*ask(server, {.extra = StunAttribute{0x7fff}}));
  EXPECT_EQ(answer.error_code()->code, 420u);
  EXPECT_EQ(answer.unknown_attributes(), std::vector{StunAttribute{0x7fff}});
  EXPECT_EQ(message(*ask(server, {.extra = StunAttribute{0xfff0}})).message_class(),
            StunClass::success);
}

// RFC 5780 s7.5
TEST_F(StunServerTest, answers_to_a_response_port_of_the_same_address) {
  StunServer server(two_addresses(), rng);
  const auto transmit = ask(server, {.port = std::uint16_t{50000}});
  ASSERT_TRUE(transmit);
  EXPECT_EQ(transmit->path.remote, endpoint("203.0.113.9:50000"));
  EXPECT_EQ(message(*transmit).mapped_address(), client);
  for (const auto port : std::array<std::uint16_t, 3>{0, 53, 1023}) {
    EXPECT_EQ(message(*ask(server, {.port = port})).error_code()->code, 400u);
  }
  EXPECT_EQ(
      message(*ask(server, {.port = std::uint16_t{50000}, .extra = padding})).error_code()->code,
      400u);
  EXPECT_EQ(server.counters().refused_bad_request, 4u);
}

// THREATS TR4
TEST_F(StunServerTest, never_sends_more_than_three_times_what_it_got) {
  StunServerConfig config = two_addresses();
  config.limits = {.per_second = 1'000'000,
                   .burst = 1'000'000,
                   .total_per_second = 1'000'000,
                   .total_burst = 1'000'000};
  StunServer server(config, rng);
  for (const SocketAddress& from : {client, client_v6}) {
    for (std::size_t ballast = 0; ballast < 200; ++ballast) {
      for (const bool with_fingerprint : {false, true}) {
        const auto transmit =
            ask(server, {.ballast = ballast, .with_fingerprint = with_fingerprint}, 0, from);
        ASSERT_TRUE(transmit);
        EXPECT_EQ(message(*transmit).mapped_address(), from);
      }
    }
  }
  EXPECT_LE(server.counters().bytes_out, 3 * server.counters().bytes_in);
  // What a bare request draws, most useful first.
  const StunMessage v4 = message(*ask(server, {}));
  EXPECT_TRUE(v4.has(other_address) && v4.has(response_origin) && !v4.has(mapped_address));
  const StunMessage v6 = message(*ask(server, {}, 0, client_v6));
  EXPECT_FALSE(v6.has(response_origin));
}

// THREATS TR4: a forged source draws no flood on its network.
TEST_F(StunServerTest, limits_the_answers_to_a_network) {
  StunServer server(one_address(), rng);
  const PrefixLimits limits;
  std::size_t answered = 0;
  const unsigned asked = limits.burst + 100;
  for (unsigned i = 0; i < asked; ++i) {
    const SocketAddress from{IpAddress::v4({203, 0, 113, static_cast<std::uint8_t>(i)}), 5000};
    answered += ask(server, {}, 0, from).has_value();
  }
  EXPECT_EQ(answered, limits.burst);
  EXPECT_EQ(server.counters().dropped_rate, asked - limits.burst);
  EXPECT_TRUE(ask(server, {}, 0, endpoint("203.0.114.1:5000")));
  EXPECT_FALSE(ask(server, {}, 0, client));
  EXPECT_TRUE(ask(server, {}, 0, client, t0 + 1s));
}

TEST_F(StunServerTest, takes_no_part_in_what_is_no_binding_request) {
  StunServer server(one_address(), rng);
  const NetworkPath path{SocketId{0}, {}, client};
  Bytes room(64);
  StunWriter success(room, StunClass::success, StunMethod::binding, id);
  EXPECT_FALSE(server.handle_datagram(t0, path, Ecn::not_ect, success.written()));
  StunWriter allocate(room, StunClass::request, StunMethod::allocate, id);
  EXPECT_TRUE(server.handle_datagram(t0, path, Ecn::not_ect, allocate.written()));
  EXPECT_EQ(server.counters().dropped_method, 1u);
  Bytes bad = make({.with_fingerprint = true});
  bad.back() ^= 1;
  EXPECT_TRUE(server.handle_datagram(t0, path, Ecn::not_ect, bad));
  EXPECT_EQ(server.counters().dropped_malformed, 1u);
  EXPECT_TRUE(server.handle_datagram(t0, {SocketId{0}, {}, endpoint("203.0.113.9:0")}, Ecn::not_ect,
                                     make({})));
  EXPECT_EQ(server.counters().dropped_source, 1u);
  EXPECT_FALSE(server.handle_datagram(t0, path, Ecn::not_ect, to_bytes("\x41quic")));
  EXPECT_FALSE(server.poll_transmit(t0, buffer));
}

TEST_F(StunServerTest, queues_no_more_answers_than_its_bound) {
  StunServerConfig config = one_address();
  config.limits.burst = config.limits.total_burst = 10'000;
  StunServer server(config, rng);
  const Bytes request = make({});
  for (std::size_t i = 0; i < StunServer::queue_max + 7; ++i)
    server.handle_datagram(t0, {SocketId{0}, {}, client}, Ecn::not_ect, request);
  EXPECT_EQ(server.counters().dropped_queue_full, 7u);
}

TEST(PrefixLimiter, tells_networks_apart_and_refills) {
  SeededRng rng(1);
  PrefixLimiter limiter({.per_second = 2,
                         .burst = 3,
                         .total_per_second = 1000,
                         .total_burst = 1000,
                         .prefixes_max = 64},
                        rng);
  const auto ip = [](std::string_view text) { return IpAddress::parse(text).value(); };
  for (const char* network : {"192.0.2.", "192.0.3."}) {
    EXPECT_TRUE(limiter.take(t0, ip(std::string(network) + "1"), 2));
    EXPECT_FALSE(limiter.take(t0, ip(std::string(network) + "2"), 2));
    EXPECT_TRUE(limiter.take(t0, ip(std::string(network) + "3")));
    EXPECT_FALSE(limiter.take(t0, ip(std::string(network) + "4")));
  }
  EXPECT_TRUE(limiter.take(t0, ip("2001:db8:1:1::1"), 3));
  EXPECT_FALSE(limiter.take(t0, ip("2001:db8:1:2::1")));
  EXPECT_TRUE(limiter.take(t0, ip("2001:db8:2:1::1")));
  EXPECT_FALSE(limiter.take(t0 + 499ms, ip("192.0.2.1")));
  EXPECT_TRUE(limiter.take(t0 + 500ms, ip("192.0.2.1")));
  EXPECT_TRUE(limiter.take(t0 + 1h, ip("192.0.2.1"), 3));
  EXPECT_FALSE(limiter.take(t0 + 1h, ip("192.0.2.1")));
  EXPECT_EQ(limiter.counters().refused_prefix, 7u);
}

TEST(PrefixLimiter, many_networks_are_stopped_by_the_bucket_over_all) {
  SeededRng rng(1);
  PrefixLimiter limiter({.per_second = 1,
                         .burst = 2,
                         .total_per_second = 100,
                         .total_burst = 500,
                         .prefixes_max = 64},
                        rng);
  unsigned taken = 0;
  for (unsigned i = 0; i < 10'000; ++i) {
    const auto ip =
        IpAddress::v4({10, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i), 1});
    taken += limiter.take(t0, ip);
  }
  EXPECT_EQ(taken, 500u);
  EXPECT_EQ(limiter.counters().refused_total, 9'500u);
  EXPECT_GT(limiter.counters().evicted, 0u);
}

TEST(StandIn, request_and_answer_survive_the_way_there_and_back) {
  const StandInRequest request{{{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}, 40000};
  EXPECT_EQ(decode_stand_in_request(encode(request)), request);
  const StandInAnswer answer{request.id, StandInVerdict::refused_rate};
  EXPECT_EQ(decode_stand_in_answer(encode(answer)), answer);

  StandInRequestBytes bytes = encode(request);
  EXPECT_EQ(decode_stand_in_request(ByteView(bytes).first(31)).error(),
            StunErrc::malformed_message);
  bytes[31] = 1;
  EXPECT_FALSE(decode_stand_in_request(bytes));
  bytes = encode(request);
  bytes[0] = 2;
  EXPECT_FALSE(decode_stand_in_request(bytes));
  StandInAnswerBytes wrong = encode(answer);
  wrong[13] = 4;
  EXPECT_EQ(decode_stand_in_answer(wrong).error(), StunErrc::malformed_message);
  EXPECT_FALSE(decode_stand_in_answer(ByteView(wrong).first(13)));
}

// THREATS TR1: the requester chooses a port, never an address.
TEST(StandIn, sends_one_small_packet_to_where_the_requester_is_seen) {
  SeededRng rng(1);
  StandIn stand_in({.per_second = 1, .burst = 4}, rng);
  const TransactionId id{{7}};
  const auto decision = stand_in.decide(t0, client.ip, {id, 40000});
  EXPECT_EQ(decision.answer, (StandInAnswer{id, StandInVerdict::sent}));
  EXPECT_EQ(decision.send_to, client);
  EXPECT_LE(make_stand_in_packet(id).size(), encode(StandInRequest{id, 40000}).size());
  EXPECT_EQ(read_stand_in_packet(make_stand_in_packet(id)), id);

  const auto low = stand_in.decide(t0, client.ip, {id, 1023});
  EXPECT_EQ(low.answer.verdict, StandInVerdict::refused_port);
  EXPECT_FALSE(low.send_to);
  const auto nowhere = stand_in.decide(t0, IpAddress::any(IpFamily::v6), {id, 40000});
  EXPECT_EQ(nowhere.answer.verdict, StandInVerdict::refused_address);
  EXPECT_FALSE(nowhere.send_to);
  unsigned sent = 0;
  for (int i = 0; i < 10; ++i)
    sent += stand_in.decide(t0, client.ip, {id, 40000}).send_to.has_value();
  EXPECT_EQ(sent, 3u);
  EXPECT_EQ(stand_in.counters().by_verdict, (std::array<std::uint64_t, 4>{4, 1, 7, 1}));
}

TEST(StandIn, only_its_own_packets_are_taken_for_such) {
  const TransactionId id{{7}};
  StandInPacket packet = make_stand_in_packet(id);
  packet[27] ^= 1;
  EXPECT_FALSE(read_stand_in_packet(packet));
  std::array<std::uint8_t, 64> buffer{};
  StunWriter bare(buffer, StunClass::indication, StunMethod::binding, id);
  EXPECT_FALSE(read_stand_in_packet(bare.written()));
  StunWriter request(buffer, StunClass::request, StunMethod::binding, id);
  request.add_fingerprint();
  EXPECT_FALSE(read_stand_in_packet(request.written()));
}

}  // namespace
}  // namespace quicmesh
