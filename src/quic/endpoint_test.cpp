// QUIC between two endpoints in virtual time: handshake, streams, datagrams, keys, endings.
#include "quic/endpoint.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "quic/pair_for_tests.hpp"

namespace quicmesh {
namespace {

Bytes pattern(std::size_t size, std::uint64_t seed = 1) {
  Bytes bytes(size);
  Rng rng(seed);
  rng.fill(bytes);
  return bytes;
}

class Quic : public testing::Test {
 protected:
  void connect() {
    pair.dial();
    pair.run(200ms);
    ASSERT_NE(pair.dialler.find<ConnectionConfirmed>(), nullptr);
    ASSERT_NE(pair.acceptor.find<ConnectionConfirmed>(), nullptr);
  }

  // Writes all of `data`, waiting for room as a user would; reads what arrives on the other side.
  Bytes transfer(TestSide& from, TestSide& to, const Bytes& data) {
    const StreamId stream = from.endpoint->open_stream(*from.connection, false).value();
    std::size_t offset = 0;
    Bytes received;
    bool end = false;
    const bool done = pair.run_until(
        [&] {
          while (offset < data.size()) {
            const std::size_t size = std::min<std::size_t>(100'000, data.size() - offset);
            Bytes piece(data.begin() + offset, data.begin() + offset + size);
            const bool last = offset + size == data.size();
            if (!from.endpoint->write(*from.connection, stream, piece, last)) break;
            offset += size;
          }
          const Bytes more = TestPair::read_all(to, stream, &end);
          received.insert(received.end(), more.begin(), more.end());
          return end;
        },
        300s);
    EXPECT_TRUE(done);
    return received;
  }

  TestPair pair;
};

// S1.13, S1.66: each side learns the other's NodeId from the handshake.
TEST_F(Quic, both_sides_learn_each_others_node_id) {
  connect();
  EXPECT_EQ(pair.dialler.find<ConnectionConfirmed>()->peer, pair.acceptor.identity.node_id());
  EXPECT_EQ(pair.acceptor.find<ConnectionConfirmed>()->peer, pair.dialler.identity.node_id());
}

TEST_F(Quic, a_stream_carries_every_byte_both_ways) {
  connect();
  const Bytes data = pattern(3'000'000);
  EXPECT_EQ(transfer(pair.dialler, pair.acceptor, data), data);
  EXPECT_EQ(transfer(pair.acceptor, pair.dialler, data), data);
}

TEST_F(Quic, a_stream_carries_every_byte_under_ten_percent_loss) {
  connect();
  Rng rng(7);
  pair.lose = [&](bool, ByteView) { return rng.chance(1, 10); };
  const Bytes data = pattern(1'000'000);
  EXPECT_EQ(transfer(pair.dialler, pair.acceptor, data), data);
}

TEST_F(Quic, an_empty_datagram_is_nobodys_and_gets_no_answer) {
  std::array<std::uint8_t, 64> out;
  EXPECT_EQ(pair.acceptor.endpoint->route({}).kind, QuicRoute::Kind::drop);
  EXPECT_EQ(pair.acceptor.endpoint->stateless_answer(pair.now, {}, out), 0u);
}

// S1.10: a stream that nobody reads does not delay another.
TEST_F(Quic, a_stalled_stream_does_not_delay_another) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  const StreamId stalled = from.open_stream(*pair.dialler.connection, false).value();
  Bytes flood = pattern(600'000);
  ASSERT_TRUE(from.write(*pair.dialler.connection, stalled, flood, false));
  pair.run(500ms);
  const Bytes data = pattern(200'000, 2);
  EXPECT_EQ(transfer(pair.dialler, pair.acceptor, data), data);
}

TEST_F(Quic, many_small_writes_arrive_in_order) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  const StreamId stream = from.open_stream(*pair.dialler.connection, true).value();
  Bytes expected;
  Bytes received;
  for (int i = 0; i < 2000; ++i) {
    Bytes piece = pattern(1 + i % 97, i);
    expected.insert(expected.end(), piece.begin(), piece.end());
    ASSERT_TRUE(from.write(*pair.dialler.connection, stream, piece, i == 1999));
    if (i % 50 == 0) pair.run(3ms);
  }
  bool end = false;
  ASSERT_TRUE(pair.run_until([&] {
    const Bytes more = TestPair::read_all(pair.acceptor, stream, &end);
    received.insert(received.end(), more.begin(), more.end());
    return end;
  }));
  EXPECT_EQ(received, expected);
}

TEST_F(Quic, a_writer_is_held_back_when_nobody_reads) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  const StreamId stream = from.open_stream(*pair.dialler.connection, false).value();
  std::size_t accepted = 0;
  for (int i = 0; i < 1000; ++i) {
    Bytes piece = pattern(100'000);
    const auto written = from.write(*pair.dialler.connection, stream, piece, false);
    if (!written) {
      EXPECT_EQ(written.error(), QuicErrc::would_block);
      EXPECT_EQ(piece.size(), 100'000u) << "a refused write must leave its bytes alone";
      break;
    }
    accepted += 100'000;
    pair.run(1ms);
  }
  EXPECT_LT(accepted, 6'000'000u);
  EXPECT_LT(pair.acceptor.endpoint->memory_used(*pair.acceptor.connection), 1'500'000u);
  EXPECT_EQ(pair.dialler.find<StreamWritable>(), nullptr);
  (void)TestPair::read_all(pair.acceptor, stream);
  ASSERT_TRUE(pair.run_until([&] {
    (void)TestPair::read_all(pair.acceptor, stream);
    return pair.dialler.find<StreamWritable>() != nullptr;
  }));
}

TEST_F(Quic, a_reset_stream_ends_alone) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  const StreamId stream = from.open_stream(*pair.dialler.connection, true).value();
  Bytes data = pattern(5000);
  ASSERT_TRUE(from.write(*pair.dialler.connection, stream, data, false));
  pair.run(100ms);
  ASSERT_TRUE(from.reset_stream(*pair.dialler.connection, stream, CloseCode::cancelled));
  pair.run(100ms);
  const auto* reset = pair.acceptor.find<StreamReset>();
  ASSERT_NE(reset, nullptr);
  EXPECT_EQ(reset->code, std::to_underlying(CloseCode::cancelled));
  const Bytes more = pattern(50'000);
  EXPECT_EQ(transfer(pair.dialler, pair.acceptor, more), more);
}

TEST_F(Quic, stop_sending_reaches_the_writer) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  const StreamId stream = from.open_stream(*pair.dialler.connection, true).value();
  Bytes data = pattern(5000);
  ASSERT_TRUE(from.write(*pair.dialler.connection, stream, data, false));
  pair.run(100ms);
  ASSERT_TRUE(pair.acceptor.endpoint->stop_stream(*pair.acceptor.connection, stream,
                                                  CloseCode::unknown_protocol));
  pair.run(100ms);
  Bytes unwanted = pattern(10);
  ASSERT_TRUE(from.write(*pair.dialler.connection, stream, unwanted, false));
  pair.run(100ms);
  ASSERT_NE(pair.dialler.find<StreamStopped>(), nullptr);
  Bytes more = pattern(10);
  EXPECT_EQ(from.write(*pair.dialler.connection, stream, more, false).error(),
            QuicErrc::stream_closed);
}

// A writer held up by flow control must learn that nobody wants its bytes, or it waits for ever.
TEST_F(Quic, stop_sending_reaches_a_writer_that_is_blocked) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  const StreamId stream = from.open_stream(*pair.dialler.connection, true).value();
  for (int i = 0; i < 100; ++i) {
    Bytes data = pattern(100'000);
    if (!from.write(*pair.dialler.connection, stream, data, false)) break;
  }
  pair.run(2s);  // the stream's window is full and nobody reads
  ASSERT_TRUE(pair.acceptor.endpoint->stop_stream(*pair.acceptor.connection, stream,
                                                  CloseCode::unknown_protocol));
  pair.run(1s);
  EXPECT_NE(pair.dialler.find<StreamStopped>(), nullptr);
}

TEST_F(Quic, streams_beyond_the_limit_wait_for_others_to_end) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  std::vector<StreamId> streams;
  while (true) {
    const auto stream = from.open_stream(*pair.dialler.connection, false);
    if (!stream) {
      EXPECT_EQ(stream.error(), QuicErrc::stream_limit);
      break;
    }
    streams.push_back(*stream);
  }
  EXPECT_EQ(streams.size(), QuicConfig{}.max_streams_uni);
  for (const StreamId stream : streams) {
    Bytes data = pattern(10);
    ASSERT_TRUE(from.write(*pair.dialler.connection, stream, data, true));
  }
  pair.run(100ms);
  EXPECT_EQ(pair.dialler.find<StreamsAvailable>(), nullptr) << "the peer has read nothing yet";
  for (const StreamId stream : streams)
    (void)TestPair::read_all(pair.acceptor, stream);
  pair.run(100ms);
  EXPECT_NE(pair.dialler.find<StreamsAvailable>(), nullptr);
  EXPECT_TRUE(from.open_stream(*pair.dialler.connection, false));
}

TEST_F(Quic, datagrams_arrive_and_the_too_large_are_refused) {
  connect();
  pair.run(2s);
  QuicEndpoint& from = *pair.dialler.endpoint;
  const std::size_t size = from.max_datagram_size(*pair.dialler.connection);
  EXPECT_GT(size, 1300u) << "path MTU discovery has not raised the size";
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(from.send_datagram(*pair.dialler.connection, pattern(i == 0 ? size : 64, i)));
    pair.run(1ms);
  }
  pair.run(100ms);
  EXPECT_EQ(pair.acceptor.count<DatagramReceived>(), 100u);
  EXPECT_EQ(pair.acceptor.find<DatagramReceived>()->data, pattern(size, 0));
  EXPECT_EQ(from.send_datagram(*pair.dialler.connection, pattern(size + 1)).error(),
            QuicErrc::datagram_too_large);
  EXPECT_EQ(from.send_datagram(*pair.dialler.connection, {}).error(), QuicErrc::datagram_too_large);
}

// THREATS TQ15: keys change under load, and nothing is lost by it.
TEST(QuicKeys, are_updated_after_the_configured_number_of_packets) {
  QuicConfig config;
  config.key_update_packets = 1000;
  TestPair pair(config);
  pair.dial();
  pair.run(200ms);
  const StreamId stream =
      pair.dialler.endpoint->open_stream(*pair.dialler.connection, false).value();
  Bytes sent;
  Bytes received;
  for (int i = 0; i < 20; ++i) {
    Bytes piece = pattern(1'000'000, i);
    sent.insert(sent.end(), piece.begin(), piece.end());
    ASSERT_TRUE(pair.dialler.endpoint->write(*pair.dialler.connection, stream, piece, false));
    ASSERT_TRUE(pair.run_until([&] {
      const Bytes more = TestPair::read_all(pair.acceptor, stream);
      received.insert(received.end(), more.begin(), more.end());
      return received.size() == sent.size();
    }));
  }
  EXPECT_EQ(received, sent);
  EXPECT_GE(pair.dialler.endpoint->counters().key_updates, 2u);
}

TEST_F(Quic, both_ends_export_the_same_secret) {
  connect();
  std::array<std::uint8_t, 32> a{};
  std::array<std::uint8_t, 32> b{};
  ASSERT_TRUE(pair.dialler.endpoint->export_secret(*pair.dialler.connection, "EXPORTER-x", a));
  ASSERT_TRUE(pair.acceptor.endpoint->export_secret(*pair.acceptor.connection, "EXPORTER-x", b));
  EXPECT_EQ(a, b);
  ASSERT_TRUE(pair.acceptor.endpoint->export_secret(*pair.acceptor.connection, "EXPORTER-y", b));
  EXPECT_NE(a, b);
}

TEST_F(Quic, a_close_tells_the_peer_code_and_reason) {
  connect();
  pair.dialler.endpoint->close(pair.now, *pair.dialler.connection, CloseCode::goodbye, "enough");
  pair.run(200ms);
  const auto* closed = pair.acceptor.find<ConnectionClosed>();
  ASSERT_NE(closed, nullptr);
  EXPECT_EQ(closed->error, QuicErrc::closed_by_peer);
  EXPECT_EQ(closed->reason, "enough");
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>()->error, QuicErrc::closed_locally);
  EXPECT_EQ(pair.dialler.endpoint->connections() + pair.acceptor.endpoint->connections(), 0u);
}

