// A node's TURN servers as paths: which peers' addresses they may talk to, and how datagrams are
// named (S1.43).
#include "node/turn_user.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/turn_path.hpp"
#include "crypto/seeded_rng.hpp"
#include "turn/turn_server_for_tests.hpp"

namespace quicmesh {
namespace {

SocketAddress at(std::string_view text) {
  return SocketAddress::parse(text).value();
}

NodeId node(std::uint8_t number) {
  NodeId id;
  id.bytes.fill(number);
  return id;
}

TEST(TurnPath, names_its_server_and_its_peer_and_no_other) {
  const SocketAddress peer = at("192.0.2.7:65535");
  for (const std::size_t server : {0u, 1u, 255u}) {
    const NetworkPath path = turn_path(server, peer);
    EXPECT_TRUE(is_relayed(path));
    EXPECT_TRUE(is_turn_path(path));
    EXPECT_EQ(turn_server_of(path), server);
    EXPECT_EQ(turn_peer_of(path), peer);
  }
  EXPECT_NE(turn_path(0, peer), turn_path(1, peer));
  EXPECT_NE(turn_path(0, peer), turn_path(0, at("192.0.2.7:65534")));
  EXPECT_FALSE(is_turn_path({SocketId{0}, {}, at("[fd53::1]:5")})) << "a real address";
  EXPECT_FALSE(is_turn_path({relayed_socket, {}, at("[fd52::1]:5")})) << "a relay's session";
}

class TurnUserTest : public testing::Test {
 protected:
  void start() {
    user.start(now, {{to_server, "alice", "secret"}});
    settle();
  }
  void settle() {
    for (int i = 0; i < 100; ++i) {
      user.handle_timeout(now);
      const auto sent = user.poll_transmit(now, buffer);
      if (!sent) break;
      const auto answer = server.handle(ByteView(buffer).first(sent->size));
      if (!answer) continue;
      EXPECT_FALSE(user.handle_datagram(now, to_server, *answer));
    }
    while (auto event = user.poll_event(now))
      events.push_back(std::move(*event));
  }
  std::vector<NetworkPath> tell(const NodeId& peer, std::vector<Candidate> candidates) {
    return user.on_candidates(now, peer, candidates, AddressRules::internet);
  }
  static Candidate reflexive(std::string_view address) {
    return {CandidateKind::server_reflexive, at(address)};
  }

