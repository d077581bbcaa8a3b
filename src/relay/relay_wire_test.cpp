// The bytes of the relay: headers, challenges, control messages; golden ones and garbage.
#include <gtest/gtest.h>

#include "base/base_errc.hpp"
#include "base/rng.hpp"
#include "relay/challenge_frame.hpp"
#include "relay/relay_errc.hpp"
#include "relay/relay_header.hpp"
#include "relay/relay_message.hpp"

namespace quicmesh {
namespace {

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

NetworkPath path_of(std::uint8_t host, std::uint16_t port = 1000) {
  return {SocketId{1}, IpAddress::v4({192, 0, 2, 1}), {IpAddress::v4({198, 51, 100, host}), port}};
}

TEST(RelayHeader, has_its_golden_bytes) {
  const RelayHeader header{RelayRole::responder, RelaySessionId{0x0102030405060708}, 0x1112};
  const auto bytes = encode_relay_header(header);
  EXPECT_EQ(to_bytes(bytes), (Bytes{0x31, 1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12}));
  Bytes datagram = to_bytes(bytes);
  datagram.push_back(0x40);
  EXPECT_EQ(decode_relay_header(datagram), header);
}

struct HeaderCase {
  const char* what;
  Bytes datagram;
  bool good;
};

TEST(RelayHeader, only_data_frames_with_a_payload_have_one) {
  const Bytes session = {1, 2, 3, 4, 5, 6, 7, 8, 0, 0};
  const auto with = [&](std::uint8_t type, std::size_t payload) {
    Bytes bytes{type};
    bytes.insert(bytes.end(), session.begin(), session.end());
    bytes.resize(bytes.size() + payload);
    return bytes;
  };
  const HeaderCase cases[] = {
      {"initiator", with(0x30, 1), true},
      {"responder", with(0x31, 1200), true},
      {"no payload", with(0x30, 0), false},
      {"challenge", with(0x32, 23), false},
      {"answer", with(0x33, 23), false},
      {"probe frame", with(0x20, 24), false},
      {"one below", with(0x2f, 24), false},
      {"QUIC short header", with(0x70, 24), false},
      {"empty", {}, false},
      {"type alone", {0x30}, false},
      {"QUIC long header", with(0xf0, 9), false},
  };
  for (const HeaderCase& test : cases)
    EXPECT_EQ(decode_relay_header(test.datagram).has_value(), test.good) << test.what;
}

TEST(RelayHeader, first_bytes_are_neither_quic_nor_stun_nor_probes) {
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!is_relay_frame_type(static_cast<std::uint8_t>(byte))) continue;
    EXPECT_EQ(byte & 0x40u, 0u);
    EXPECT_GE(byte, 16u);
    EXPECT_TRUE(byte < 0x20 || byte > 0x22);
  }
}

TEST(ChallengeFrame, has_its_golden_head_and_any_changed_bit_is_refused) {
  RelayKey key{};
  key[0] = 1;
  const ChallengeFrame frame{RelayFrameType::challenge, RelayRole::responder,
                             RelaySessionId{0x0102030405060708}, 0x1112131415161718};
  const ChallengeFrameBytes good = encode_challenge_frame(frame, key);
  const Bytes head = {0x32, 1,    1,    2,    3,    4,    5,    6,    7,
                      8,    0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18};
  EXPECT_EQ(to_bytes(ByteView(good).first(head.size())), head);
  ASSERT_TRUE(peek_challenge_frame(good));
  EXPECT_EQ(peek_challenge_frame(good)->nonce, frame.nonce);
  EXPECT_TRUE(verify_challenge_frame(good, key));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    ChallengeFrameBytes bad = good;
    bad[bit / 8] ^= static_cast<std::uint8_t>(1 << (bit % 8));
    EXPECT_FALSE(peek_challenge_frame(bad) && verify_challenge_frame(bad, key)) << bit;
  }
  EXPECT_FALSE(verify_challenge_frame(good, RelayKey{}));
  EXPECT_FALSE(peek_challenge_frame(ByteView(good).first(good.size() - 1)));
  EXPECT_FALSE(verify_challenge_frame(ByteView(good).first(5), key));
}

// TR4: an answer is never larger than the question.
TEST(ChallengeFrame, is_no_larger_than_the_smallest_relayed_packet) {
  EXPECT_LE(challenge_frame_size, relay_header_size + 1 + 8 + 4 + 16);
}