// What arrives in one batch with the peer's CONNECTION_CLOSE is there until the event was polled.
TEST_F(Quic, data_that_arrives_with_the_close_can_still_be_read) {
  connect();
  QuicEndpoint& from = *pair.dialler.endpoint;
  QuicEndpoint& to = *pair.acceptor.endpoint;
  const StreamId stream = from.open_stream(*pair.dialler.connection, false).value();
  Bytes data = pattern(500);
  ASSERT_TRUE(from.write(*pair.dialler.connection, stream, data, true));
  std::vector<std::uint8_t> buffer(transmit_buffer_size);
  std::vector<Bytes> packets;
  while (const auto train = from.poll_transmit(pair.now, buffer)) {
    packets.push_back(to_bytes(ByteView(buffer).first(train->size)));
  }
  from.close(pair.now, *pair.dialler.connection, CloseCode::goodbye, "bye");
  while (const auto event = from.poll_event()) {
    if (const auto* closed = std::get_if<ConnectionClosed>(&*event)) {
      packets.push_back(closed->last_packet);
    }
  }
  ASSERT_EQ(packets.size(), 2u);
  for (Bytes& packet : packets) {
    to.handle_datagram(pair.now, *pair.acceptor.connection, TestPair::label, Ecn::not_ect, packet);
  }
  Bytes received;
  bool closed = false;
  while (const auto event = to.poll_event()) {
    if (std::holds_alternative<StreamReadable>(*event)) {
      received = TestPair::read_all(pair.acceptor, stream);
    }
    closed = closed || std::holds_alternative<ConnectionClosed>(*event);
  }
  EXPECT_TRUE(closed);
  EXPECT_EQ(received, pattern(500));
}

