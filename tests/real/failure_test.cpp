// What goes wrong: wrong identities, silence, taken ports, handles that outlive what they stand
// for.
#include <gtest/gtest.h>

#include <sys/socket.h>
#include <unistd.h>

#include <optional>

#include <boost/asio/experimental/awaitable_operators.hpp>

#include "path/path_errc.hpp"
#include "quic/quic_errc.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/echo/1";

awaitable<Result<std::shared_ptr<Node>>> start_echo(Config config) {
  auto node = co_await Node::start(co_await asio::this_coro::executor, std::move(config));
  if (!node) co_return failure(node.error());
  const auto handled = (*node)->handle(name, echo);
  if (!handled) co_return failure(handled.error());
  co_return *node;
}

// S1.66, S1.69
TEST(RealFailure, node_with_another_identity_is_not_connected_to) {
  run([](asio::io_context&) -> awaitable<void> {
    auto server = co_await start_echo(loopback());
    auto client = co_await start_echo(loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    NodeAddress address = address_of(**server);
    address.id = Keypair::generate().node_id();
    const auto connection = co_await (*client)->connect(address, name);
    EXPECT_EQ(connection.error(), QuicErrc::wrong_peer);
    EXPECT_TRUE((*client)->peers().empty());
    const auto event = co_await (*client)->next_event();
    CO_ASSERT_OK(event);
    EXPECT_TRUE(std::holds_alternative<event::PeerUnreachable>(*event));
  });
}

TEST(RealFailure, silence_ends_in_handshake_timeout) {
  run([](asio::io_context&) -> awaitable<void> {
    auto silent = co_await start_echo(loopback());
    CO_ASSERT_OK(silent);
    const NodeAddress address = address_of(**silent);
    silent->reset();
    Config config = loopback();
    config.handshake_timeout = 200ms;
    auto client = co_await start_echo(std::move(config));
    CO_ASSERT_OK(client);
    const auto connection = co_await (*client)->connect(address, name);
    EXPECT_EQ(connection.error(), QuicErrc::handshake_timeout);
  });
}

TEST(RealFailure, dialling_without_an_address_or_oneself_fails_at_once) {
  run([](asio::io_context&) -> awaitable<void> {
    auto node = co_await start_echo(loopback());
    CO_ASSERT_OK(node);
    const auto nowhere = co_await (*node)->connect(Keypair::generate().node_id(), name);
    EXPECT_EQ(nowhere.error(), PathErrc::no_candidates);
    const auto oneself = co_await (*node)->connect(address_of(**node), name);
    EXPECT_EQ(oneself.error(), PathErrc::dialled_oneself);
    const auto nameless = co_await (*node)->connect(address_of(**node), "two words");
    EXPECT_EQ(nameless.error(), PathErrc::bad_protocol_name);
    NodeAddress other;
    other.id = Keypair::generate().node_id();
    other.addresses = {HostPort::parse("[::1]:1").value()};
    const auto no_family = co_await (*node)->connect(other, name);
    EXPECT_EQ(no_family.error(), IoErrc::no_address_of_family);
  });
}

TEST(RealFailure, taken_port_and_foreign_address_are_named) {
  run([](asio::io_context&) -> awaitable<void> {
    auto first = co_await start_echo(loopback());
    CO_ASSERT_OK(first);
    Config taken;
    taken.listen = (*first)->listen_addresses();
    const auto second = co_await start_echo(std::move(taken));
    EXPECT_EQ(second.error(), IoErrc::address_in_use);
    EXPECT_FALSE(hint(second.error()).empty());
    Config foreign;
    foreign.listen = {SocketAddress::parse("192.0.2.1:0").value()};
    const auto third = co_await start_echo(std::move(foreign));
    EXPECT_EQ(third.error(), IoErrc::no_such_address);
  });
}

TEST(RealFailure, protocol_has_one_handler) {
  run([](asio::io_context&) -> awaitable<void> {
    auto node = co_await start_echo(loopback());
    CO_ASSERT_OK(node);
    EXPECT_EQ((*node)->handle(name, echo).error(), IoErrc::already_handled);
    EXPECT_EQ((*node)->handle("", echo).error(), PathErrc::bad_protocol_name);
    EXPECT_EQ((co_await (*node)->accept(name)).error(), IoErrc::already_handled);
    (*node)->remove_handler(name);
    EXPECT_TRUE((*node)->handle(name, echo).has_value());
  });
}

TEST(RealFailure, operations_pending_on_a_destroyed_node_end) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto server = co_await start_echo(loopback());
    auto client = co_await start_echo(loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    auto listen = [](Connection flow) -> awaitable<void> {
      (void)co_await flow.receive_datagram();
    };
    CO_ASSERT_OK((*server)->handle_datagrams(name, listen));
    auto connection = co_await (*client)->connect(address_of(**server), name);
    CO_ASSERT_OK(connection);
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);
    int ended = 0;
    auto note = [&](auto task, std::error_code expected) -> awaitable<void> {
      const auto result = co_await std::move(task);
      EXPECT_EQ(result ? std::error_code() : result.error(), expected);
      ++ended;
    };
    const std::error_code closed = IoErrc::node_closed;
    asio::co_spawn(context, note(stream->read(), closed), asio::detached);
    asio::co_spawn(context, note((*client)->next_event(), std::error_code()), asio::detached);
    asio::co_spawn(context, note((*client)->accept("some/1"), closed), asio::detached);
    asio::co_spawn(context, note(connection->receive_datagram(), closed), asio::detached);
    co_await pause(std::chrono::milliseconds(5));
    client->reset();
    while (ended < 4)
      co_await pause(std::chrono::milliseconds(1));
    EXPECT_EQ((co_await stream->write("x")).error(), IoErrc::node_closed);
    EXPECT_EQ((co_await connection->open_stream()).error(), IoErrc::node_closed);
    // The peer is told.
    for (;;) {
      const auto event = co_await (*server)->next_event();
      CO_ASSERT_OK(event);
      if (const auto* down = std::get_if<event::PeerDown>(&*event)) {
        EXPECT_EQ(down->error, QuicErrc::closed_by_peer);
        break;
      }
    }
  });
}

