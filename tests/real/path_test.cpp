// Moving a connection by hand through the public API: the dialler moves, the acceptor asks for it.
// Both nodes have two addresses of loopback, so there are four paths between them.
#include <gtest/gtest.h>

#include "path/path_errc.hpp"
#include "quic/quic_errc.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/path/1";

Config two_addresses(std::shared_ptr<Runtime> runtime) {
  Config config = loopback(std::move(runtime));
  config.listen = {SocketAddress::parse("127.0.0.1:0").value(),
                   SocketAddress::parse("127.0.0.2:0").value()};
  return config;
}

struct Pair {
  std::shared_ptr<Node> dialler;
  std::shared_ptr<Node> acceptor;
};

awaitable<Result<Pair>> connected_pair() {
  const Executor executor = co_await asio::this_coro::executor;
  auto runtime = Runtime::start();
  if (!runtime) co_return failure(runtime.error());
  Pair pair;
  for (auto* node : {&pair.dialler, &pair.acceptor}) {
    Config config = two_addresses(*runtime);
    auto started = co_await Node::start(executor, std::move(config));
    if (!started) co_return failure(started.error());
    *node = *started;
    const auto handled = (*node)->handle(name, echo);
    if (!handled) co_return failure(handled.error());
  }
  auto connection = co_await pair.dialler->connect(address_of(*pair.acceptor), name);
  if (!connection) co_return failure(connection.error());
  co_return pair;
}

/// A path of `node` to `peer` that is not in use, to another address than the one in use, once it
/// has answered a probe.
awaitable<Result<PathStatus>> other_path(std::shared_ptr<Node> node, NodeId peer) {
  for (;;) {
    const auto paths = co_await node->paths(peer);
    if (!paths) co_return failure(paths.error());
    SocketAddress in_use;
    for (const PathStatus& path : *paths) {
      if (path.current) in_use = path.remote;
    }
    for (const PathStatus& path : *paths) {
      if (!path.current && path.remote.ip != in_use.ip && path.rtt) co_return path;
    }
    co_await pause(std::chrono::milliseconds(5));
  }
}

awaitable<Result<event::PathChanged>> next_change(std::shared_ptr<Node> node) {
  for (;;) {
    auto event = co_await node->next_event();
    if (!event) co_return failure(event.error());
    if (const auto* changed = std::get_if<event::PathChanged>(&*event)) co_return *changed;
  }
}

awaitable<Result<Bytes>> echo_over(std::shared_ptr<Node> node, NodeId peer, Bytes data) {
  auto connection = co_await node->connect(peer, name);
  if (!connection) co_return failure(connection.error());
  auto stream = co_await connection->open_stream();
  if (!stream) co_return failure(stream.error());
  const auto written = co_await stream->write(std::move(data));
  if (!written) co_return failure(written.error());
  const auto finished = co_await stream->finish();
  if (!finished) co_return failure(finished.error());
  co_return co_await stream->read_all(1u << 20);
}

// S1.45
TEST(RealPath, the_dialler_moves_its_connection_to_a_path_of_its_choice) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair();
    CO_ASSERT_OK(pair);
    const NodeId peer = pair->acceptor->id();
    const auto other = co_await other_path(pair->dialler, peer);
    CO_ASSERT_OK(other);
    const auto moved = co_await pair->dialler->move_to_path(peer, other->remote);
    CO_ASSERT_OK(moved);
    const auto changed = co_await next_change(pair->dialler);
    CO_ASSERT_OK(changed);
    EXPECT_EQ(changed->peer, peer);
    EXPECT_EQ(changed->to, other->remote);
    EXPECT_EQ(changed->stall, Duration{}) << "planned";
    const Bytes sent = pattern(100'000);
    const auto back = co_await echo_over(pair->dialler, peer, sent);
    CO_ASSERT_OK(back);
    EXPECT_EQ(*back, sent);
    const auto paths = co_await pair->dialler->paths(peer);
    CO_ASSERT_OK(paths);
    for (const PathStatus& path : *paths) {
      EXPECT_EQ(path.current, path.remote == other->remote && path.local == other->local)
          << path.local.to_string() << " to " << path.remote.to_string();
    }
    (void)co_await pair->dialler->close();
    (void)co_await pair->acceptor->close();
  });
}