// Whoever waits for this before closing must not lose the end of a stream.
TEST_F(Quic, a_stream_is_unacknowledged_until_its_end_is) {
  connect();
  for (const bool end_with_data : {true, false}) {
    QuicEndpoint& from = *pair.dialler.endpoint;
    const StreamId stream = from.open_stream(*pair.dialler.connection, false).value();
    Bytes data = pattern(100);
    ASSERT_TRUE(from.write(*pair.dialler.connection, stream, data, end_with_data));
    if (!end_with_data) {
      pair.run(100ms);
      EXPECT_EQ(from.unacknowledged_bytes(*pair.dialler.connection), 0u);
      Bytes nothing;
      ASSERT_TRUE(from.write(*pair.dialler.connection, stream, nothing, true));
    }
    pair.lose = [](bool to_acceptor, ByteView) { return to_acceptor; };
    pair.run(3ms);
    EXPECT_GT(from.unacknowledged_bytes(*pair.dialler.connection), 0u) << "the end is on its way";
    pair.lose = [](bool, ByteView) { return false; };
    pair.run(2s);
    EXPECT_EQ(from.unacknowledged_bytes(*pair.dialler.connection), 0u);
  }
}

TEST_F(Quic, a_lost_close_is_repeated_when_the_peer_goes_on_talking) {
  connect();
  bool lose_close = true;
  pair.lose = [&](bool to_acceptor, ByteView) { return to_acceptor && lose_close; };
  pair.dialler.endpoint->close(pair.now, *pair.dialler.connection, CloseCode::goodbye, "lost");
  pair.run(50ms);
  lose_close = false;
  const StreamId stream =
      pair.acceptor.endpoint->open_stream(*pair.acceptor.connection, false).value();
  Bytes data = pattern(2000);
  ASSERT_TRUE(pair.acceptor.endpoint->write(*pair.acceptor.connection, stream, data, false));
  pair.run(500ms);
  const auto* closed = pair.acceptor.find<ConnectionClosed>();
  ASSERT_NE(closed, nullptr);
  EXPECT_EQ(closed->reason, "lost");
}