TEST(RealFailure, context_may_go_before_everything_else) {
  std::shared_ptr<Node> server;
  std::optional<Connection> connection;
  std::optional<Stream> stream;
  {
    asio::io_context context(1);
    auto body = [&]() -> awaitable<void> {
      auto node = co_await start_echo(loopback());
      CO_ASSERT_OK(node);
      server = *node;
      auto client = co_await start_echo(loopback());
      CO_ASSERT_OK(client);
      auto found = co_await (*client)->connect(address_of(*server), name);
      CO_ASSERT_OK(found);
      connection = *found;
      auto opened = co_await connection->open_stream();
      CO_ASSERT_OK(opened);
      stream = std::move(*opened);
      context.stop();
      (void)co_await stream
          ->read();  // never resumed: its frame, with `client`, goes with the context
      ADD_FAILURE();
    };
    asio::co_spawn(context, body(), asio::detached);
    context.run();
  }
  ASSERT_TRUE(stream.has_value());
  stream->reset();
  stream.reset();
  connection.reset();
  server.reset();
}

TEST(RealFailure, peer_that_closes_tells_why) {
  run([](asio::io_context&) -> awaitable<void> {
    auto server = co_await start_echo(loopback());
    auto client = co_await start_echo(loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    auto connection = co_await (*client)->connect(address_of(**server), name);
    CO_ASSERT_OK(connection);
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);
    CO_ASSERT_OK(co_await stream->write("x"));
    CO_ASSERT_OK(co_await stream->read());
    auto back = co_await (*server)->connect((*client)->id(), name);
    CO_ASSERT_OK(back);
    CO_ASSERT_OK(co_await back->close("we are moving house"));
    EXPECT_EQ((co_await stream->read()).error(), QuicErrc::closed_by_peer);
    EXPECT_EQ((*client)->last_reason((*server)->id()), "we are moving house");
    EXPECT_EQ((co_await connection->open_stream()).error(), PathErrc::not_connected);
    // And it can be dialled again.
    auto again = co_await (*client)->connect(address_of(**server), name);
    CO_ASSERT_OK(again);
    EXPECT_TRUE((co_await again->open_stream()).has_value());
  });
}

TEST(RealFailure, handler_that_throws_resets_its_stream_alone) {
  run([](asio::io_context&) -> awaitable<void> {
    auto server = co_await start_echo(loopback());
    auto client = co_await start_echo(loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    auto faulty = [](Stream stream) -> awaitable<void> {
      (void)co_await stream.read();
      throw std::runtime_error("a bug in a handler");
    };
    CO_ASSERT_OK((*server)->handle("faulty/1", faulty));
    auto connection = co_await (*client)->connect(address_of(**server), "faulty/1");
    CO_ASSERT_OK(connection);
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);
    CO_ASSERT_OK(co_await stream->write("x"));
    EXPECT_EQ((co_await stream->read()).error(), QuicErrc::stream_reset);
    for (;;) {  // the program hears of its own fault
      const auto event = co_await (*server)->next_event();
      CO_ASSERT_OK(event);
      const auto* failed = std::get_if<event::HandlerFailed>(&*event);
      if (failed == nullptr) continue;
      EXPECT_EQ(failed->peer, (*client)->id());
      EXPECT_EQ(failed->protocol, "faulty/1");
      EXPECT_EQ(failed->reason, "a bug in a handler");
      break;
    }
    auto good = co_await (*client)->connect((*server)->id(), name);
    CO_ASSERT_OK(good);
    EXPECT_TRUE((co_await good->open_stream()).has_value());
  });
}

TEST(RealFailure, names_are_resolved_or_the_error_says_that_they_are_not) {
  run([](asio::io_context&) -> awaitable<void> {
    auto server = co_await start_echo(loopback());
    auto client = co_await start_echo(loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    NodeAddress address;
    address.id = (*server)->id();
    const std::uint16_t port = (*server)->listen_addresses()[0].port;
    address.addresses = {HostPort{"localhost", port}};
    const auto connection = co_await (*client)->connect(address, name);
    CO_ASSERT_OK(connection);
    NodeAddress unknown;
    unknown.id = Keypair::generate().node_id();
    unknown.addresses = {HostPort{"no-such-host.invalid", port}};
    const auto nobody = co_await (*client)->connect(unknown, name);
    EXPECT_TRUE(nobody.error() == IoErrc::name_not_found ||
                nobody.error() == IoErrc::name_service_failed)
        << nobody.error().message();
  });
}

}  // namespace
}  // namespace quicmesh::real
