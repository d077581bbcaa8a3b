// Volume: large transfers, back-pressure, closing with much still to send, refused GSO.
#include <gtest/gtest.h>

#include <array>

#include "crypto/blake3.hpp"
#include "io/udp_socket.hpp"
#include "quic/quic_config.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

using Hash = std::array<std::uint8_t, 32>;

Hash hash_of(const Blake3& hasher) {
  Hash hash;
  hasher.finish(hash);
  return hash;
}

struct Received {
  std::uint64_t bytes = 0;
  Hash hash{};
  std::error_code error;
  bool ended = false;
};

/// Reads to the end and remembers what it was.
awaitable<void> swallow(Stream stream, std::shared_ptr<Received> received) {
  Blake3 hasher;
  for (;;) {
    const auto chunk = co_await stream.read();
    if (!chunk) {
      received->error = chunk.error();
      break;
    }
    if (chunk->empty()) break;
    received->bytes += chunk->size();
    hasher.update(*chunk);
  }
  received->hash = hash_of(hasher);
  received->ended = true;
  (void)co_await stream.finish();
}

struct Flow {
  std::shared_ptr<Node> server;
  std::shared_ptr<Node> client;
  std::shared_ptr<Received> received = std::make_shared<Received>();
  Stream stream;
};

awaitable<Result<Flow>> open_flow(Config server, Config client) {
  const Executor executor = co_await asio::this_coro::executor;
  Flow flow;
  auto server_node = co_await Node::start(executor, std::move(server));
  if (!server_node) co_return failure(server_node.error());
  flow.server = *server_node;
  auto handler = [received = flow.received](Stream stream) {
    return swallow(std::move(stream), received);
  };
  const auto handled = flow.server->handle("bulk/1", handler);
  if (!handled) co_return failure(handled.error());
  auto client_node = co_await Node::start(executor, std::move(client));
  if (!client_node) co_return failure(client_node.error());
  flow.client = *client_node;
  auto connection = co_await flow.client->connect(address_of(*flow.server), "bulk/1");
  if (!connection) co_return failure(connection.error());
  auto stream = co_await connection->open_stream();
  if (!stream) co_return failure(stream.error());
  flow.stream = std::move(*stream);
  co_return flow;
}

constexpr std::size_t chunk_size = 100'000;

/// Writes `count` chunks and hashes them.
awaitable<Result<Hash>> send_chunks(Stream& stream, std::size_t count) {
  Blake3 hasher;
  for (std::size_t i = 0; i < count; ++i) {
    Bytes chunk = pattern(chunk_size, i);
    hasher.update(chunk);
    const auto written = co_await stream.write(std::move(chunk));
    if (!written) co_return failure(written.error());
  }
  co_return hash_of(hasher);
}

TEST(RealBulk, hundred_megabytes_arrive_unchanged) {
  run([](asio::io_context&) -> awaitable<void> {
    auto flow = co_await open_flow(loopback(), loopback());
    CO_ASSERT_OK(flow);
    const auto sent = co_await send_chunks(flow->stream, 1000);
    CO_ASSERT_OK(sent);
    CO_ASSERT_OK(co_await flow->stream.finish());
    const auto end = co_await flow->stream.read();
    CO_ASSERT_OK(end);
    EXPECT_TRUE(end->empty());
    EXPECT_EQ(flow->received->bytes, 1000 * chunk_size);
    EXPECT_EQ(flow->received->hash, *sent);
    const auto status = co_await flow->client->status();
    CO_ASSERT_OK(status);
    EXPECT_EQ(status->sends_refused_gso, 0u);
    EXPECT_LT(status->send_calls * 4, status->datagrams_sent) << "trains are used";
  });
}

TEST(RealBulk, writer_stops_when_the_reader_does_not_read) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto flow = co_await open_flow(loopback(), loopback());
    CO_ASSERT_OK(flow);
    auto connection = co_await flow->client->connect(flow->server->id(), "idle/1");
    CO_ASSERT_OK(connection);
    auto held = std::make_shared<Stream>();
    auto hold = [held](Stream stream) -> awaitable<void> {
      *held = std::move(stream);
      co_return;
    };
    CO_ASSERT_OK(flow->server->handle("idle/1", hold));
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);

    std::size_t written = 0;
    bool ended = false;
    auto write = [&]() -> awaitable<void> {
      while (co_await stream->write(Bytes(chunk_size)))
        written += chunk_size;
      ended = true;
    };
    asio::co_spawn(context, write(), asio::detached);
    std::size_t before = 1;
    while (written != before || written == 0) {
      before = written;
      co_await pause(std::chrono::milliseconds(200));
    }
    // The peer's window (12 MB), the send buffer (4 MB), and what is queued before it.
    EXPECT_LT(written, 20u << 20);
    EXPECT_FALSE(ended);
    // Other streams of the connection go on, and reading lets the writer go on.
    CO_ASSERT_OK(co_await flow->stream.write("still here"));
    CO_ASSERT_OK(co_await flow->stream.flushed());
    std::size_t read = 0;
    while (read < 2 * before) {
      const auto chunk = co_await held->read();
      CO_ASSERT_OK(chunk);
      read += chunk->size();
    }
    EXPECT_GT(written, before);
    held->reset();
    while (!ended)
      co_await pause(std::chrono::milliseconds(1));
  });
}

