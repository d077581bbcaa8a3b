// Nodes whose relay does not answer over UDP, over real sockets: everything goes through tunnels.
#include <gtest/gtest.h>

#include <variant>

#include "io/udp_socket.hpp"
#include "relay/relay_errc.hpp"
#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/echo/1";

/// UDP to it is swallowed, as by a firewall.
struct BlackHole {
  io::UdpSocket socket = io::UdpSocket::open({IpAddress::loopback(IpFamily::v4), 0}).value();

  /// `relay` as a node with blocked UDP knows it.
  [[nodiscard]] Config config_for(const Node& relay) const {
    Config config = loopback();
    NodeAddress address;
    address.id = relay.id();
    address.addresses.push_back({"127.0.0.1", socket.local().port});
    config.relays.push_back(std::move(address));
    config.relay_tls_port = relay.relay_tls_addresses().at(0).port;
    config.reach = Reach::relay_only;
    return config;
  }
};

awaitable<Result<std::shared_ptr<Node>>> start(Config config) {
  auto node = co_await Node::start(co_await asio::this_coro::executor, std::move(config));
  if (!node) co_return failure(node.error());
  const auto handled = (*node)->handle(name, echo);
  if (!handled) co_return failure(handled.error());
  co_return *node;
}

Config relay_config() {
  Config config = loopback();
  config.relay_tls_listen = {SocketAddress::parse("127.0.0.1:0").value()};
  return config;
}

template <class Wanted>
awaitable<std::optional<Wanted>> next(std::shared_ptr<Node> node) {
  for (;;) {
    auto event = co_await node->next_event();
    if (!event) co_return std::nullopt;
    if (auto* found = std::get_if<Wanted>(&*event)) co_return *found;
  }
}

TEST(RealTunnel, two_nodes_without_udp_talk_over_their_relay) {
  run([](asio::io_context& context) -> awaitable<void> {
    auto relay = co_await start(relay_config());
    CO_ASSERT_OK(relay);
    const BlackHole hole;
    auto callee = co_await start(hole.config_for(**relay));
    auto caller = co_await start(hole.config_for(**relay));
    CO_ASSERT_OK(callee);
    CO_ASSERT_OK(caller);
    for (const auto& node : {*callee, *caller}) {
      const auto up = co_await next<event::RelayUp>(node);
      CO_ASSERT(up.has_value());
      EXPECT_TRUE(up->over_tls);
    }
    auto connection = co_await (*caller)->connect((*callee)->id(), name);
    CO_ASSERT_OK(connection);
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);
    const Bytes sent = pattern(2'000'000);
    const auto write = [&]() -> awaitable<void> {
      EXPECT_TRUE((co_await stream->write(sent)).has_value());
      EXPECT_TRUE((co_await stream->finish()).has_value());
    };
    asio::co_spawn(context, write(), asio::detached);  // while the echo comes back
    Bytes received;
    while (true) {
      auto chunk = co_await stream->read();
      CO_ASSERT_OK(chunk);
      if (chunk->empty()) break;
      received.insert(received.end(), chunk->begin(), chunk->end());
    }
    EXPECT_TRUE(received == sent);
    const auto paths = co_await (*caller)->paths((*callee)->id());
    CO_ASSERT_OK(paths);
    for (const PathStatus& path : *paths) {
      EXPECT_TRUE(path.over_tls);
      EXPECT_EQ(path.relay, (*relay)->id());
      EXPECT_EQ(path.remote, (*relay)->relay_tls_addresses().at(0));
    }
    const auto status = co_await (*relay)->status();
    CO_ASSERT_OK(status);
    EXPECT_EQ(status->tunnels, 2u);
  });
}

TEST(RealTunnel, relay_reached_neither_way_is_told_with_both_attempts) {
  run([](asio::io_context&) -> awaitable<void> {
    auto relay = co_await start(relay_config());
    CO_ASSERT_OK(relay);
    const BlackHole hole;
    Config config = hole.config_for(**relay);
    config.handshake_timeout = 2s;
    (void)co_await (*relay)->close();
    relay->reset();
    auto client = co_await start(std::move(config));
    CO_ASSERT_OK(client);
    const auto down = co_await next<event::RelayDown>(*client);
    CO_ASSERT(down.has_value());
    EXPECT_EQ(down->error, RelayErrc::not_reached);
    EXPECT_NE(down->tried.find("UDP: "), std::string::npos) << down->tried;
    EXPECT_NE(down->tried.find("nobody listens on the relay's TCP port"), std::string::npos)
        << down->tried;
  });
}

}  // namespace
}  // namespace quicmesh::real
