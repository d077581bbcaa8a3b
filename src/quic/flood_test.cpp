// A flood of malformed datagrams at an endpoint that serves somebody, in virtual time: its memory
// stays flat, its answers stay small and few, and the connection that stood before still carries
// every byte (TQ1, TQ3, TQ8).
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "quic/connection_ids.hpp"
#include "quic/pair_for_tests.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t flood_size = 100'000;
constexpr Duration between = 100us;  // 10,000 datagrams a second: ten seconds in all

class Flood : public testing::Test {
 protected:
  Flood() : pair(config()) {
    pair.dial();
    pair.run(200ms);
    victim = *pair.acceptor.connection;
    // Genuine Initials of a dialler whom nobody lets finish.
    (void)stranger.endpoint->dial(pair.now, TestPair::label, pair.acceptor.identity.node_id());
    const auto train = stranger.endpoint->poll_transmit(pair.now, buffer);
    initial = to_bytes(ByteView(buffer).first(train->segment_size));
  }

  static QuicConfig config() {
    QuicConfig config;
    config.max_half_open = 64;
    return config;
  }

  Bytes noise(std::size_t size) {
    Bytes bytes(size);
    rng.fill(bytes);
    return bytes;
  }

  // One datagram of each kind of malice, in turn.
  Bytes malice(std::size_t kind) {
    switch (kind % 9) {
      case 0: {  // an Initial that decrypts to nothing
        Bytes bytes = noise(1200);
        const std::array<std::uint8_t, 6> head{0xc0, 0, 0, 0, 1, 8};
        std::ranges::copy(head, bytes.begin());
        bytes[14] = 0;
        return bytes;
      }
      case 1: {  // a genuine Initial for another id: its keys do not fit
        Bytes bytes = initial;
        const Bytes id = noise(8);
        std::ranges::copy(id, bytes.begin() + 6);
        return bytes;
      }
      case 2: {  // a genuine Initial cut short
        Bytes bytes = initial;
        bytes.resize(1 + rng.below(bytes.size() - 1));
        return bytes;
      }
      case 3:  // a genuine one, again and again
        return initial;
      case 4: {  // version 0: a version negotiation that nobody asked for
        Bytes bytes = noise(40 + rng.below(1160));
        const std::array<std::uint8_t, 6> head{0x80, 0, 0, 0, 0, 8};
        std::ranges::copy(head, bytes.begin());
        return bytes;
      }
      case 5: {  // an unknown version, which wants an answer
        Bytes bytes = noise(1200);
        const std::array<std::uint8_t, 6> head{0xc0, 0x1a, 0x2a, 0x3a, 0x4a, 8};
        std::ranges::copy(head, bytes.begin());
        bytes[14] = 8;
        return bytes;
      }
      case 6:  // tiny
        return noise(rng.below(24));
      case 7: {  // a short header of nobody's connection
        Bytes bytes = noise(30 + rng.below(1200));
        bytes[0] = static_cast<std::uint8_t>(0x40 | (bytes[0] & 0x3f));
        return bytes;
      }
      default: {  // a packet of the victim's own, changed, and another behind it
        const auto& seen = pair.acceptor.received;
        Bytes bytes = seen[rng.below(seen.size())];
        bytes[rng.below(bytes.size())] ^= 1;
        const Bytes more = noise(rng.below(200));
        bytes.insert(bytes.end(), more.begin(), more.end());
        return bytes;
      }
    }
  }

  // Hands `bytes` in as path/ does; counts what comes back without state.
  void deliver(const Bytes& bytes) {
    QuicEndpoint& endpoint = *pair.acceptor.endpoint;
    const PathLabel elsewhere{7, 1};
    const QuicRoute route = endpoint.route(bytes);
    if (route.kind == QuicRoute::Kind::connection) {
      endpoint.handle_datagram(pair.now, route.connection, elsewhere, Ecn::not_ect, bytes);
    } else if (route.kind == QuicRoute::Kind::initial) {
      (void)endpoint.accept(pair.now, elsewhere, Ecn::not_ect, bytes);
    } else {
      std::array<std::uint8_t, 1500> out;
      const std::size_t size = endpoint.stateless_answer(pair.now, bytes, out);
      EXPECT_LE(size, bytes.size());
      if (size > 0) ++stateless_answers;
    }
    bytes_in += bytes.size();
  }

  // What the endpoint sends to the flood's path, and what it reports.
  void drain() {
    QuicEndpoint& endpoint = *pair.acceptor.endpoint;
    while (const auto train = endpoint.poll_transmit(pair.now, buffer)) {
      if (train->connection != victim) bytes_out += train->size;
    }
    while (auto event = endpoint.poll_event()) {
      if (const auto* closed = std::get_if<ConnectionClosed>(&*event)) {
        bytes_out += closed->last_packet.size();
        EXPECT_NE(closed->connection, victim) << closed->error.message();
      }
    }
  }

  TestPair pair;
  TestSide stranger{3, {}, {}};
  ConnectionHandle victim{};
  Bytes initial;
  Rng rng{11};
  Bytes buffer = Bytes(transmit_buffer_size);
  std::size_t stateless_answers = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
};

// TQ1, TQ3, TQ8
TEST_F(Flood, of_malformed_datagrams_leaves_memory_flat_and_the_connection_alive) {
  ASSERT_NE(pair.acceptor.find<ConnectionConfirmed>(), nullptr);
  QuicEndpoint& endpoint = *pair.acceptor.endpoint;
  std::size_t memory_early = 0;
  std::size_t memory_max = 0;
  std::size_t connections_max = 0;
  const Instant began = pair.now;
  for (std::size_t i = 0; i < flood_size; ++i) {
    pair.now += between;
    deliver(malice(i));
    if (endpoint.poll_timeout() <= pair.now) endpoint.handle_timeout(pair.now);
    drain();
    memory_max = std::max(memory_max, endpoint.total_memory_used());
    connections_max = std::max(connections_max, endpoint.connections());
    if (i == flood_size / 10) memory_early = memory_max;
  }
  const auto seconds =
      static_cast<std::size_t>(std::chrono::ceil<std::chrono::seconds>(pair.now - began).count());

  // As much after 10,000 datagrams as after 100,000.
  EXPECT_LE(memory_max, memory_early + memory_early / 4);
  EXPECT_LE(connections_max, 1 + config().max_half_open);
  // RFC 9000 s8.1: at most three times what an address has sent, before it is validated.
  EXPECT_LE(bytes_out, 3 * bytes_in);
  // A hundred answers a second, and one bucket at the beginning.
  EXPECT_LE(stateless_answers, 100 * (seconds + 1));
  EXPECT_GT(stateless_answers, 0u);
  EXPECT_GT(endpoint.counters().answers_suppressed, 0u);
  EXPECT_GT(endpoint.counters().dropped_malformed, 0u);

  // The one who was there before is still served, with every byte.
  ASSERT_TRUE(endpoint.alive(victim));
  Bytes data(1'000'000);
  rng.fill(data);
  const StreamId stream =
      pair.dialler.endpoint->open_stream(*pair.dialler.connection, false).value();
  Bytes copy = data;
  ASSERT_TRUE(pair.dialler.endpoint->write(*pair.dialler.connection, stream, copy, true));
  Bytes received;
  bool end = false;
  const bool done = pair.run_until([&] {
    pair.acceptor.connection = victim;
    const Bytes more = TestPair::read_all(pair.acceptor, stream, &end);
    received.insert(received.end(), more.begin(), more.end());
    return end;
  });
  EXPECT_TRUE(done);
  EXPECT_TRUE(received == data);
}

}  // namespace
}  // namespace quicmesh