/// Writes until nobody takes anything more, and counts in `written`.
awaitable<void> push(Stream stream, std::shared_ptr<std::size_t> written) {
  const Bytes piece(16'384);
  while (co_await stream.write(ByteView(piece)))
    *written += piece.size();
}

/// Returns when `count` has stood still for a while, but not at zero.
awaitable<void> settled(std::shared_ptr<std::size_t> count) {
  std::size_t before = 1;
  while (*count != before || *count == 0) {
    before = *count;
    co_await pause(std::chrono::milliseconds(300));
  }
}

TEST(RealBulk, peer_that_reads_none_of_a_hundred_streams_costs_little_memory) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto flow = co_await open_flow(loopback(), loopback());
    CO_ASSERT_OK(flow);
    auto written = std::make_shared<std::size_t>(0);
    auto handler = [written](Stream stream) { return push(std::move(stream), written); };
    CO_ASSERT_OK(flow->server->handle("push/1", handler));
    auto connection = co_await flow->client->connect(flow->server->id(), "push/1");
    CO_ASSERT_OK(connection);
    constexpr std::size_t count = 99;  // one more is open
    std::vector<Stream> unread;
    for (std::size_t i = 0; i < count; ++i) {
      auto stream = co_await connection->open_stream();
      CO_ASSERT_OK(stream);
      CO_ASSERT_OK(co_await stream->write("go"));
      unread.push_back(std::move(*stream));
    }
    co_await settled(written);
    // Queued by the node, unsent in the connection, and the peer's window; of each bound what one
    // stream may pass it by, and what every stream may always have.
    const QuicConfig quic;
    const std::size_t bound = Stream::write_queue_peer_max + Stream::write_queue_max +
                              quic.connection_unsent_max + quic.stream_unsent_max +
                              quic.initial_connection_window +
                              count * (2 * Stream::write_queue_min + quic.stream_unsent_min);
    EXPECT_LT(*written, bound);
    EXPECT_LT(bound, 16u << 20);

    // Another peer's stream goes on all the same.
    auto other = co_await Node::start(context.get_executor(), loopback());
    CO_ASSERT_OK(other);
    auto theirs = co_await (*other)->connect(address_of(*flow->server), "push/1");
    CO_ASSERT_OK(theirs);
    auto stream = co_await theirs->open_stream();
    CO_ASSERT_OK(stream);
    CO_ASSERT_OK(co_await stream->write("go"));
    CO_ASSERT_OK(co_await stream->read_exactly(20u << 20));
  });
}

TEST(RealBulk, close_flushes_fifty_megabytes) {
  run([](asio::io_context&) -> awaitable<void> {
    auto flow = co_await open_flow(loopback(), loopback());
    CO_ASSERT_OK(flow);
    const auto sent = co_await send_chunks(flow->stream, 500);
    CO_ASSERT_OK(sent);
    CO_ASSERT_OK(co_await flow->stream.finish());
    CO_ASSERT_OK(co_await flow->client->close());
    while (!flow->received->ended)
      co_await pause(std::chrono::milliseconds(1));
    EXPECT_FALSE(flow->received->error) << flow->received->error.message();
    EXPECT_EQ(flow->received->hash, *sent);
    EXPECT_FALSE((co_await flow->stream.write("too late")).has_value());
    EXPECT_EQ((co_await flow->client->status()).error(), IoErrc::node_closed);
    const NodeId server = flow->server->id();
    EXPECT_EQ((co_await flow->client->connect(server, "x")).error(), IoErrc::node_closed);
  });
}

TEST(RealBulk, one_write_of_thirty_megabytes_is_taken) {
  run([](asio::io_context&) -> awaitable<void> {
    auto flow = co_await open_flow(loopback(), loopback());
    CO_ASSERT_OK(flow);
    const Bytes data = pattern(30'000'001);
    CO_ASSERT_OK(co_await flow->stream.write(data));
    CO_ASSERT_OK(co_await flow->stream.finish());
    CO_ASSERT_OK(co_await flow->stream.flushed());
    CO_ASSERT_OK(co_await flow->stream.read());
    Blake3 hasher;
    hasher.update(data);
    EXPECT_EQ(flow->received->hash, hash_of(hasher));
  });
}

}  // namespace
}  // namespace quicmesh::real
