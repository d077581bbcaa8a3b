// A TURN client against a server that keeps the standard, and against hostile ones (S1.43, S1.73).
#include "turn/turn_client.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "crypto/seeded_rng.hpp"
#include "turn/turn_errc.hpp"
#include "turn/turn_server_for_tests.hpp"

namespace quicmesh {
namespace {

constexpr Instant t0{1000s};

SocketAddress at(std::string_view text) {
  return SocketAddress::parse(text).value();
}

const SocketAddress server_address = at("198.51.100.1:3478");
const SocketAddress peer = at("192.0.2.7:5000");
const NetworkPath to_server{SocketId{2}, {}, server_address};

class TurnClientTest : public ::testing::Test {
 protected:
  TurnClientTest() { client.emplace(TurnConfig{to_server, "alice", "secret"}, rng); }

  /// Exchanges packets until there are none at `now`; drops every one while `loss` says so.
  void settle() {
    for (int i = 0; i < 200; ++i) {
      client->handle_timeout(now);
      const auto sent = client->poll_transmit(now, buffer);
      if (!sent) break;
      EXPECT_EQ(sent->path, to_server);
      ++packets;
      if (const auto answer = server.handle(ByteView(buffer).first(sent->size))) {
        (void)client->handle_datagram(now, to_server, *answer);
      }
    }
    while (auto event = client->poll_event())
      events.push_back(std::move(*event));
  }
  void start() {
    client->start(now);
    settle();
  }
  /// Lets time pass, with every timer at its moment.
  void pass(Duration time) {
    const Instant end = now + time;
    while (client->poll_timeout() <= end) {
      now = std::max(now, client->poll_timeout());
      settle();
    }
    now = end;
    settle();
  }
  template <class Event>
  std::vector<Event> all() const {
    std::vector<Event> found;
    for (const TurnEvent& event : events) {
      if (const auto* one = std::get_if<Event>(&event)) found.push_back(*one);
    }
    return found;
  }
  bool send(const SocketAddress& to, std::string_view text) {
    const ByteView bytes = as_bytes(text);
    std::ranges::copy(bytes, buffer.begin());
    Transmit train{{}, bytes.size(), bytes.size()};
    if (!client->wrap(now, to, train, buffer)) return false;
    EXPECT_EQ(train.path, to_server);
    (void)server.handle(ByteView(buffer).first(train.size));
    return true;
  }
  std::optional<std::string> receive(ByteView datagram) {
    const auto arrival = client->handle_datagram(now, to_server, datagram);
    if (!arrival) return std::nullopt;
    last_peer = arrival->peer;
    const ByteView payload = datagram.subspan(arrival->offset, arrival->size);
    return std::string(payload.begin(), payload.end());
  }
  void bind_channel() {
    ASSERT_TRUE(client->permit(now, peer.ip));
    settle();
    (void)send(peer, "first");
    settle();
    ASSERT_TRUE(client->is_channel_bound(peer));
  }

