// Tunnels over real TCP on loopback, both ways.
#include "io/tunnel_set.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.hpp"
#include "crypto/blake3.hpp"
#include "io/tunnel_errc.hpp"
#include "io/tunnel_for_tests.hpp"

namespace quicmesh::io {
namespace {

SocketAddress loopback(IpFamily family = IpFamily::v4) {
  return {IpAddress::loopback(family), 0};
}

Bytes patterned(std::size_t size, std::uint32_t seed) {
  Bytes bytes(size);
  std::uint32_t state = seed;
  for (auto& byte : bytes) {
    state = state * 1'664'525u + 1'013'904'223u;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

/// A client's tunnel to a relay, open.
struct Pair {
  TunnelEnd client;
  TunnelEnd relay;
  SocketAddress address;
  NetworkPath there;  // the client's path to the relay
  NetworkPath back;   // the relay's to the client, once a datagram has come

  explicit Pair(IpFamily family = IpFamily::v4) {
    address = relay.set->listen(loopback(family)).value();
    client.set->open(client.now, TunnelRequestId{7}, address);
    if (!turn([&] { return client.find<TunnelOpened>() != nullptr; })) return;
    there = client.find<TunnelOpened>()->path;
    client.send(there, Bytes{1});
    if (!turn([&] { return !relay.received.empty(); })) return;
    back = relay.received[0].path;
    relay.received.clear();
    relay.now += TunnelSet::proof_interval;
    relay.turn();
  }
  bool turn(const std::function<bool()>& done) { return turn_until({&client, &relay}, done); }
};

TEST(TunnelSet, datagrams_go_both_ways_and_keep_their_borders) {
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6}) {
    Pair pair(family);
    ASSERT_EQ(pair.client.find<TunnelOpened>()->request, TunnelRequestId{7});
    EXPECT_EQ(pair.there.remote, pair.address);
    EXPECT_EQ(pair.there.local, IpAddress::loopback(family));
    EXPECT_TRUE(is_tunnelled(pair.there));
    EXPECT_TRUE(is_tunnelled(pair.back));
    EXPECT_EQ(pair.back.remote.ip, IpAddress::loopback(family));

    const Bytes train = patterned(3 * 1200 + 77, 1);
    pair.client.send(pair.there, train, 1200);
    pair.relay.send(pair.back, train, 1300);
    ASSERT_TRUE(pair.turn(
        [&] { return pair.relay.received.size() == 4 && pair.client.received.size() == 3; }));
    EXPECT_EQ(pair.relay.received[3].data.size(), 77u);
    EXPECT_EQ(pair.client.received[1].data, to_bytes(ByteView(train).subspan(1300, 1300)));
    EXPECT_EQ(pair.client.received[0].path, pair.there);
    EXPECT_EQ(pair.relay.received[0].path, pair.back);
    // What was sent as one train comes as one: the relay forwards it with one call.
    EXPECT_EQ(pair.relay.trains, 2u);
  }
}

TEST(TunnelSet, hundred_megabytes_arrive_as_they_were) {
  constexpr std::size_t total = 100'000'000;
  constexpr std::size_t segment = 1400;
  Pair pair;
  Blake3 sent;
  Blake3 arrived;
  std::size_t arrived_bytes = 0;
  pair.relay.on_data = [&](ByteView data) {
    arrived.update(data);
    arrived_bytes += data.size();
  };
  const Bytes pattern = patterned(segment * 40, 3);
  std::size_t given = 0;
  const bool done = pair.turn([&] {
    // As congestion control would: no more than the queue takes.
    while (given < total &&
           pair.client.set->budget().queued() < TunnelBudget::queue_max - 2 * pattern.size()) {
      const ByteView train = ByteView(pattern).first(std::min(pattern.size(), total - given));
      sent.update(train);
      pair.client.send(pair.there, train, segment);
      given += train.size();
    }
    return arrived_bytes == total;
  });
  ASSERT_TRUE(done);
  EXPECT_EQ(arrived.digest(), sent.digest());
  EXPECT_EQ(pair.client.set->counters().datagrams.dropped_full, 0u);
  EXPECT_EQ(pair.relay.set->counters().datagrams.bytes_received, total + 1);
}

TEST(TunnelSet, largest_datagram_passes_and_shortest_too) {
  Pair pair;
  const Bytes largest = patterned(tunnel_datagram_max, 5);
  pair.client.send(pair.there, largest);
  pair.client.send(pair.there, Bytes{9});
  ASSERT_TRUE(pair.turn([&] { return pair.relay.received.size() == 2; }));
  EXPECT_EQ(pair.relay.received[0].data, largest);
  EXPECT_EQ(pair.relay.received[1].data, Bytes{9});
}

TEST(TunnelSet, end_of_one_side_is_told_to_the_other) {
  Pair pair;
  pair.client.send(pair.there, Bytes{1, 2, 3});
  pair.client.set->close(pair.there.socket);
  EXPECT_EQ(pair.client.set->count(), 0u);
  ASSERT_TRUE(pair.turn([&] { return pair.relay.set->count() == 0; }));
  ASSERT_EQ(pair.relay.received.size(), 1u) << "what was sent before the end has to arrive";
  EXPECT_EQ(pair.client.find<TunnelClosed>(), nullptr);  // it was asked for
  EXPECT_EQ(pair.relay.set->admission().tunnels(), 0u);

  Pair other;
  other.relay.set->close(other.back.socket);
  ASSERT_TRUE(other.turn([&] { return other.client.find<TunnelClosed>() != nullptr; }));
  EXPECT_EQ(other.client.find<TunnelClosed>()->path, other.there);
  EXPECT_EQ(other.client.find<TunnelClosed>()->error, TunnelErrc::ended);
}

TEST(TunnelSet, datagrams_for_a_tunnel_that_is_gone_reach_nobody) {
  Pair pair;
  pair.client.set->close(pair.there.socket);
  ASSERT_TRUE(pair.turn([&] { return pair.relay.set->count() == 0; }));
  pair.relay.send(pair.back, Bytes{1});
  pair.client.send(pair.there, Bytes{1});
  EXPECT_EQ(pair.relay.set->counters().strays, 1u);
  EXPECT_EQ(pair.client.set->counters().strays, 1u);
  // The same number, another connection.
  Pair next;
  NetworkPath other = next.back;
  other.remote.port = static_cast<std::uint16_t>(other.remote.port ^ 1);
  next.relay.send(other, Bytes{1});
  EXPECT_EQ(next.relay.set->counters().strays, 1u);
}

TEST(TunnelSet, ids_are_not_given_again_before_all_others_were) {
  TunnelEnd relay;
  const SocketAddress address = relay.set->listen(loopback()).value();
  TunnelEnd client;
  SocketId last{};
  for (std::uint16_t request = 1; request <= 3; ++request) {
    client.events.clear();
    client.set->open(client.now, TunnelRequestId{request}, address);
    ASSERT_TRUE(
        turn_until({&client, &relay}, [&] { return client.find<TunnelOpened>() != nullptr; }));
    const SocketId id = client.find<TunnelOpened>()->path.socket;
    EXPECT_GT(id, last);
    last = id;
    client.set->close(id);
  }
}

TEST(TunnelSet, port_without_a_listener_refuses) {
  TunnelEnd client;
  SocketAddress closed;
  {
    TunnelEnd relay;
    closed = relay.set->listen(loopback()).value();
  }
  client.set->open(client.now, TunnelRequestId{1}, closed);
  ASSERT_TRUE(turn_until({&client}, [&] { return client.find<TunnelFailed>() != nullptr; }));
  EXPECT_EQ(client.find<TunnelFailed>()->request, TunnelRequestId{1});
  EXPECT_EQ(client.find<TunnelFailed>()->error, TunnelErrc::refused);
  EXPECT_EQ(client.set->count(), 0u);
}

TEST(TunnelSet, relay_that_says_nothing_is_given_up_after_ten_seconds) {
  auto listener = TunnelListener::open(loopback()).value();  // TCP is taken, TLS is not spoken
  TunnelEnd client;
  client.set->open(client.now, TunnelRequestId{1}, listener.local());
  turn_some({&client});
  client.now += 9s;
  client.turn();
  EXPECT_EQ(client.events.size(), 0u);
  client.now += 6s;  // time-outs are looked for every five seconds
  client.turn();
  ASSERT_NE(client.find<TunnelFailed>(), nullptr);
  EXPECT_EQ(client.find<TunnelFailed>()->error, TunnelErrc::no_answer);
}

TEST(TunnelSet, request_given_up_has_no_answer) {
  auto listener = TunnelListener::open(loopback()).value();
  TunnelEnd client;
  client.set->open(client.now, TunnelRequestId{1}, listener.local());
  client.set->give_up(TunnelRequestId{1});
  turn_some({&client});
  EXPECT_EQ(client.set->count(), 0u);
  EXPECT_TRUE(client.events.empty());
}

TEST(TunnelSet, other_services_on_the_port_are_told_from_silence) {
  // A server of another protocol over TLS, as the web server on 443 would be.
  for (const bool speaks_tls : {true, false}) {
    auto listener = TunnelListener::open(loopback()).value();
    TunnelEnd client;
    client.set->open(client.now, TunnelRequestId{1}, listener.local());
    const Keypair identity = Keypair::generate();
    const auto context = TlsContext::create(identity, {.priorities = "NORMAL",
                                                       .certificate_chain = {},
                                                       .private_key = {},
                                                       .present_certificate = true})
                             .value();
    gnutls_session_t web = context->new_stream_session(TlsRole::acceptor, "http/1.1");
    std::optional<TunnelListener::Accepted> accepted;
    ASSERT_TRUE(turn_until({&client}, [&] {
      if (!accepted) {
        accepted = listener.accept();
        if (accepted) gnutls_transport_set_int(web, accepted->descriptor.get());
      } else if (speaks_tls) {
        (void)gnutls_alert_send_appropriate(web, gnutls_handshake(web));
      } else {
        (void)!::send(accepted->descriptor.get(), "SSH-2.0-OpenSSH_9.2\r\n", 21, MSG_NOSIGNAL);
      }
      return client.find<TunnelFailed>() != nullptr;
    }));
    EXPECT_EQ(client.find<TunnelFailed>()->error,
              speaks_tls ? TunnelErrc::not_a_relay : TunnelErrc::tls_failed);
    gnutls_deinit(web);
  }
}

TEST(TunnelSet, a_node_has_only_so_many_tunnels_of_its_own) {
  TunnelEnd relay;
  const SocketAddress address = relay.set->listen(loopback()).value();
  TunnelEnd client;
  for (std::uint16_t request = 0; request <= TunnelSet::own_max; ++request)
    client.set->open(client.now, TunnelRequestId{request}, address);
  const auto refused = client.set->poll_event();
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(std::get<TunnelFailed>(*refused).request, TunnelRequestId{TunnelSet::own_max});
  EXPECT_EQ(std::get<TunnelFailed>(*refused).error, TunnelErrc::too_many);
}

TEST(TunnelSet, port_in_use_is_an_error) {
  TunnelEnd relay;
  const SocketAddress address = relay.set->listen(loopback()).value();
  TunnelEnd other;
  EXPECT_FALSE(other.set->listen(address).has_value());
}

TEST(TunnelErrc, system_errors_have_their_codes_and_every_code_a_hint) {
  EXPECT_EQ(tunnel_error_of_errno(ECONNREFUSED), TunnelErrc::refused);
  EXPECT_EQ(tunnel_error_of_errno(ENETUNREACH), TunnelErrc::unreachable);
  EXPECT_EQ(tunnel_error_of_errno(EHOSTUNREACH), TunnelErrc::unreachable);
  EXPECT_EQ(tunnel_error_of_errno(ETIMEDOUT), TunnelErrc::no_answer);
  EXPECT_EQ(tunnel_error_of_errno(ECONNRESET), TunnelErrc::connection_lost);
  for (int code = 1; code <= static_cast<int>(TunnelErrc::unproved); ++code) {
    const std::error_code error = make_error_code(static_cast<TunnelErrc>(code));
    const auto& category = dynamic_cast<const HintedCategory&>(error.category());
    EXPECT_FALSE(error.message().empty()) << code;
    EXPECT_FALSE(category.hint(code).empty()) << code;
  }
}

}  // namespace
}  // namespace quicmesh::io