  const NetworkPath to_server{SocketId{3}, {}, at("9.9.9.9:3478")};
  Instant now{1000s};
  SeededRng rng{1};
  for_tests::TurnServer server;
  TurnUser user{rng};
  Bytes buffer = Bytes(transmit_buffer_size);
  std::vector<TurnUser::Event> events;
};

TEST_F(TurnUserTest, a_peer_gets_a_path_for_each_public_address) {
  start();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(user.relayed(), std::vector{server.relayed});
  const auto paths = tell(node(1), {reflexive("8.8.8.8:5000"), reflexive("8.8.4.4:5000")});
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[0], turn_path(0, at("8.8.8.8:5000")));
  settle();
  EXPECT_TRUE(server.permissions.contains(at("8.8.8.8:1").ip));
}

TEST_F(TurnUserTest, the_server_is_never_made_to_talk_to_other_than_public_addresses) {
  start();
  std::vector<Candidate> told;
  for (const char* address :
       {"127.0.0.1:5000", "10.0.0.1:5000", "192.168.1.1:5000", "169.254.169.254:5000",
        "100.64.0.1:5000", "0.0.0.0:5000", "224.0.0.1:5000", "255.255.255.255:5000",
        "203.0.113.1:5000", "[2a00:1450::1]:5000", "[::1]:5000"}) {
    for (const auto kind : {CandidateKind::host, CandidateKind::server_reflexive,
                            CandidateKind::mapped, CandidateKind::relayed}) {
      EXPECT_TRUE(tell(node(1), {{kind, at(address)}}).empty()) << address;
    }
  }
  EXPECT_TRUE(tell(node(1), {{CandidateKind::relayed, at("8.8.8.8:5000")}}).empty());
  settle();
  EXPECT_EQ(server.permissions, std::set{server.relayed.ip}) << "of those who share the server";
}

TEST_F(TurnUserTest, a_peer_cannot_aim_the_server_at_one_victim_after_another) {
  start();
  for (std::uint8_t i = 0; i < 100; ++i) {
    (void)tell(node(1), {{CandidateKind::host, {IpAddress::v4({8, 8, i, 8}), 5000}}});
    settle();
  }
  EXPECT_LE(server.permissions.size(), static_cast<std::size_t>(PathAllowance::burst) + 1);
  // And no more at once than there are places.
  std::vector<Candidate> many;
  for (std::uint8_t i = 0; i < 100; ++i)
    many.push_back({CandidateKind::host, {IpAddress::v4({8, 9, i, 8}), 5000}});
  EXPECT_LE(tell(node(2), many).size(), TurnUser::addresses_per_peer_max);
}

TEST_F(TurnUserTest, a_peer_that_names_ever_new_addresses_takes_no_place_of_others) {
  start();
  for (std::uint8_t i = 0; i < 40; ++i) {
    (void)tell(node(1), {{CandidateKind::host, {IpAddress::v4({8, 8, i, 8}), 5000}}});
    settle();
    now += PathAllowance::interval;
  }
  for (std::uint8_t other = 2; other < 7; ++other) {
    const SocketAddress address{IpAddress::v4({9, 0, 0, other}), 5000};
    (void)tell(node(other), {{CandidateKind::host, address}});
    settle();
    EXPECT_TRUE(server.permissions.contains(address.ip)) << int{other};
  }
}

TEST_F(TurnUserTest, peers_told_before_the_server_was_up_get_their_paths_then) {
  server.silent = true;
  start();
  EXPECT_TRUE(tell(node(1), {reflexive("8.8.8.8:5000")}).empty());
  server.silent = false;
  while (user.relayed().empty()) {
    now = user.poll_timeout();
    settle();
  }
  const auto paths = user.take_new_paths();
  ASSERT_EQ(paths.size(), 1u);
  EXPECT_EQ(paths[0].peer, node(1));
  EXPECT_EQ(paths[0].path, turn_path(0, at("8.8.8.8:5000")));
  EXPECT_TRUE(user.take_new_paths().empty());
}

TEST_F(TurnUserTest, datagrams_go_through_the_server_and_come_back_named) {
  start();
  const SocketAddress peer = at("8.8.8.8:5000");
  ASSERT_EQ(tell(node(1), {reflexive("8.8.8.8:5000")}).size(), 1u);
  settle();
  Transmit train{turn_path(0, peer), 100, 100};
  ASSERT_TRUE(user.wrap(now, train, buffer));
  EXPECT_EQ(train.path, to_server);
  (void)server.handle(ByteView(buffer).first(train.size));
  ASSERT_EQ(server.to_peers.size(), 1u);
  EXPECT_EQ(server.to_peers[0].peer, peer);
  // The answer comes from another port: the peer's NAT made it.
  const SocketAddress other = at("8.8.8.8:6000");
  const Bytes datagram = server.from_peer(other, as_bytes("hello")).value();
  EXPECT_TRUE(user.is_from_server(to_server));
  const auto arrival = user.handle_datagram(now, to_server, datagram);
  ASSERT_TRUE(arrival);
  EXPECT_EQ(arrival->path, turn_path(0, other));
  EXPECT_EQ(arrival->size, 5u);
}

TEST_F(TurnUserTest, only_so_many_servers_and_none_of_ipv6) {
  const NetworkPath v6{SocketId{0}, {}, at("[2a00:1450::1]:3478")};
  user.start(now, {{v6, "a", "b"},
                   {to_server, "a", "b"},
                   {{SocketId{0}, {}, at("9.9.9.8:3478")}, "a", "b"},
                   {{SocketId{0}, {}, at("9.9.9.7:3478")}, "a", "b"}});
  EXPECT_EQ(user.states().size(), TurnUser::servers_max);
  EXPECT_FALSE(user.is_from_server(v6));
}

TEST_F(TurnUserTest, stopping_gives_the_allocation_back) {
  start();
  user.stop(now);
  user.stop(now);
  settle();
  EXPECT_FALSE(server.allocated);
}

}  // namespace
}  // namespace quicmesh