  SeededRng rng{7};
  for_tests::TurnServer server;
  std::optional<TurnClient> client;
  Instant now = t0;
  Bytes buffer = Bytes(transmit_buffer_size);
  std::vector<TurnEvent> events;
  SocketAddress last_peer;
  int packets = 0;
};

TEST_F(TurnClientTest, allocates_after_one_challenge) {
  start();
  ASSERT_EQ(all<TurnUp>().size(), 1u);
  EXPECT_EQ(all<TurnUp>()[0].relayed, server.relayed);
  EXPECT_EQ(all<TurnUp>()[0].mapped, server.client);
  EXPECT_TRUE(client->is_up());
  EXPECT_EQ(packets, 2);
}

TEST_F(TurnClientTest, takes_sha256_where_it_is_offered) {
  server.sha256 = true;
  start();
  EXPECT_TRUE(client->is_up());
}

TEST_F(TurnClientTest, wrong_credentials_are_a_verdict_and_seldom_tried_again) {
  server.password = "another";
  start();
  ASSERT_EQ(all<TurnDown>().size(), 1u);
  EXPECT_EQ(all<TurnDown>()[0].error, TurnErrc::wrong_credentials);
  EXPECT_GE(all<TurnDown>()[0].retry_in, TurnClient::retry_max);
  EXPECT_EQ(packets, 2) << "one without, one with the wrong password";
  pass(1h);
  EXPECT_LE(packets, 2 * 13);
}

TEST_F(TurnClientTest, quotas_and_capacity_are_told_and_backed_off) {
  for (const auto& [code, error] :
       {std::pair(486u, TurnErrc::quota_reached), std::pair(508u, TurnErrc::no_capacity),
        std::pair(300u, TurnErrc::redirected), std::pair(442u, TurnErrc::refused)}) {
    events.clear();
    packets = 0;
    client.emplace(TurnConfig{to_server, "alice", "secret"}, rng);
    server.refuse = {{StunMethod::allocate, code}};
    start();
    ASSERT_EQ(all<TurnDown>().size(), 1u) << code;
    EXPECT_EQ(all<TurnDown>()[0].error, error);
    pass(1h);
    EXPECT_LT(packets, 100) << "backs off";
    server.refuse.clear();
    pass(10min);
    EXPECT_TRUE(client->is_up()) << code;
    server.restart();
  }
}

TEST_F(TurnClientTest, a_former_allocation_of_this_address_is_given_back) {
  server.allocated = true;
  start();
  EXPECT_TRUE(client->is_up());
  EXPECT_EQ(server.refreshed_to, std::vector<std::uint32_t>{0});
  EXPECT_EQ(server.allocations, 1);
}

TEST_F(TurnClientTest, a_stale_nonce_is_replaced) {
  start();
  server.nonce = "nonce-2";
  bind_channel();
  pass(10min);
  EXPECT_TRUE(client->is_up());
  EXPECT_TRUE(all<TurnDown>().empty());
}

TEST_F(TurnClientTest, a_server_that_only_has_stale_nonces_is_given_up) {
  start();
  server.refuse = {{StunMethod::refresh, 438}, {StunMethod::allocate, 438}};
  pass(1min);
  EXPECT_FALSE(client->is_up());
  ASSERT_FALSE(all<TurnDown>().empty());
  EXPECT_LT(packets, 40);
}

TEST_F(TurnClientTest, a_restarted_server_gives_a_new_allocation_with_permissions_and_channels) {
  start();
  bind_channel();
  server.restart();
  pass(TurnClient::refresh_interval + 1s);
  EXPECT_TRUE(client->is_up());
  EXPECT_EQ(server.allocations, 2);
  ASSERT_EQ(all<TurnDown>().size(), 1u);
  EXPECT_EQ(all<TurnDown>()[0].error, TurnErrc::allocation_lost);
  EXPECT_EQ(all<TurnUp>().size(), 2u);
  EXPECT_TRUE(server.permissions.contains(peer.ip));
  EXPECT_TRUE(send(peer, "again"));
  settle();
  EXPECT_TRUE(client->is_channel_bound(peer));
}

TEST_F(TurnClientTest, a_silent_server_is_noticed_and_asked_again) {
  start();
  server.silent = true;
  pass(1min);
  EXPECT_FALSE(client->is_up());
  ASSERT_FALSE(all<TurnDown>().empty());
  EXPECT_EQ(all<TurnDown>()[0].error, TurnErrc::no_answer);
  server.silent = false;
  server.restart();
  pass(5min);
  EXPECT_TRUE(client->is_up());
}

TEST_F(TurnClientTest, a_suspected_allocation_is_checked_at_once) {
  start();
  server.restart();
  client->check(now);
  settle();
  EXPECT_EQ(server.allocations, 2);
}

TEST_F(TurnClientTest, datagrams_go_in_indications_and_then_by_channel) {
  start();
  EXPECT_FALSE(send(peer, "too early")) << "no permission yet";
  ASSERT_TRUE(client->permit(now, peer.ip));
  settle();
  client->handle_timeout(now);
  EXPECT_TRUE(client->is_channel_bound(peer));
  ASSERT_TRUE(send(peer, "channel"));
  ASSERT_EQ(server.to_peers.size(), 1u);
  EXPECT_EQ(server.to_peers[0].peer, peer);
  EXPECT_EQ(to_bytes(as_bytes("channel")), server.to_peers[0].payload);

  // Another port of the permitted address: an indication until its channel is bound.
  const SocketAddress second = at("192.0.2.7:5001");
  ASSERT_TRUE(send(second, "odd"));
  EXPECT_EQ(client->counters().sent_by_indication, 1u);
  ASSERT_EQ(server.to_peers.size(), 2u);
  EXPECT_EQ(server.to_peers[1].peer, second);
  settle();
  ASSERT_TRUE(send(second, "even"));
  EXPECT_EQ(client->counters().sent_by_indication, 1u);
}

TEST_F(TurnClientTest, what_peers_send_arrives_with_their_address) {
  start();
  ASSERT_TRUE(client->permit(now, peer.ip));
  settle();
  for (const std::string_view text : {"", "a", "abc", "abcd", "abcde"}) {
    EXPECT_EQ(receive(*server.from_peer(peer, as_bytes(text))), text) << "indication";
    EXPECT_EQ(last_peer, peer);
  }
  bind_channel();
  for (const std::string_view text : {"", "a", "abc", "abcd", "abcde"}) {
    EXPECT_EQ(receive(*server.from_peer(peer, as_bytes(text))), text) << "channel";
    EXPECT_EQ(last_peer, peer);
  }
}

TEST_F(TurnClientTest, channel_data_may_be_padded_and_not_cut) {
  start();
  bind_channel();
  Bytes padded = for_tests::TurnServer::channel_data(0x4000, as_bytes("abc"));
  padded.push_back(0);
  EXPECT_EQ(receive(padded), "abc");
  Bytes cut = for_tests::TurnServer::channel_data(0x4000, as_bytes("abc"));
  cut.pop_back();
  EXPECT_FALSE(receive(cut));
  EXPECT_FALSE(receive(Bytes{0x40, 0x00}));
  EXPECT_FALSE(receive({}));
  EXPECT_EQ(client->counters().dropped_malformed, 3u);
  EXPECT_FALSE(receive(for_tests::TurnServer::channel_data(0x4001, as_bytes("abc"))));
  EXPECT_EQ(client->counters().dropped_unknown, 1u);
}

TEST_F(TurnClientTest, whole_trains_are_wrapped_in_place) {
  start();
  bind_channel();
  for (const std::size_t last : {1u, 1199u, 1200u}) {
    for (const std::size_t count : {1u, 2u, 40u}) {
      Transmit train{{}, (count - 1) * 1200 + last, count == 1 ? last : 1200};
      for (std::size_t i = 0; i < train.size; ++i)
        buffer[i] = static_cast<std::uint8_t>(i * 7);
      const Bytes before(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(train.size));
      ASSERT_TRUE(client->wrap(now, peer, train, buffer));
      Bytes after;
      for (std::size_t i = 0; i < train.size; i += train.segment_size) {
        const auto data = decode_channel_data(
            ByteView(buffer).subspan(i, std::min(train.segment_size, train.size - i)));
        ASSERT_TRUE(data);
        after.insert(after.end(), data->payload.begin(), data->payload.end());
      }
      EXPECT_EQ(after, before);
    }
  }
  // A train that fills the buffer has no room for headers.
  Transmit full{{}, buffer.size(), 1200};
  EXPECT_FALSE(client->wrap(now, peer, full, buffer));
}

TEST_F(TurnClientTest, permissions_and_channels_are_renewed_before_they_end) {
  start();
  bind_channel();
  for (int minute = 0; minute < 30; ++minute) {
    server.permissions.clear();
    server.channels.clear();
    pass(5min - 10s);  // a permission's life is 300 s
    EXPECT_TRUE(server.permissions.contains(peer.ip)) << minute;
    ASSERT_TRUE(send(peer, "still here"));
    if (minute % 2 == 1) continue;
    pass(5min);
    EXPECT_FALSE(server.channels.empty());
    ASSERT_TRUE(send(peer, "still here"));
  }
}

TEST_F(TurnClientTest, peers_that_nobody_uses_are_forgotten) {
  start();
  bind_channel();
  pass(TurnClient::peer_keep + 5min);
  EXPECT_EQ(client->permissions(), 0u);
  EXPECT_EQ(client->peers(), 0u);
  EXPECT_TRUE(client->is_up());
}

TEST_F(TurnClientTest, a_forgotten_peers_channel_number_is_not_used_again) {
  start();
  bind_channel();
  pass(TurnClient::peer_keep + 5min);
  const SocketAddress other = at("192.0.2.8:5000");
  ASSERT_TRUE(client->permit(now, other.ip));
  settle();
  (void)send(other, "x");
  settle();
  EXPECT_EQ(server.channels.at(0x4001), other);
}

TEST_F(TurnClientTest, only_so_many_peers) {
  start();
  for (std::uint8_t i = 0; i < 100; ++i) {
    const IpAddress ip = IpAddress::v4({192, 0, 2, i});
    EXPECT_EQ(client->permit(now, ip).has_value(), i < TurnClient::peers_max);
    (void)send({ip, 5000}, "x");
    settle();
    (void)send({ip, 5000}, "x");
    (void)send({ip, 5001}, "x");
  }
  settle();
  EXPECT_LE(client->permissions(), TurnClient::peers_max);
  EXPECT_LE(client->peers(), TurnClient::peers_max);
  EXPECT_TRUE(client->is_up());
}

TEST_F(TurnClientTest, a_forbidden_peer_is_told_and_harms_no_other) {
  server.forbidden = {peer.ip};
  start();
  const SocketAddress good = at("192.0.2.8:5000");
  ASSERT_TRUE(client->permit(now, peer.ip));
  ASSERT_TRUE(client->permit(now, good.ip));
  settle();
  ASSERT_EQ(all<TurnPeerRefused>().size(), 1u);
  EXPECT_EQ(all<TurnPeerRefused>()[0].peer, peer.ip);
  EXPECT_EQ(all<TurnPeerRefused>()[0].error, TurnErrc::forbidden_peer);
  EXPECT_TRUE(client->is_up());
  (void)send(good, "x");
  settle();
  EXPECT_TRUE(client->is_channel_bound(good));
}

// The server has no room for one peer: the allocation serves the others, and it is not asked for
// that peer with every packet.
TEST_F(TurnClientTest, a_peer_for_whom_there_is_no_room_rests_and_harms_no_other) {
  for (const unsigned code : {486u, 508u}) {
    start();
    events.clear();
    const SocketAddress good = at("192.0.2.8:5000");
    ASSERT_TRUE(client->permit(now, good.ip));
    settle();
    server.refuse = {{StunMethod::create_permission, code}, {StunMethod::channel_bind, code}};
    ASSERT_TRUE(client->permit(now, peer.ip));
    settle();
    EXPECT_EQ(all<TurnPeerRefused>().size(), 1u) << code;
    EXPECT_TRUE(all<TurnDown>().empty()) << code;
    const int before = packets;
    for (int i = 0; i < 20; ++i) {
      EXPECT_FALSE(send(peer, "x"));
      settle();
    }
    EXPECT_EQ(packets, before) << code;
    server.refuse.clear();
    now += TurnClient::refused_rest;
    ASSERT_TRUE(client->permit(now, peer.ip));
    settle();
    EXPECT_TRUE(send(peer, "x")) << code;
    client->stop(now);
    client.emplace(TurnConfig{to_server, "alice", "secret"}, rng);
    server = {};
  }
}

TEST_F(TurnClientTest, a_released_place_goes_to_the_next_peer) {
  start();
  for (std::uint8_t i = 0; i < TurnClient::peers_max; ++i)
    ASSERT_TRUE(client->permit(now, IpAddress::v4({192, 0, 2, i})));
  settle();
  EXPECT_FALSE(client->permit(now, IpAddress::v4({192, 0, 3, 1})));
  EXPECT_EQ(client->counters().permissions_refused, 1u);
  client->release(IpAddress::v4({192, 0, 2, 7}));
  EXPECT_TRUE(client->permit(now, IpAddress::v4({192, 0, 3, 1})));
  EXPECT_FALSE(client->permit(now, IpAddress::v4({192, 0, 3, 2})));
}

// More requests under way than there is room for: each refusal used to leave one behind.
TEST_F(TurnClientTest, a_server_that_refuses_and_is_silent_by_turns_fills_nothing) {
  server.forbidden = {peer.ip};
  server.silent_of_channels = true;
  start();
  for (int i = 0; i < 200; ++i) {
    (void)client->permit(now, peer.ip);
    (void)send(peer, "x");
    settle();
  }
  server.forbidden.clear();
  EXPECT_TRUE(client->is_up());
  EXPECT_TRUE(client->permit(now, peer.ip));
}

TEST_F(TurnClientTest, stopping_gives_the_allocation_back) {
  start();
  client->stop(now);
  settle();
  EXPECT_EQ(server.refreshed_to, std::vector<std::uint32_t>{0});
  EXPECT_FALSE(server.allocated);
  EXPECT_FALSE(client->relayed());
  pass(1h);
  EXPECT_EQ(server.allocations, 1);
}

// Hostile servers, and those between.

TEST_F(TurnClientTest, answers_of_others_count_for_nothing) {
  client->start(now);
  const auto sent = client->poll_transmit(now, buffer);
  ASSERT_TRUE(sent);
  const auto challenge = server.handle(ByteView(buffer).first(sent->size));
  NetworkPath elsewhere = to_server;
  elsewhere.remote = at("198.51.100.2:3478");
  EXPECT_FALSE(client->is_from_server(elsewhere));
  (void)client->handle_datagram(now, elsewhere, *challenge);
  EXPECT_FALSE(client->poll_transmit(now, buffer)) << "no second request";
}

TEST_F(TurnClientTest, a_success_without_integrity_is_no_success) {
  client->start(now);
  settle();
  client.emplace(TurnConfig{to_server, "alice", "secret"}, rng);
  server.restart();
  client->start(now);
  auto sent = client->poll_transmit(now, buffer);
  (void)client->handle_datagram(now, to_server, *server.handle(ByteView(buffer).first(sent->size)));
  sent = client->poll_transmit(now, buffer);
  ASSERT_TRUE(sent);
  const auto request = StunMessage::parse(ByteView(buffer).first(sent->size));
  Bytes forged(256);
  StunWriter writer(forged, StunClass::success, StunMethod::allocate, request->transaction_id());
  writer.add_xor_address(StunAttribute::xor_relayed_address, at("6.6.6.6:666"));
  writer.add_u32(StunAttribute::lifetime, 600);
  (void)client->handle_datagram(now, to_server, writer.written());
  EXPECT_FALSE(client->is_up());
}

TEST_F(TurnClientTest, useless_allocations_are_refused) {
  server.lifetime_s = 1;
  start();
  ASSERT_FALSE(all<TurnDown>().empty());
  EXPECT_EQ(all<TurnDown>()[0].error, TurnErrc::malformed_answer);
  pass(10min);
  EXPECT_LT(packets, 100);
}

TEST_F(TurnClientTest, data_of_peers_that_nobody_permitted_are_dropped) {
  start();
  server.permissions.insert(peer.ip);  // the server's own idea
  EXPECT_FALSE(receive(*server.from_peer(peer, as_bytes("x"))));
  EXPECT_EQ(client->counters().dropped_unknown, 1u);
}

TEST_F(TurnClientTest, a_nonce_that_says_more_than_the_message_is_a_bid_down) {
  server.nonce = "obMatJos2gAAA/and-more";  // the highest of the 24 bits
  start();
  ASSERT_FALSE(all<TurnDown>().empty());
  EXPECT_EQ(all<TurnDown>()[0].error, TurnErrc::bid_down);
  EXPECT_EQ(packets, 1) << "the password was not used";
}

TEST_F(TurnClientTest, challenges_of_unreasonable_size_are_refused) {
  server.nonce = std::string(800, 'n');
  start();
  ASSERT_FALSE(all<TurnDown>().empty());
  EXPECT_EQ(all<TurnDown>()[0].error, TurnErrc::malformed_answer);
}

TEST_F(TurnClientTest, losses_delay_and_nothing_else) {
  client->start(now);
  // The first three transmissions are lost.
  for (int i = 0; i < 3; ++i) {
    now = std::max(now, client->poll_timeout());
    client->handle_timeout(now);
    ASSERT_TRUE(client->poll_transmit(now, buffer));
  }
  pass(10s);
  EXPECT_TRUE(client->is_up());
}

// RFC 5769 s2.4: a request with long-term authentication, byte for byte.
TEST(TurnCredentials, sign_as_the_sample_request_of_rfc_5769) {
  TransactionId id{{0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e}};
  TurnCredentials credentials("\u30DE\u30C8\u30EA\u30C3\u30AF\u30B9", "TheMatrIX");
  Bytes challenge(256);
  StunWriter error(challenge, StunClass::error, StunMethod::binding, id);
  error.add_error_code(401, "");
  error.add_text(StunAttribute::realm, "example.org");
  error.add_text(StunAttribute::nonce, "f//499k954d6OL34oL9FSTvy64sA");
  ASSERT_TRUE(credentials.take_challenge(StunMessage::parse(error.written()).value()));
  Bytes buffer(256);
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, id);
  credentials.sign(writer);
  const Bytes integrity{0xf6, 0x70, 0x24, 0x65, 0x6d, 0xd6, 0x4a, 0x3e, 0x02, 0xb8,
                        0xe0, 0x71, 0x2e, 0x85, 0xc9, 0xa2, 0x8c, 0xa8, 0x96, 0x66};
  const ByteView written = writer.written();
  ASSERT_EQ(written.size(), 20u + 0x60u);
  EXPECT_TRUE(std::ranges::equal(written.last(20), integrity));
}

TEST(TurnCredentials, are_silent_before_a_challenge) {
  const TurnCredentials credentials("a", "b");
  Bytes buffer(64);
  StunWriter writer(buffer, StunClass::request, StunMethod::allocate, {});
  credentials.sign(writer);
  EXPECT_EQ(writer.written().size(), stun_header_size);
}

}  // namespace
}  // namespace quicmesh
