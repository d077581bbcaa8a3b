// How much streams may hold unsent when the peer does not read: one stream, a connection, all of
// them.
#include <gtest/gtest.h>

#include "quic/pair_for_tests.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t piece_size = 4096;

class Unsent : public testing::Test {
 protected:
  void connect(TestPair& pair) {
    pair.dial();
    pair.run(200ms);
    ASSERT_NE(pair.dialler.find<ConnectionConfirmed>(), nullptr);
    pair.dialler.events.clear();
  }

  /// Writes to `stream` until that would block; how much that was.
  std::size_t fill(TestPair& pair, StreamId stream) {
    std::size_t written = 0;
    for (;;) {
      Bytes piece(piece_size);
      if (!pair.dialler.endpoint->write(*pair.dialler.connection, stream, piece, false)) break;
      written += piece_size;
    }
    return written;
  }

  std::vector<StreamId> open(TestPair& pair, std::size_t count) {
    std::vector<StreamId> streams;
    for (std::size_t i = 0; i < count; ++i) {
      streams.push_back(pair.dialler.endpoint->open_stream(*pair.dialler.connection, true).value());
    }
    return streams;
  }
};

TEST_F(Unsent, many_streams_share_the_bound_of_their_connection) {
  TestPair pair;
  connect(pair);
  const QuicConfig config;
  std::size_t written = 0;
  const auto streams = open(pair, 90);
  for (const StreamId stream : streams) {
    const std::size_t one = fill(pair, stream);
    EXPECT_GE(one, config.stream_unsent_min) << "every stream may write";
    written += one;
  }
  EXPECT_GE(written, config.connection_unsent_max);
  EXPECT_LE(written, config.connection_unsent_max + config.stream_unsent_max +
                         streams.size() * (config.stream_unsent_min + piece_size));
}

TEST_F(Unsent, streams_over_the_bound_become_writable_by_their_own_progress) {
  TestPair pair;
  connect(pair);
  const auto streams = open(pair, 90);
  std::size_t written = 0;
  for (const StreamId stream : streams)
    written += fill(pair, stream);
  std::size_t read = 0;
  EXPECT_TRUE(pair.run_until([&] {
    for (const StreamId stream : streams)
      read += TestPair::read_all(pair.acceptor, stream).size();
    return read == written;
  }));
  EXPECT_EQ(pair.dialler.count<StreamWritable>(), streams.size());
  // And there is as much room as before.
  EXPECT_GE(fill(pair, streams.back()), QuicConfig().stream_unsent_max);
}

TEST_F(Unsent, what_reset_streams_held_is_free_again) {
  TestPair pair;
  connect(pair);
  QuicEndpoint& from = *pair.dialler.endpoint;
  for (int i = 0; i < 90; ++i) {
    const StreamId stream = from.open_stream(*pair.dialler.connection, false).value();
    (void)fill(pair, stream);
    ASSERT_TRUE(from.reset_stream(*pair.dialler.connection, stream, CloseCode::cancelled));
  }
  pair.run(1s);
  EXPECT_GE(fill(pair, open(pair, 1).front()), QuicConfig().stream_unsent_max);
}

TEST_F(Unsent, connections_share_the_bound_of_their_endpoint) {
  QuicConfig config;
  config.endpoint_unsent_max = 2 * config.stream_unsent_max;
  TestPair pair(config);
  connect(pair);
  const ConnectionHandle first = *pair.dialler.connection;
  const auto streams = open(pair, 10);
  for (int i = 0; i < 20; ++i) {  // also what flow control lets pass
    for (const StreamId stream : streams)
      (void)fill(pair, stream);
    pair.run(100ms);
  }
  pair.dial();
  pair.run(200ms);
  ASSERT_NE(*pair.dialler.connection, first);
  const StreamId tight = open(pair, 1).front();
  EXPECT_EQ(fill(pair, tight), config.stream_unsent_min);
  // What an ended connection held is free again.
  pair.dialler.endpoint->close(pair.now, first, CloseCode::goodbye, "");
  pair.run(20s);
  EXPECT_GE(fill(pair, open(pair, 1).front()), config.stream_unsent_max);
}

}  // namespace
}  // namespace quicmesh
