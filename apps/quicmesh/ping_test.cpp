// Tests of ping.cpp against peers that behave as `quicmesh ping` hardly ever does.
#include "ping.hpp"

#include <boost/json/object.hpp>

#include "node_fixture.hpp"
#include "operation.hpp"
#include "quic/quic_errc.hpp"

namespace quicmesh::cli {
namespace {

using Ping = NodeFixture;

/// Sends what was not asked for, and then keeps the stream open.
asio::awaitable<void> flood(Stream stream) {
  for (int i = 0; i < 64; ++i) {
    auto writing = stream.write(Bytes(16'384));
    const auto written = co_await std::move(writing);
    if (!written) co_return;
  }
  while (true) {
    auto reading = stream.read();
    const auto chunk = co_await std::move(reading);
    if (!chunk || chunk->empty()) co_return;
  }
}

/// Pings such a peer; the last event is `last`.
asio::awaitable<int> ping_flooder(NodeHost& host, boost::json::object& last) {
  const auto executor = co_await asio::this_coro::executor;
  auto starting = Node::start(executor, loopback_config());
  const auto flooder = co_await std::move(starting);
  EXPECT_TRUE((*flooder)->handle(ping_protocol, flood));
  Operation operation{.host = host,
                      .request = {{"cmd", "ping"},
                                  {"node", (*flooder)->node_address()},
                                  {"count", 2},
                                  {"interval", 0},
                                  {"timeout", 2}},
                      .emit = [&last](const boost::json::object& event) { last = event; }};
  auto pinging = run_operation(std::move(operation));
  const int code = co_await std::move(pinging);
  auto closing = (*flooder)->close();
  (void)co_await std::move(closing);  // it has done its part
  co_return code;
}

TEST_F(Ping, answers_that_nobody_asked_for_end_it) {
  boost::json::object last;
  EXPECT_EQ(run([&](NodeHost& host, EventSink) { return ping_flooder(host, last); }), exit_failed);
  EXPECT_EQ(text_of(last, "event"), "summary");
  EXPECT_EQ(last["received"], 0);
}

/// Opens one stream more than a peer may have, and asks for an answer on each.
asio::awaitable<int> ping_on_many_streams(NodeHost& host, std::size_t& answered,
                                          std::error_code& refusal) {
  const auto executor = co_await asio::this_coro::executor;
  auto starting = Node::start(executor, loopback_config());
  const auto node = co_await std::move(starting);
  auto address = NodeAddress::parse(host.node()->node_address());
  auto connecting = (*node)->connect(std::move(*address), ping_protocol);
  auto connection = co_await std::move(connecting);
  std::vector<Stream> streams;
  for (std::size_t i = 0; i <= PingQuota::streams_per_peer_max; ++i) {
    auto opening = connection->open_stream();
    auto stream = co_await std::move(opening);
    auto writing = stream->write(Bytes(ping_size));
    (void)co_await std::move(writing);  // the answer is what counts
    auto reading = stream->read_exactly(ping_size);
    const auto answer = co_await std::move(reading);
    if (answer) {
      ++answered;
    } else {
      refusal = answer.error();
    }
    streams.push_back(std::move(*stream));
  }
  auto closing = (*node)->close();
  (void)co_await std::move(closing);  // it has done its part
  co_return exit_done;
}

TEST_F(Ping, peer_has_so_many_streams_at_once) {
  std::size_t answered = 0;
  std::error_code refusal;
  EXPECT_EQ(
      run([&](NodeHost& host, EventSink) { return ping_on_many_streams(host, answered, refusal); }),
      exit_done);
  EXPECT_EQ(answered, PingQuota::streams_per_peer_max);
  EXPECT_EQ(refusal, QuicErrc::stream_reset);
}

}  // namespace
}  // namespace quicmesh::cli