TEST_F(Quic, an_idle_connection_is_kept_alive_and_a_dead_peer_times_out) {
  connect();
  pair.run(120s);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>(), nullptr);
  pair.lose = [](bool, ByteView) { return true; };
  pair.run(60s);
  ASSERT_NE(pair.dialler.find<ConnectionClosed>(), nullptr);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>()->error, QuicErrc::idle_timeout);
}

TEST(QuicDatagrams, a_peer_that_takes_none_is_told_of_and_not_sent_any) {
  QuicConfig without;
  without.datagram_queue_max = 0;
  TestPair pair({}, {}, {}, &without);
  pair.dial();
  pair.run(1s);
  ASSERT_NE(pair.dialler.find<ConnectionConfirmed>(), nullptr);
  const auto sent = pair.dialler.endpoint->send_datagram(*pair.dialler.connection, Bytes(100));
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error(), QuicErrc::datagrams_unsupported);
}

// S1.03: an asymmetric route. The peer is heard all the time, so QUIC's idle time-out never comes.
TEST_F(Quic, a_path_that_carries_one_way_only_is_given_up) {
  connect();
  const auto dialler = *pair.dialler.connection;
  const StreamId stream = pair.dialler.endpoint->open_stream(dialler, false).value();
  pair.lose = [](bool to_acceptor, ByteView) { return to_acceptor; };
  Bytes data = pattern(2000);
  ASSERT_TRUE(pair.dialler.endpoint->write(dialler, stream, data, false));
  for (int second = 0; second < 25; ++second) {
    ASSERT_TRUE(pair.acceptor.endpoint->send_datagram(*pair.acceptor.connection, pattern(100)));
    pair.run(1s);
  }
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>(), nullptr);
  pair.run(6s);
  const auto* closed = pair.dialler.find<ConnectionClosed>();
  ASSERT_NE(closed, nullptr);
  EXPECT_EQ(closed->error, QuicErrc::idle_timeout);
  EXPECT_EQ(closed->reason, "the peer is heard, but acknowledges nothing");
}