TEST(ChallengeNonces, are_good_for_one_claim_and_a_few_seconds) {
  const ChallengeNonces nonces(Blake3Key{3});
  const ChallengeNonces other(Blake3Key{4});
  const Instant now{101s};
  const ChallengeNonces::Claim claim{RelaySessionId{7}, RelayRole::initiator, path_of(1), 5};
  const std::uint64_t nonce = nonces.make(now, claim);
  EXPECT_TRUE(nonces.verify(now, claim, nonce));
  EXPECT_TRUE(nonces.verify(now + 4s, claim, nonce));
  EXPECT_FALSE(nonces.verify(now + 10s, claim, nonce));
  EXPECT_FALSE(other.verify(now, claim, nonce));
  ChallengeNonces::Claim changed = claim;
  changed.session = RelaySessionId{8};
  EXPECT_FALSE(nonces.verify(now, changed, nonce)) << "another session";
  changed = claim;
  changed.role = RelayRole::responder;
  EXPECT_FALSE(nonces.verify(now, changed, nonce)) << "the other end";
  changed = claim;
  changed.source = path_of(2);
  EXPECT_FALSE(nonces.verify(now, changed, nonce)) << "another source";
  changed.source = path_of(1, 1001);
  EXPECT_FALSE(nonces.verify(now, changed, nonce)) << "another port";
  changed.source = path_of(1);
  changed.source.socket = SocketId{2};
  EXPECT_FALSE(nonces.verify(now, changed, nonce)) << "another socket";
  changed = claim;
  changed.bindings = 6;
  EXPECT_FALSE(nonces.verify(now, changed, nonce)) << "bound since";
}

std::vector<RelayMessage> one_of_each() {
  const SocketAddress v4{IpAddress::v4({198, 51, 100, 7}), 4433};
  const SocketAddress v6{*IpAddress::parse("2001:db8::7"), 443};
  const RelayHint hint{node(9), {v4, v6}};
  return {
      RelayRegister{},
      RelayConnect{node(1)},
      RelayLoadQuery{0x01020304},
      RelayRegistered{v6, 12'500'000, 64, 37},
      RelaySession{RelaySessionId{0x0102030405060708}, node(2), RelayRole::responder},
      RelayRefused{RelayRequest::session, node(3), RelayRefusal::redirect, 99, {hint}},
      RelayLoad{5, 100},
      RelayAttest{RelaySessionId{9}, SocketAddress::parse("192.0.2.1:7").value()},
      RelayAttested{RelaySessionId{9}, SocketAddress::parse("[2001:db8::1]:7").value(), true},
      RelayStandIn{{TransactionId{{1, 2, 3}}, 40'000}},
      RelayStoodIn{{TransactionId{{1, 2, 3}}, StandInVerdict::refused_rate}},
      RelayDraining{{hint, hint, hint, hint}},
      RelaySignal{node(4), {1, 2, 3}},
      RelayCloseSession{RelaySessionId{6}, RelayCloseReason::idle},
  };
}

TEST(RelayMessage, every_one_survives_the_wire) {
  for (const RelayMessage& message : one_of_each()) {
    const Bytes bytes = encode_relay_message(message);
    const auto decoded = decode_relay_message(bytes);
    ASSERT_TRUE(decoded) << message.index();
    EXPECT_EQ(decoded->message, message) << message.index();
    EXPECT_EQ(decoded->size, bytes.size());
  }
}

TEST(RelayMessage, every_cut_asks_for_more_and_every_short_or_long_body_is_refused) {
  for (const RelayMessage& message : one_of_each()) {
    const Bytes bytes = encode_relay_message(message);
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_EQ(decode_relay_message(ByteView(bytes).first(size)).error(), BaseErrc::truncated);
    }
    if (std::holds_alternative<RelaySignal>(message)) continue;  // any length from 33 is one
    for (std::size_t body = 1; body < bytes.size() - 2; ++body) {
      Bytes cut(bytes.begin(), bytes.begin() + 2 + static_cast<std::ptrdiff_t>(body));
      cut[0] = static_cast<std::uint8_t>(body >> 8);
      cut[1] = static_cast<std::uint8_t>(body);
      const auto decoded = decode_relay_message(cut);
      ASSERT_FALSE(decoded) << message.index() << " cut to " << body;
      EXPECT_NE(decoded.error(), BaseErrc::truncated);
    }
    Bytes longer = bytes;
    longer.push_back(0);
    longer[0] = static_cast<std::uint8_t>((longer.size() - 2) >> 8);
    longer[1] = static_cast<std::uint8_t>(longer.size() - 2);
    EXPECT_EQ(decode_relay_message(longer).error(), BaseErrc::trailing_bytes) << message.index();
  }
}

TEST(RelayMessage, has_golden_bytes) {
  EXPECT_EQ(encode_relay_message(RelayRegister{}), (Bytes{0, 1, 1}));
  EXPECT_EQ(encode_relay_message(RelayLoadQuery{0x01020304}), (Bytes{0, 5, 3, 1, 2, 3, 4}));
  EXPECT_EQ(encode_relay_message(RelayLoad{0x01020304, 50}), (Bytes{0, 6, 7, 1, 2, 3, 4, 50}));
  const SocketAddress external = SocketAddress::parse("192.0.2.1:258").value();
  EXPECT_EQ(encode_relay_message(RelayAttested{RelaySessionId{5}, external, true}),
            (Bytes{0, 17, 12, 0, 0, 0, 0, 0, 0, 0, 5, 4, 192, 0, 2, 1, 1, 2, 1}));
  EXPECT_EQ(encode_relay_message(
                RelayCloseSession{RelaySessionId{0x0102030405060708}, RelayCloseReason::evicted}),
            (Bytes{0, 10, 10, 1, 2, 3, 4, 5, 6, 7, 8, 4}));
  EXPECT_EQ(
      encode_relay_message(RelayRegistered{{IpAddress::v4({1, 2, 3, 4}), 0x0506}, 0x0708, 9, 10}),
      (Bytes{0, 19, 4, 4, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 7, 8, 0, 9, 10}));
}

TEST(RelayMessage, malformed_ones_are_refused) {
  const Bytes cases[] = {
      {0, 0},                                                             // no type
      {5, 1, 1},                                                          // 1281 bytes
      {0, 6, 7, 0, 0, 0, 0, 101},                                         // 101 % load
      {0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0},                             // close reason 0
      {0, 10, 10, 0, 0, 0, 0, 0, 0, 0, 0, 5},                             // close reason 5
      {0, 2, 8, 5},                                                       // five relays
      {0, 19, 4, 5, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 7, 8, 0, 9, 10},  // address family 5
  };
  for (const Bytes& bytes : cases) {
    Bytes padded = bytes;
    if (bytes[0] == 5) padded.resize(1400);
    EXPECT_EQ(decode_relay_message(padded).error(), BaseErrc::out_of_range)
        << int(bytes[2 % bytes.size()]);
  }
  Bytes empty_signal = encode_relay_message(RelaySignal{node(1), {1}});
  empty_signal.pop_back();
  empty_signal[1] = 33;
  EXPECT_EQ(decode_relay_message(empty_signal).error(), BaseErrc::out_of_range);
}

// TR2: one spelling for one address.
TEST(RelayMessage, an_ipv4_mapped_address_is_refused) {
  Bytes bytes =
      encode_relay_message(RelayRegistered{{*IpAddress::parse("2001:db8::1"), 1}, 0, 0, 0});
  const Bytes mapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1};
  std::copy(mapped.begin(), mapped.end(), bytes.begin() + 4);
  EXPECT_EQ(decode_relay_message(bytes).error(), BaseErrc::out_of_range);
}