// S1.46
TEST(RealPath, the_acceptor_asks_for_a_path_and_the_dialler_follows) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair();
    CO_ASSERT_OK(pair);
    const NodeId peer = pair->dialler->id();
    const auto other = co_await other_path(pair->acceptor, peer);
    CO_ASSERT_OK(other);
    const auto refused = co_await pair->acceptor->move_to_path(peer, other->remote);
    EXPECT_EQ(refused, failure(QuicErrc::only_dialler_migrates));
    const auto asked = co_await pair->acceptor->suggest_path(peer, other->remote);
    CO_ASSERT_OK(asked);
    const auto changed = co_await next_change(pair->acceptor);
    CO_ASSERT_OK(changed);
    EXPECT_EQ(changed->to, other->remote);
    const Bytes sent = pattern(100'000);
    const auto back = co_await echo_over(pair->acceptor, peer, sent);
    CO_ASSERT_OK(back);
    EXPECT_EQ(*back, sent);
    (void)co_await pair->dialler->close();
    (void)co_await pair->acceptor->close();
  });
}

TEST(RealPath, what_is_no_path_is_refused) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair();
    CO_ASSERT_OK(pair);
    const SocketAddress nobody = SocketAddress::parse("127.0.0.3:4433").value();
    const NodeId peer = pair->acceptor->id();
    const auto unknown = co_await pair->dialler->move_to_path(peer, nobody);
    EXPECT_EQ(unknown, failure(PathErrc::unknown_path));
    const auto not_known_either =
        co_await pair->acceptor->suggest_path(pair->dialler->id(), nobody);
    EXPECT_EQ(not_known_either, failure(PathErrc::unknown_path));
    NodeId stranger;
    stranger.bytes.fill(7);
    const auto paths = co_await pair->dialler->paths(stranger);
    EXPECT_EQ(paths.error(), make_error_code(PathErrc::not_connected));
    (void)co_await pair->dialler->close();
    (void)co_await pair->acceptor->close();
  });
}

// The three of them on a live connection: it goes on, and the event says that it was looked at.
TEST(RealPath, a_change_of_network_and_a_sleep_leave_the_connection_in_place) {
  run([](asio::io_context&) -> awaitable<void> {
    auto pair = co_await connected_pair();
    CO_ASSERT_OK(pair);
    const NodeId peer = pair->acceptor->id();
    const auto told = co_await pair->dialler->network_changed();
    CO_ASSERT_OK(told);
    for (bool seen = false; !seen;) {
      auto event = co_await pair->dialler->next_event();
      CO_ASSERT_OK(event);
      if (const auto* changed = std::get_if<event::NetworkChanged>(&*event)) {
        EXPECT_EQ(changed->addresses, pair->dialler->listen_addresses());
        seen = true;
      }
    }
    const auto asleep = co_await pair->dialler->suspend();
    CO_ASSERT_OK(asleep);
    const auto before = co_await pair->dialler->status();
    CO_ASSERT_OK(before);
    co_await pause(std::chrono::milliseconds(100));
    const auto after = co_await pair->dialler->status();
    CO_ASSERT_OK(after);
    EXPECT_EQ(after->datagrams_sent, before->datagrams_sent);
    const auto awake = co_await pair->dialler->resume();
    CO_ASSERT_OK(awake);
    const Bytes sent = pattern(100'000);
    const auto back = co_await echo_over(pair->dialler, peer, sent);
    CO_ASSERT_OK(back);
    EXPECT_EQ(*back, sent);
    (void)co_await pair->dialler->close();
    (void)co_await pair->acceptor->close();
    const auto closed = co_await pair->dialler->network_changed();
    EXPECT_FALSE(closed);
  });
}

}  // namespace
}  // namespace quicmesh::real