TEST_F(Quic, a_heartbeat_as_slow_as_the_idle_time_out_is_no_silence) {
  connect();
  const auto dialler = *pair.dialler.connection;
  const StreamId stream = pair.dialler.endpoint->open_stream(dialler, false).value();
  Bytes data = pattern(20);
  ASSERT_TRUE(pair.dialler.endpoint->write(dialler, stream, data, false));
  // The second write is under way when the patience that the first one began comes to its end.
  pair.run(QuicConfig{}.idle_timeout + 2ms);
  data = pattern(20);
  ASSERT_TRUE(pair.dialler.endpoint->write(dialler, stream, data, false));
  pair.run(5s);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>(), nullptr);
}

TEST_F(Quic, a_quiet_stream_that_was_acknowledged_keeps_its_connection) {
  connect();
  const auto dialler = *pair.dialler.connection;
  const StreamId stream = pair.dialler.endpoint->open_stream(dialler, false).value();
  Bytes data = pattern(2000);
  ASSERT_TRUE(pair.dialler.endpoint->write(dialler, stream, data, false));
  pair.run(100s);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>(), nullptr);
}

TEST_F(Quic, nobody_there_ends_with_a_handshake_timeout) {
  pair.lose = [](bool, ByteView) { return true; };
  pair.dial();
  pair.run(40s);
  ASSERT_NE(pair.dialler.find<ConnectionClosed>(), nullptr);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>()->error, QuicErrc::handshake_timeout);
}

TEST_F(Quic, a_restarted_peer_resets_the_connections_of_its_former_life) {
  connect();
  TestSide reborn(2, QuicConfig{}, TlsOptions{});  // the same identity, an empty table
  ASSERT_EQ(reborn.identity.node_id(), pair.acceptor.identity.node_id());
  std::swap(pair.acceptor.endpoint, reborn.endpoint);
  const StreamId stream =
      pair.dialler.endpoint->open_stream(*pair.dialler.connection, false).value();
  Bytes data = pattern(2000);
  ASSERT_TRUE(pair.dialler.endpoint->write(*pair.dialler.connection, stream, data, false));
  pair.run(500ms);
  ASSERT_NE(pair.dialler.find<ConnectionClosed>(), nullptr);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>()->error, QuicErrc::reset_by_peer);
}

