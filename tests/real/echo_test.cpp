// Streams between two nodes over real sockets: echo, half-close, many at once, resets, refusals.
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>

#include "quic/quic_errc.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/echo/1";

struct Pair {
  std::shared_ptr<Node> server;
  std::shared_ptr<Node> client;
  Connection connection;
};

/// Two nodes; the client is connected for `name`, which the server echoes.
awaitable<Result<Pair>> connected_pair(Config server_config, Config client_config) {
  const Executor executor = co_await asio::this_coro::executor;
  Pair pair;
  auto server = co_await Node::start(executor, std::move(server_config));
  if (!server) co_return failure(server.error());
  pair.server = *server;
  const auto handled = pair.server->handle(name, echo);
  if (!handled) co_return failure(handled.error());
  auto client = co_await Node::start(executor, std::move(client_config));
  if (!client) co_return failure(client.error());
  pair.client = *client;
  auto connection = co_await pair.client->connect(address_of(*pair.server), name);
  if (!connection) co_return failure(connection.error());
  pair.connection = *connection;
  co_return pair;
}

awaitable<Result<Bytes>> exchange(Connection connection, Bytes data) {
  auto stream = co_await connection.open_stream();
  if (!stream) co_return failure(stream.error());
  const auto written = co_await stream->write(std::move(data));
  if (!written) co_return failure(written.error());
  const auto finished = co_await stream->finish();
  if (!finished) co_return failure(finished.error());
  co_return co_await stream->read_all(64u << 20);
}

// S1.08
TEST(RealStream, echo_comes_back_over_ipv4) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    EXPECT_EQ(pair->connection.peer(), pair->server->id());
    const Bytes sent = pattern(1000);
    const auto back = co_await exchange(pair->connection, sent);
    CO_ASSERT_OK(back);
    EXPECT_EQ(*back, sent);
    EXPECT_EQ(pair->server->peers(), std::vector<NodeId>(1, pair->client->id()));
  });
}

TEST(RealStream, echo_comes_back_over_ipv6) {
  run([](asio::io_context&) -> awaitable<void> {
    Config server;
    server.listen = {SocketAddress::parse("[::1]:0").value()};
    Config client;
    client.listen = {SocketAddress::parse("[::1]:0").value()};
    auto pair = co_await connected_pair(std::move(server), std::move(client));
    CO_ASSERT_OK(pair);
    const auto back = co_await exchange(pair->connection, pattern(5000));
    CO_ASSERT_OK(back);
    EXPECT_EQ(*back, pattern(5000));
  });
}

TEST(RealStream, default_configuration_listens_on_any_address) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(Config(), Config());
    CO_ASSERT_OK(pair);
    const auto back = co_await exchange(pair->connection, pattern(10));
    CO_ASSERT_OK(back);
    EXPECT_EQ(*back, pattern(10));
  });
}

TEST(RealStream, many_nodes_share_one_runtime) {
  run([](asio::io_context&) -> awaitable<void> {
    auto runtime = Runtime::start();
    CO_ASSERT_OK(runtime);
    std::vector<Pair> pairs;
    for (int i = 0; i < 5; ++i) {
      auto pair = co_await connected_pair(loopback(*runtime), loopback(*runtime));
      CO_ASSERT_OK(pair);
      pairs.push_back(std::move(*pair));
    }
    for (const Pair& pair : pairs) {
      const auto back = co_await exchange(pair.connection, pattern(3000));
      CO_ASSERT_OK(back);
      EXPECT_EQ(*back, pattern(3000));
    }
  });
}

// S1.10
TEST(RealStream, two_hundred_streams_run_in_parallel) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    int good = 0;
    int ended = 0;
    constexpr int streams = 200;
    auto one = [&, connection = pair->connection](int i) -> awaitable<void> {
      const Bytes sent = pattern(20'000 + static_cast<std::size_t>(i), 100u + i);
      const auto back = co_await exchange(connection, sent);
      good += back && *back == sent ? 1 : 0;
      ++ended;
    };
    for (int i = 0; i < streams; ++i)
      asio::co_spawn(context, one(i), asio::detached);
    while (ended < streams)
      co_await pause(std::chrono::milliseconds(1));
    EXPECT_EQ(good, streams);
  });
}

TEST(RealStream, half_closed_stream_still_carries_the_answer) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto late = [](Stream stream) -> awaitable<void> {
      const auto all = co_await stream.read_all(1000);
      if (!all) co_return;
      (void)co_await stream.write("after the end: ");
      (void)co_await stream.write(*all);
      (void)co_await stream.finish();
    };
    CO_ASSERT_OK(pair->server->handle("late/1", late));
    auto connection = co_await pair->client->connect(pair->server->id(), "late/1");
    CO_ASSERT_OK(connection);
    const auto back = co_await exchange(*connection, to_bytes("question"));
    CO_ASSERT_OK(back);
    EXPECT_EQ(as_text(*back), "after the end: question");
  });
}

