// What strangers can do with tunnels that are open, over real TCP on loopback: the budget of a
// turn, the proof that a client is behind a tunnel, and who goes when all places are taken.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "io/tunnel_errc.hpp"
#include "io/tunnel_for_tests.hpp"

namespace quicmesh::io {
namespace {

struct Relay : TunnelEnd {
  using TunnelEnd::TunnelEnd;
  SocketAddress address = set->listen({IpAddress::loopback(IpFamily::v4), 0}).value();

  /// One frame of each has come, so that the path is known.
  NetworkPath path_of(TlsClient& client) {
    received.clear();
    EXPECT_TRUE(client.write(Bytes{0, 1, 0x30}));
    EXPECT_TRUE(turn_until({this}, [&] { return !received.empty(); }));
    return received.empty() ? NetworkPath{} : received[0].path;
  }
  /// The client has its handshake done a little before the relay.
  bool opens(TlsClient& client) {
    return client.shake_hands(*this) &&
           turn_until({this}, [&] { return set->admission().half_open() == 0; });
  }
  void sweep() {
    now += TunnelSet::proof_interval;
    turn();
  }
};

constexpr std::size_t frame_size = 16'000;

Bytes one_frame() {
  Bytes frame;
  append_tunnel_frame(frame, Bytes(frame_size, 0x30));
  return frame;
}

TEST(TunnelGuard, one_turn_takes_only_so_much_and_from_all_alike) {
  Relay relay;
  std::vector<std::unique_ptr<TlsClient>> clients;
  for (int i = 0; i < 8; ++i) {
    clients.push_back(std::make_unique<TlsClient>(Keypair::generate(), relay.address));
    ASSERT_TRUE(relay.opens(*clients.back()));
  }
  relay.sweep();
  relay.received.clear();
  relay.bytes = 0;
  constexpr std::size_t frames = 6;
  for (const auto& client : clients) {
    for (std::size_t i = 0; i < frames; ++i)
      ASSERT_TRUE(client->write(one_frame()));
    ASSERT_TRUE(client->all_arrived());
  }
  relay.turn();
  EXPECT_GE(relay.bytes, TunnelSet::cost_per_turn);
  EXPECT_LT(relay.bytes, TunnelSet::cost_per_turn + frame_size);
  EXPECT_EQ(relay.set->counters().turns_cut, 1u);
  EXPECT_TRUE(relay.set->work_waits());
  EXPECT_EQ(relay.set->deadline(), Instant{}) << "nothing else would bring the rest out";
  std::map<SocketId, std::size_t> trains;
  for (const TunnelEnd::Datagram& datagram : relay.received)
    ++trains[datagram.path.socket];
  EXPECT_EQ(trains.size(), clients.size());
  for (const auto& [id, count] : trains) {
    EXPECT_GE(count, 2u);
    EXPECT_LE(count, 3u);
  }
  ASSERT_TRUE(
      turn_until({&relay}, [&] { return relay.received.size() == frames * clients.size(); }));
  relay.turn();
  EXPECT_FALSE(relay.set->work_waits());
}

TEST(TunnelGuard, shortest_datagrams_cost_more_than_their_bytes) {
  Relay relay;
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(relay.opens(client));
  relay.sweep();
  Bytes frames;
  for (int i = 0; i < 5'000; ++i)
    append_tunnel_frame(frames, Bytes{0x30});
  ASSERT_TRUE(client.write(frames));
  ASSERT_TRUE(client.all_arrived());
  ASSERT_TRUE(client.write(frames));
  ASSERT_TRUE(client.all_arrived());
  relay.turn();
  EXPECT_EQ(relay.received.size(), 5'000u);
  EXPECT_EQ(relay.set->counters().turns_cut, 1u);
}

TEST(TunnelGuard, without_a_client_it_sends_little_until_one_proves_itself) {
  Relay relay;
  relay.live = std::vector<SocketId>{};
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(relay.opens(client));
  constexpr std::size_t frames = 6;
  for (std::size_t i = 0; i < frames; ++i)
    ASSERT_TRUE(client.write(one_frame()));
  ASSERT_TRUE(client.all_arrived());
  turn_some({&relay});
  EXPECT_GT(relay.bytes, TunnelSet::unproved_burst - 2 * frame_size);
  EXPECT_LT(relay.bytes, TunnelSet::unproved_burst + frame_size);
  EXPECT_EQ(relay.set->counters().paused, 1u);
  // What is not read is not reported either: the network thread would never sleep.
  pollfd waiting{relay.set->descriptor(), POLLIN, 0};
  EXPECT_EQ(::poll(&waiting, 1, 0), 0);
  EXPECT_FALSE(relay.set->work_waits());

  relay.live.reset();
  relay.now += TunnelSet::proof_interval;
  ASSERT_TRUE(turn_until({&relay}, [&] { return relay.received.size() == frames; }));
  for (std::size_t i = 0; i < 2 * frames; ++i) {
    ASSERT_TRUE(client.write(one_frame()));
    ASSERT_TRUE(turn_until({&relay}, [&] { return relay.received.size() == frames + i + 1; }));
  }
  EXPECT_EQ(relay.set->counters().paused, 1u);
}

TEST(TunnelGuard, paused_tunnel_is_read_again_when_its_rate_allows) {
  Relay relay;
  relay.live = std::vector<SocketId>{};
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(relay.opens(client));
  for (int i = 0; i < 7; ++i)
    ASSERT_TRUE(client.write(one_frame()));
  ASSERT_TRUE(client.all_arrived());
  turn_some({&relay});
  const std::size_t before = relay.received.size();
  ASSERT_LT(before, 6u);
  relay.now += 4s;  // 32 KiB
  turn_some({&relay});
  EXPECT_GT(relay.received.size(), before);
  EXPECT_LE(relay.received.size(), before + 3);
}

TEST(TunnelGuard, paused_tunnel_whose_client_is_gone_is_closed) {
  Relay relay;
  relay.live = std::vector<SocketId>{};
  auto client = std::make_unique<TlsClient>(Keypair::generate(), relay.address);
  ASSERT_TRUE(relay.opens(*client));
  for (int i = 0; i < 6; ++i)
    ASSERT_TRUE(client->write(one_frame()));
  ASSERT_TRUE(client->all_arrived());
  turn_some({&relay});
  ASSERT_EQ(relay.set->counters().paused, 1u);
  client->reset();
  ASSERT_TRUE(turn_until({&relay}, [&] { return relay.set->count() == 0; }));
  EXPECT_EQ(relay.set->admission().tunnels(), 0u);
}

TEST(TunnelGuard, frames_alone_keep_no_tunnel_without_a_client) {
  Relay relay;
  relay.live = std::vector<SocketId>{};
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(relay.opens(client));
  const Instant opened = relay.now;
  while (relay.now < opened + TunnelSet::proof_patience - 1s) {
    ASSERT_TRUE(client.write(Bytes{0, 1, 0x30}));
    relay.now += 1s;
    turn_some({&relay});
    ASSERT_FALSE(client.closed_by_server());
  }
  relay.now += 1s;
  turn_some({&relay});
  EXPECT_TRUE(client.closed_by_server());
  EXPECT_EQ(relay.set->counters().closed_unproved, 1u);
  EXPECT_EQ(relay.set->count(), 0u);
}

TEST(TunnelGuard, client_keeps_its_tunnel_and_the_tunnel_outlives_it_by_a_minute) {
  Relay relay;
  TlsClient client(Keypair::generate(), relay.address);
  ASSERT_TRUE(relay.opens(client));
  const auto go_on = [&](Duration time) {
    for (Duration gone{}; gone < time; gone += 5s) {
      if (!client.write(Bytes{0, 1, 0x30})) return;
      relay.now += 5s;
      turn_some({&relay});
    }
  };
  go_on(120s);
  ASSERT_EQ(relay.set->count(), 1u);
  relay.live = std::vector<SocketId>{};
  go_on(TunnelSocket::idle_patience - 5s);
  EXPECT_EQ(relay.set->count(), 1u);
  go_on(10s);
  EXPECT_EQ(relay.set->count(), 0u);
  EXPECT_EQ(relay.set->counters().closed_unproved, 1u);
  EXPECT_EQ(relay.set->counters().closed_idle, 0u);
}

TEST(TunnelGuard, oldest_without_a_client_goes_when_all_places_are_taken) {
  TunnelLimits limits;
  limits.tunnels = 3;
  Relay relay(limits);
  std::vector<std::unique_ptr<TlsClient>> clients;
  const auto add = [&] {
    clients.push_back(std::make_unique<TlsClient>(Keypair::generate(), relay.address));
    return relay.opens(*clients.back());
  };
  ASSERT_TRUE(add());
  relay.live = std::vector<SocketId>{relay.path_of(*clients[0]).socket};
  ASSERT_TRUE(add());
  ASSERT_TRUE(add());
  relay.sweep();
  ASSERT_TRUE(add());
  ASSERT_TRUE(turn_until({&relay}, [&] { return clients[1]->closed_by_server(); }));
  EXPECT_EQ(relay.set->counters().evicted, 1u);
  EXPECT_FALSE(clients[0]->closed_by_server());
  EXPECT_FALSE(clients[2]->closed_by_server());
  EXPECT_FALSE(clients[3]->closed_by_server());

  relay.live.reset();
  relay.sweep();
  TlsClient one_more(Keypair::generate(), relay.address);
  EXPECT_FALSE(one_more.shake_hands(relay)) << "there are clients behind all of them";
  EXPECT_EQ(relay.set->count(), 3u);
  EXPECT_EQ(relay.set->admission().counters().refused_tunnels, 1u);
}

TEST(TunnelGuard, half_open_one_goes_of_the_network_with_the_most) {
  TunnelLimits limits;
  limits.half_open = 4;
  Relay relay(limits);
  std::vector<RawClient> clients;
  for (const IpAddress& source :
       {IpAddress::v4({127, 2, 2, 2}), IpAddress::v4({127, 1, 1, 1}), IpAddress::v4({127, 1, 1, 2}),
        IpAddress::v4({127, 1, 1, 3}), IpAddress::v4({127, 3, 3, 3})}) {
    clients.emplace_back(relay.address, source);
    clients.back().write("\x16");
    ASSERT_TRUE(clients.back().all_arrived());
    turn_some({&relay});
  }
  EXPECT_TRUE(clients[1].closed_by_server());
  for (const std::size_t kept : {0u, 2u, 3u, 4u})
    EXPECT_FALSE(clients[kept].closed_by_server()) << kept;
  EXPECT_EQ(relay.set->counters().evicted, 1u);
}

TEST(TunnelGuard, bare_connections_use_up_nobodys_rate) {
  TunnelLimits limits;
  limits.handshakes.total_per_second = 1;
  limits.handshakes.total_burst = 2;
  Relay relay(limits);
  std::vector<RawClient> bare;
  for (int i = 0; i < 20; ++i)
    bare.emplace_back(relay.address);
  turn_some({&relay});
  // Those that close at once are seen by the relay, and have not said anything either.
  for (std::size_t i = 0; i < bare.size() / 2; ++i)
    bare[i].close();
  turn_some({&relay});
  EXPECT_EQ(relay.set->count(), 0u);
  TlsClient client(Keypair::generate(), relay.address);
  EXPECT_TRUE(client.shake_hands(relay));
  TlsClient second(Keypair::generate(), relay.address);
  EXPECT_TRUE(second.shake_hands(relay));
  TlsClient third(Keypair::generate(), relay.address);
  EXPECT_FALSE(third.shake_hands(relay));
  EXPECT_EQ(relay.set->admission().counters().refused_rate, 1u);
  EXPECT_EQ(relay.set->admission().tunnels(), 2u);
}

}  // namespace
}  // namespace quicmesh::io
