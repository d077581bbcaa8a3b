// Datagram flows over real sockets.
#include <gtest/gtest.h>

#include <set>

#include "quic/quic_errc.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/datagrams/1";

awaitable<void> echo_datagrams(Connection flow) {
  for (;;) {
    const auto data = co_await flow.receive_datagram();
    if (!data) co_return;
    (void)co_await flow.send_datagram(*data);
  }
}

TEST(RealDatagram, flow_carries_datagrams_both_ways) {
  run([](asio::io_context&) -> awaitable<void> {
    const Executor executor = co_await asio::this_coro::executor;
    auto server = co_await Node::start(executor, loopback());
    auto client = co_await Node::start(executor, loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    CO_ASSERT_OK((*server)->handle_datagrams(name, echo_datagrams));
    auto connection = co_await (*client)->connect(address_of(**server), name);
    CO_ASSERT_OK(connection);
    std::set<Bytes> sent;
    for (std::uint8_t i = 0; i < 50; ++i) {
      const Bytes data = pattern(100 + 10u * i, i);
      sent.insert(data);
      CO_ASSERT_OK(co_await connection->send_datagram(data));
      // One by one: on loopback none is lost then.
      const auto back = co_await connection->receive_datagram();
      CO_ASSERT_OK(back);
      EXPECT_EQ(sent.erase(*back), 1u);
    }
    const auto size = co_await connection->max_datagram_size();
    CO_ASSERT_OK(size);
    EXPECT_GT(*size, 1000u);
    EXPECT_TRUE((co_await connection->send_datagram(Bytes(*size))).has_value());
    const auto largest = co_await connection->receive_datagram();
    CO_ASSERT_OK(largest);
    EXPECT_EQ(largest->size(), *size);
    EXPECT_EQ((co_await connection->send_datagram(Bytes(*size + 1))).error(),
              QuicErrc::datagram_too_large);
    EXPECT_EQ((co_await connection->send_datagram(Bytes())).error(), QuicErrc::datagram_too_large);
  });
}

TEST(RealDatagram, flow_ends_for_the_peer_when_its_last_handle_is_dropped) {
  run([](asio::io_context&) -> awaitable<void> {
    const Executor executor = co_await asio::this_coro::executor;
    auto server = co_await Node::start(executor, loopback());
    auto client = co_await Node::start(executor, loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    auto count = std::make_shared<int>(0);
    auto error = std::make_shared<std::error_code>();
    auto collect = [count, error](Connection flow) -> awaitable<void> {
      for (;;) {
        const auto data = co_await flow.receive_datagram();
        if (!data) {
          *error = data.error();
          co_return;
        }
        ++*count;
      }
    };
    CO_ASSERT_OK((*server)->handle_datagrams(name, collect));
    {
      auto connection = co_await (*client)->connect(address_of(**server), name);
      CO_ASSERT_OK(connection);
      const Connection copy = *connection;
      connection = Connection();
      Connection sender = copy;
      CO_ASSERT_OK(co_await sender.send_datagram(as_bytes("hello")));
      while (*count == 0)
        co_await pause(std::chrono::milliseconds(1));
      EXPECT_FALSE(*error);
    }
    while (!*error)
      co_await pause(std::chrono::milliseconds(1));
    EXPECT_EQ(*error, QuicErrc::stream_closed);
  });
}

TEST(RealDatagram, flow_of_an_unknown_protocol_is_refused) {
  run([](asio::io_context&) -> awaitable<void> {
    const Executor executor = co_await asio::this_coro::executor;
    auto server = co_await Node::start(executor, loopback());
    auto client = co_await Node::start(executor, loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    CO_ASSERT_OK((*server)->handle("streams/only/1", echo));
    for (const auto* protocol : {"streams/only/1", "nobody/1"}) {
      auto connection = co_await (*client)->connect(address_of(**server), protocol);
      CO_ASSERT_OK(connection);
      (void)co_await connection->send_datagram(as_bytes("hello?"));
      EXPECT_EQ((co_await connection->receive_datagram()).error(), QuicErrc::stream_refused);
    }
  });
}

}  // namespace
}  // namespace quicmesh::real