TEST(RealStream, read_exactly_cuts_what_it_was_asked_for) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto stream = co_await pair->connection.open_stream();
    CO_ASSERT_OK(stream);
    const Bytes sent = pattern(10'000);
    CO_ASSERT_OK(co_await stream->write(sent));
    CO_ASSERT_OK(co_await stream->finish());
    Bytes got;
    for (const std::size_t size : {1u, 5'000u, 4'000u}) {
      const auto part = co_await stream->read_exactly(size);
      CO_ASSERT_OK(part);
      EXPECT_EQ(part->size(), size);
      got.insert(got.end(), part->begin(), part->end());
    }
    const auto too_much = co_await stream->read_exactly(1'000);
    EXPECT_EQ(too_much.error(), IoErrc::ended_early);
    const auto too_long = co_await stream->read_all(998);
    EXPECT_FALSE(too_long.has_value());
    const auto rest = co_await stream->read_all(999);
    CO_ASSERT_OK(rest);
    got.insert(got.end(), rest->begin(), rest->end());
    EXPECT_EQ(got, sent);
  });
}

TEST(RealStream, reset_by_the_reader_ends_the_writer) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto refuse = [](Stream stream) -> awaitable<void> {
      (void)co_await stream.read();
      stream.reset();
    };
    CO_ASSERT_OK(pair->server->handle("refuse/1", refuse));
    auto connection = co_await pair->client->connect(pair->server->id(), "refuse/1");
    CO_ASSERT_OK(connection);
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);
    std::error_code error;
    while (!error) {
      const auto written = co_await stream->write(Bytes(100'000));
      if (!written) error = written.error();
    }
    EXPECT_TRUE(error == QuicErrc::stream_reset || error == QuicErrc::stream_closed)
        << error.message();
    const auto read = co_await stream->read();
    EXPECT_EQ(read.error(), QuicErrc::stream_reset);
  });
}

TEST(RealStream, dropping_a_stream_unfinished_resets_it) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto connection = co_await pair->client->connect(pair->server->id(), "accepted/1");
    CO_ASSERT_OK(connection);
    using namespace asio::experimental::awaitable_operators;
    auto send = [](Connection to) -> awaitable<void> {
      co_await pause(std::chrono::milliseconds(20));  // until `accept` has made the name known
      auto stream = co_await to.open_stream();
      CO_ASSERT_OK(stream);
      CO_ASSERT_OK(co_await stream->write("half a mess"));
      CO_ASSERT_OK(co_await stream->flushed());
    };
    auto accepted = co_await (pair->server->accept("accepted/1") && send(*connection));
    CO_ASSERT_OK(accepted);
    const auto first = co_await accepted->read();
    CO_ASSERT_OK(first);
    EXPECT_EQ(as_text(*first), "half a mess");
    const auto second = co_await accepted->read();
    EXPECT_EQ(second.error(), QuicErrc::stream_reset);
  });
}

TEST(RealStream, unknown_protocol_is_refused_while_other_streams_go_on) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto good = co_await pair->connection.open_stream();
    CO_ASSERT_OK(good);
    CO_ASSERT_OK(co_await good->write("first"));
    auto unknown = co_await pair->client->connect(pair->server->id(), "nobody/speaks/this");
    CO_ASSERT_OK(unknown);
    auto bad = co_await unknown->open_stream();
    CO_ASSERT_OK(bad);
    (void)co_await bad->write("hello?");
    const auto refused = co_await bad->read();
    EXPECT_EQ(refused.error(), QuicErrc::stream_refused);
    CO_ASSERT_OK(co_await good->write(" second"));
    CO_ASSERT_OK(co_await good->finish());
    const auto back = co_await good->read_all(100);
    CO_ASSERT_OK(back);
    EXPECT_EQ(as_text(*back), "first second");
  });
}

TEST(RealStream, empty_handles_say_so) {
  run([](asio::io_context&) -> awaitable<void> {
    Stream stream;
    Connection connection;
    EXPECT_FALSE(stream);
    EXPECT_FALSE(connection);
    EXPECT_EQ((co_await stream.read()).error(), IoErrc::empty_handle);
    EXPECT_EQ((co_await stream.write("x")).error(), IoErrc::empty_handle);
    EXPECT_EQ((co_await stream.finish()).error(), IoErrc::empty_handle);
    EXPECT_EQ((co_await stream.flushed()).error(), IoErrc::empty_handle);
    EXPECT_EQ((co_await connection.open_stream()).error(), IoErrc::empty_handle);
    EXPECT_EQ((co_await connection.receive_datagram()).error(), IoErrc::empty_handle);
    stream.reset();
    EXPECT_EQ(stream.protocol(), "");
  });
}