TEST(RelayMessage, unknown_types_are_skipped) {
  const auto decoded = decode_relay_message(Bytes{0, 3, 99, 7, 7, 1});
  ASSERT_TRUE(decoded);
  EXPECT_FALSE(decoded->message);
  EXPECT_EQ(decoded->size, 5u);
}

TEST(RelayMessage, the_largest_ones_fit) {
  const std::vector<SocketAddress> addresses(9, {*IpAddress::parse("2001:db8::1"), 1});
  const std::vector<RelayHint> hints(9, RelayHint{node(1), addresses});
  for (const RelayMessage& message :
       {RelayMessage(RelayRefused{RelayRequest::reservation, {}, RelayRefusal::redirect, 0, hints}),
        RelayMessage(RelaySignal{node(1), Bytes(2000)})}) {
    const Bytes bytes = encode_relay_message(message);
    EXPECT_LE(bytes.size(), 2 + relay_message_max);
    EXPECT_TRUE(decode_relay_message(bytes));
  }
}

TEST(RelayMessage, garbage_never_does_more_than_fail) {
  Rng rng(1);
  Bytes bytes(64);
  for (int round = 0; round < 50'000; ++round) {
    rng.fill(bytes);
    bytes[0] = 0;
    bytes[1] = static_cast<std::uint8_t>(rng.below(62));
    bytes[2] = static_cast<std::uint8_t>(1 + rng.below(12));
    const auto decoded = decode_relay_message(bytes);
    if (!decoded || !decoded->message) continue;
    EXPECT_EQ(encode_relay_message(*decoded->message),
              Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(decoded->size)));
  }
}

TEST(RelayErrc, every_code_has_a_message_and_a_hint) {
  for (int code = 1; code <= static_cast<int>(RelayErrc::out_of_place); ++code) {
    const std::error_code error = static_cast<RelayErrc>(code);
    EXPECT_STREQ(error.category().name(), "quicmesh.relay");
    EXPECT_FALSE(error.message().empty()) << code;
    EXPECT_FALSE(hint(error).empty()) << code;
  }
}

}  // namespace
}  // namespace quicmesh