TEST_F(Quic, another_quic_version_is_answered_with_ours) {
  Bytes datagram = pattern(1200);
  datagram[0] = 0xc0;
  datagram[1] = 0x1a;  // a version reserved for this purpose (RFC 9000 s15)
  datagram[2] = datagram[3] = datagram[4] = 0x2a;
  datagram[5] = 8;
  datagram[14] = 8;
  ASSERT_EQ(pair.acceptor.endpoint->route(datagram).kind, QuicRoute::Kind::version);
  std::array<std::uint8_t, 1500> out{};
  const std::size_t size = pair.acceptor.endpoint->stateless_answer(pair.now, datagram, out);
  ASSERT_GT(size, 0u);
  EXPECT_LT(size, datagram.size());
  EXPECT_EQ(out[1] | out[2] | out[3] | out[4], 0) << "version 0 is version negotiation";
}

TEST_F(Quic, stateless_resets_are_rate_limited_and_shorter_than_their_cause) {
  Bytes datagram = pattern(60);
  datagram[0] = 0x40;
  std::size_t answers = 0;
  for (int i = 0; i < 1000; ++i) {
    datagram[1] = static_cast<std::uint8_t>(i);
    std::array<std::uint8_t, 1500> out{};
    const std::size_t size = pair.acceptor.endpoint->stateless_answer(pair.now, datagram, out);
    EXPECT_LT(size, datagram.size());
    if (size > 0) ++answers;
  }
  EXPECT_EQ(answers, 100u);
  EXPECT_EQ(pair.acceptor.endpoint->counters().answers_suppressed, 900u);
}

TEST_F(Quic, garbage_makes_no_connection_and_no_noise) {
  Rng rng(3);
  for (int i = 0; i < 20'000; ++i) {
    Bytes datagram(rng.below(1500) + 1);
    rng.fill(datagram);
    const QuicRoute route = pair.acceptor.endpoint->route(datagram);
    if (route.kind == QuicRoute::Kind::initial) {
      EXPECT_FALSE(pair.acceptor.endpoint->accept(pair.now, TestPair::label, Ecn::not_ect, datagram)
                       .has_value());
    }
  }
  EXPECT_EQ(pair.acceptor.endpoint->connections(), 0u);
}

// THREATS TQ14: half-open connections are bounded, and their slots come back.
TEST(QuicLimits, half_open_connections_are_bounded_and_expire) {
  QuicConfig config;
  config.max_half_open = 10;
  TestPair pair(config);
  pair.lose = [](bool to_acceptor, ByteView) { return !to_acceptor; };
  for (int i = 0; i < 30; ++i)
    pair.dial();
  pair.run(100ms);
  EXPECT_EQ(pair.acceptor.endpoint->connections(), 10u);
  EXPECT_GE(pair.acceptor.endpoint->counters().refused_full, 20u);
  pair.run(40s);
  EXPECT_EQ(pair.acceptor.endpoint->connections(), 0u);
}

// THREATS TQ6: a peer that makes us hold more than its budget is closed with a name for it.
TEST(QuicLimits, a_connection_over_its_memory_budget_is_closed) {
  QuicConfig greedy;
  QuicConfig frugal;
  frugal.budget_unproven = 60'000;
  TestPair pair(greedy, {}, {}, &frugal);
  pair.dial();
  pair.run(200ms);
  const StreamId stream =
      pair.dialler.endpoint->open_stream(*pair.dialler.connection, false).value();
  Bytes data = pattern(200'000);
  ASSERT_TRUE(pair.dialler.endpoint->write(*pair.dialler.connection, stream, data, false));
  pair.run(500ms);
  ASSERT_NE(pair.acceptor.find<ConnectionClosed>(), nullptr);
  EXPECT_EQ(pair.acceptor.find<ConnectionClosed>()->error, QuicErrc::budget_exceeded);
  ASSERT_NE(pair.dialler.find<ConnectionClosed>(), nullptr);
  EXPECT_EQ(pair.dialler.find<ConnectionClosed>()->error, QuicErrc::budget_exceeded);
}

}  // namespace
}  // namespace quicmesh
