// Two nodes whose only common ground is a TURN server (S1.43): each has an allocation there, and
// one has been told where the other is relayed. Nothing else carries a packet in this world.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "base/turn_path.hpp"
#include "crypto/seeded_rng.hpp"
#include "node/node_core.hpp"
#include "turn/turn_server_for_tests.hpp"

namespace quicmesh {
namespace {

const SocketAddress turn_server{IpAddress::v4({9, 9, 9, 9}), 3478};

/// One node, and the server's part that deals with it.
struct Side {
  Side(std::string_view name, std::uint16_t relayed_port, std::uint8_t home)
      : rng(1, std::string(name)), identity(Keypair::generate(rng)) {
    server.relayed = {turn_server.ip, relayed_port};
    server.client = {IpAddress::v4({8, 8, 8, home}), 40'000};
    auto made = NodeCore::create(QuicConfig(), identity, rng, Rng(home));
    if (made) core = std::move(*made);
  }

  [[nodiscard]] NodeId id() const { return identity.node_id(); }
  [[nodiscard]] TurnCounters counters() const { return core->turn().counters(0); }

  SeededRng rng;
  Keypair identity;
  for_tests::TurnServer server;
  std::unique_ptr<NodeCore> core;
  std::vector<NodeEvent> events;
  std::size_t sent_elsewhere = 0;  // datagrams to anybody but the server
};

class TurnDial : public testing::Test {
 protected:
  void use_turn(Side& side) {
    side.core->use_turn(now, {{{SocketId{0}, {}, turn_server}, "alice", "secret"}});
  }
  void start() {
    use_turn(a);
    use_turn(b);
    run(1s);
    ASSERT_TRUE(a.server.allocated && b.server.allocated);
  }

  void run(Duration time) {
    const Instant end = now + time;
    while (now < end) {
      while (carry(a, b) | carry(b, a))
        continue;
      const Instant next = std::min(a.core->poll_timeout(), b.core->poll_timeout());
      now = std::clamp<Instant>(next, now + 1ms, end);
      for (Side* side : {&a, &b})
        side->core->handle_timeout(now);
    }
  }
  Result<void> dial(const SocketAddress& address, PathPolicy policy = PathPolicy::any) {
    const NetworkPath path{SocketId{0}, {}, address};
    return a.core->connect(now, b.id(), std::span(&path, 1), policy);
  }
  [[nodiscard]] bool connected() const {
    return a.core->connectivity().connected(b.id()) && b.core->connectivity().connected(a.id());
  }