TEST(RealStream, second_reader_is_told_that_there_is_one) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto stream = co_await pair->connection.open_stream();
    CO_ASSERT_OK(stream);
    bool first_ended = false;
    auto first = [&]() -> awaitable<void> {
      (void)co_await stream->read();
      first_ended = true;
    };
    asio::co_spawn(context, first(), asio::detached);
    co_await pause(std::chrono::milliseconds(1));
    EXPECT_EQ((co_await stream->read()).error(), IoErrc::already_waiting);
    CO_ASSERT_OK(co_await stream->write("x"));
    while (!first_ended)
      co_await pause(std::chrono::milliseconds(1));
    CO_ASSERT_OK(co_await stream->finish());
    EXPECT_EQ((co_await stream->write("y")).error(), IoErrc::stream_finished);
  });
}

TEST(RealStream, cancelled_read_loses_nothing) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    auto stream = co_await pair->connection.open_stream();
    CO_ASSERT_OK(stream);
    using namespace asio::experimental::awaitable_operators;
    for (int i = 0; i < 20; ++i) {
      auto either = co_await (stream->read() || pause(std::chrono::milliseconds(1)));
      EXPECT_EQ(either.index(), 1u);
    }
    CO_ASSERT_OK(co_await stream->write("here"));
    const auto back = co_await stream->read();
    CO_ASSERT_OK(back);
    EXPECT_EQ(as_text(*back), "here");
  });
}

/// A stream on which `sent` has arrived, all of it.
awaitable<Result<Stream>> stream_with_arrived(const Pair& pair, const Bytes& sent) {
  auto told = std::make_shared<bool>(false);
  auto tell = [told, sent](Stream stream) -> awaitable<void> {
    (void)co_await stream.read();
    (void)co_await stream.write(sent);
    (void)co_await stream.finish();
    (void)co_await stream.flushed();
    *told = true;
  };
  if (const auto handled = pair.server->handle("tell/1", tell); !handled)
    co_return failure(handled.error());
  auto connection = co_await pair.client->connect(pair.server->id(), "tell/1");
  if (!connection) co_return failure(connection.error());
  auto stream = co_await connection->open_stream();
  if (!stream) co_return failure(stream.error());
  (void)co_await stream->write("go");
  while (!*told)
    co_await pause(std::chrono::milliseconds(1));
  // The client's network thread has acknowledged it; its next turn has given it to the stream.
  if (const auto status = co_await pair.client->status(); !status)
    co_return failure(status.error());
  co_return std::move(*stream);
}

TEST(RealStream, reader_with_a_backlog_lets_others_run) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    const Bytes sent = pattern(200'000);
    auto stream = co_await stream_with_arrived(*pair, sent);
    CO_ASSERT_OK(stream);
    std::size_t turns = 0;
    bool ended = false;
    auto count_turns = [&]() -> awaitable<void> {
      for (; !ended; ++turns)
        co_await asio::post(context, asio::use_awaitable);
      ended = false;
    };
    asio::co_spawn(context, count_turns(), asio::detached);
    Bytes got;
    while (got.size() < sent.size()) {
      const auto piece = co_await stream->read_exactly(16);
      CO_ASSERT_OK(piece);
      got.insert(got.end(), piece->begin(), piece->end());
    }
    EXPECT_EQ(got, sent);
    EXPECT_GE(turns, sent.size() / 16 / 64 / 2);

    // So does a writer.
    auto echoed = co_await pair->connection.open_stream();
    CO_ASSERT_OK(echoed);
    turns = 0;
    for (int i = 0; i < 10'000; ++i)
      CO_ASSERT_OK(co_await echoed->write("x"));
    EXPECT_GE(turns, 10'000u / 64 / 2);
    ended = true;
    while (ended)
      co_await asio::post(context, asio::use_awaitable);
  });
}

TEST(RealStream, read_cancelled_half_way_puts_back_what_it_has) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto pair = co_await connected_pair(loopback(), loopback());
    CO_ASSERT_OK(pair);
    const Bytes sent = pattern(200'000);
    auto stream = co_await stream_with_arrived(*pair, sent);
    CO_ASSERT_OK(stream);
    for (int round = 0; round < 3; ++round) {
      // It will have let others run when it has the first chunk, and is cancelled by one of them.
      asio::cancellation_signal signal;
      bool ended = false;
      auto read = [&]() -> awaitable<void> {
        for (int i = 0; i < 63; ++i)
          CO_ASSERT_OK(co_await stream->read_exactly(1));
        asio::post(context, [&] { signal.emit(asio::cancellation_type::terminal); });
        const auto all = co_await stream->read_exactly(150'000);
        CO_ASSERT(!all.has_value());
        EXPECT_EQ(all.error(), std::errc::operation_canceled);
      };
      asio::co_spawn(
          context, read(),
          asio::bind_cancellation_slot(signal.slot(), [&](std::exception_ptr) { ended = true; }));
      while (!ended)
        co_await pause(std::chrono::milliseconds(1));
    }
    const auto rest = co_await stream->read_all(sent.size());
    CO_ASSERT_OK(rest);
    EXPECT_EQ(*rest, Bytes(sent.begin() + 3 * 63, sent.end()));
  });
}

}  // namespace
}  // namespace quicmesh::real