  Instant now{1000s};
  Side a{"a", 50'001, 1};
  Side b{"b", 50'002, 2};

 private:
  bool carry(Side& from, Side& to) {
    bool any = false;
    while (const auto train = from.core->poll_transmit(now, buffer_)) {
      any = true;
      const Bytes datagrams = to_bytes(ByteView(buffer_).first(train->size));
      for (std::size_t at = 0; at < datagrams.size(); at += train->segment_size) {
        const std::size_t size = std::min(train->segment_size, datagrams.size() - at);
        if (train->path.remote != turn_server) {
          ++from.sent_elsewhere;
          continue;
        }
        if (auto answer = from.server.handle(ByteView(datagrams).subspan(at, size))) {
          from.core->handle_datagram(now, train->path, Ecn::not_ect, *answer);
        }
        relay(from, to);
      }
    }
    while (auto event = from.core->poll_event())
      from.events.push_back(std::move(*event));
    return any;
  }
  void relay(Side& from, Side& to) {
    for (; !from.server.to_peers.empty(); from.server.to_peers.pop_front()) {
      const auto& one = from.server.to_peers.front();
      if (one.peer != to.server.relayed) continue;
      auto datagram = to.server.from_peer(from.server.relayed, one.payload);
      if (!datagram) continue;
      to.core->handle_datagram(now, {SocketId{0}, {}, turn_server}, Ecn::not_ect, *datagram);
    }
  }

  Bytes buffer_ = Bytes(transmit_buffer_size);
};

TEST_F(TurnDial, a_relayed_address_is_dialled_from_an_allocation_at_the_same_server) {
  start();
  ASSERT_TRUE(dial(b.server.relayed));
  run(3s);
  ASSERT_TRUE(connected());
  const auto path = a.core->connectivity().current_path(b.id());
  EXPECT_EQ(*path, turn_path(0, b.server.relayed));
  const Explanation why = a.core->explain(now, b.id());
  EXPECT_EQ(why.remote, b.server.relayed);
  EXPECT_EQ(why.technique, "relay");
  ASSERT_FALSE(why.decisions.empty());
  EXPECT_NE(why.decisions.back().text.find("over a TURN server"), std::string::npos)
      << why.decisions.back().text;
  EXPECT_EQ(a.core->paths(now, b.id())[0].kind, PathKind::turn);
  EXPECT_EQ(b.core->paths(now, a.id())[0].kind, PathKind::turn);
}

TEST_F(TurnDial, what_follows_goes_in_channel_data) {
  start();
  ASSERT_TRUE(dial(b.server.relayed));
  run(3s);
  ASSERT_TRUE(connected());
  const auto indications = a.counters().sent_by_indication + b.counters().sent_by_indication;
  const auto before = a.counters().sent_by_channel;
  ASSERT_TRUE(b.core->add_protocol("test/bulk/1"));
  const auto stream = a.core->open_stream(now, b.id(), "test/bulk/1");
  ASSERT_TRUE(stream);
  Bytes data(200'000, 7);
  ASSERT_TRUE(a.core->connectivity().write(*stream, data, true));
  run(3s);
  EXPECT_GT(a.counters().sent_by_channel, before + 20);
  EXPECT_EQ(a.counters().sent_by_indication + b.counters().sent_by_indication, indications);
}

TEST_F(TurnDial, a_dial_waits_for_the_allocation) {
  use_turn(b);
  run(1s);
  use_turn(a);
  ASSERT_TRUE(dial(b.server.relayed));
  run(5s);
  EXPECT_TRUE(connected());
}

TEST_F(TurnDial, whoever_keeps_to_relays_is_served_and_shows_its_address_to_the_server_alone) {
  start();
  ASSERT_TRUE(dial(b.server.relayed, PathPolicy::relay_only));
  run(5s);
  EXPECT_TRUE(connected());
  EXPECT_EQ(a.sent_elsewhere, 0u);
}

TEST_F(TurnDial, direct_only_takes_no_such_path) {
  start();
  ASSERT_TRUE(dial(b.server.relayed, PathPolicy::direct_only));
  run(30s);
  EXPECT_FALSE(connected());
  EXPECT_GT(a.sent_elsewhere, 0u);
}

TEST_F(TurnDial, an_address_elsewhere_is_not_dialled_over_the_server) {
  start();
  ASSERT_TRUE(dial({IpAddress::v4({8, 8, 4, 4}), 50'002}));
  run(1s);
  EXPECT_EQ(a.server.permissions, std::set{turn_server.ip});
}

TEST_F(TurnDial, fellows_are_let_in_as_long_as_the_allocation_lasts) {
  start();
  EXPECT_TRUE(b.server.permissions.contains(turn_server.ip));
  run(3600s);
  ASSERT_TRUE(dial(b.server.relayed));
  run(3s);
  EXPECT_TRUE(connected());
}

TEST_F(TurnDial, a_server_that_lets_its_own_address_not_in_is_asked_once) {
  b.server.forbidden.insert(turn_server.ip);
  start();
  const int requests = b.server.requests;
  run(20s);
  EXPECT_EQ(b.server.requests, requests);
  ASSERT_TRUE(dial(b.server.relayed));
  run(30s);
  EXPECT_FALSE(connected());
}

TEST_F(TurnDial, closing_gives_the_allocations_back) {
  start();
  a.core->begin_close(now);
  run(1s);
  EXPECT_FALSE(a.server.allocated);
  EXPECT_TRUE(b.server.allocated);
}

}  // namespace
}  // namespace quicmesh
