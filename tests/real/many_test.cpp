// Repetition: simultaneous dials, a thousand connections one after another, and what is on the
// wire.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/udp.hpp>

#include "tests/real/real_node.hpp"

namespace quicmesh::real {
namespace {

constexpr auto name = "test/echo/1";

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int dials = 60;
constexpr int connects = 150;
constexpr std::size_t growth_max_kib = 1u << 20;  // sanitizers keep freed memory
#else
constexpr int dials = 200;
constexpr int connects = 1000;
constexpr std::size_t growth_max_kib = 4096;
#endif

awaitable<Result<std::shared_ptr<Node>>> start_echo(Config config) {
  auto node = co_await Node::start(co_await asio::this_coro::executor, std::move(config));
  if (!node) co_return failure(node.error());
  const auto handled = (*node)->handle(name, echo);
  if (!handled) co_return failure(handled.error());
  co_return *node;
}

/// Connects and at once sends three streams through the echo; counts what came back whole.
awaitable<void> dial_and_echo(std::shared_ptr<Node> from, NodeAddress to, int& good) {
  auto connection = co_await from->connect(to, name);
  CO_ASSERT_OK(connection);
  for (std::uint64_t i = 0; i < 3; ++i) {
    auto stream = co_await connection->open_stream();
    CO_ASSERT_OK(stream);
    const Bytes data = pattern(2'000 + i, i);
    CO_ASSERT_OK(co_await stream->write(data));
    CO_ASSERT_OK(co_await stream->finish());
    const auto back = co_await stream->read_all(100'000);
    CO_ASSERT_OK(back);
    good += *back == data ? 1 : 0;
  }
}

TEST(RealMany, simultaneous_dials_lose_nothing) {
  run([](asio::io_context&) -> awaitable<void> {
    using namespace asio::experimental::awaitable_operators;
    auto runtime = Runtime::start();
    CO_ASSERT_OK(runtime);
    int good = 0;
    for (int i = 0; i < dials; ++i) {
      // Half of the pairs have a thread for each node, which makes other interleavings.
      std::shared_ptr<Runtime> second = *runtime;
      if (i % 2 == 1) second.reset();
      auto a = co_await start_echo(loopback(*runtime));
      auto b = co_await start_echo(loopback(second));
      CO_ASSERT_OK(a);
      CO_ASSERT_OK(b);
      co_await (dial_and_echo(*a, address_of(**b), good) &&
                dial_and_echo(*b, address_of(**a), good));
      EXPECT_EQ(good, 6 * (i + 1));
      if (good != 6 * (i + 1)) co_return;
      CO_ASSERT_OK(co_await (*a)->close());
      CO_ASSERT_OK(co_await (*b)->close());
    }
  });
}

std::size_t open_files() {
  const std::filesystem::directory_iterator files("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(files), end(files)));
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  std::string word;
  std::size_t value = 0;
  while (status >> word) {
    if (word == "VmRSS:") status >> value;
  }
  return value;
}

TEST(RealMany, connections_in_sequence_leave_nothing_behind) {
  run([](asio::io_context&) -> awaitable<void> {
    auto runtime = Runtime::start();
    CO_ASSERT_OK(runtime);
    auto server = co_await start_echo(loopback(*runtime));
    CO_ASSERT_OK(server);
    std::size_t files = 0;
    std::size_t memory = 0;
    for (int i = 0; i < connects; ++i) {
      if (i == connects / 2) {
        files = open_files();
        memory = resident_kib();
      }
      auto client = co_await start_echo(loopback(*runtime));
      CO_ASSERT_OK(client);
      auto connection = co_await (*client)->connect(address_of(**server), name);
      CO_ASSERT_OK(connection);
      auto stream = co_await connection->open_stream();
      CO_ASSERT_OK(stream);
      CO_ASSERT_OK(co_await stream->write("x"));
      CO_ASSERT_OK(co_await stream->finish());
      CO_ASSERT_OK(co_await stream->read());
      CO_ASSERT_OK(co_await (*client)->close());
    }
    EXPECT_LE(open_files(), files + 2);
    // Tombstones of connection ids (30 s) are all that may grow: some hundred bytes each.
    EXPECT_LE(resident_kib(), memory + growth_max_kib) << "after " << memory;
  });
}

/// Carries datagrams between a client and a server, and keeps a copy of each.
awaitable<void> forward(asio::ip::udp::socket& socket, asio::ip::udp::endpoint server,
                        Bytes& captured) {
  asio::ip::udp::endpoint client;
  Bytes buffer(65'536);
  for (;;) {
    asio::ip::udp::endpoint from;
    const auto size =
        co_await socket.async_receive_from(asio::buffer(buffer), from, asio::use_awaitable);
    captured.insert(captured.end(), buffer.begin(),
                    buffer.begin() + static_cast<std::ptrdiff_t>(size));
    if (from != server) client = from;
    const auto to = from == server ? client : server;
    const auto view = asio::buffer(buffer.data(), size);
    (void)co_await socket.async_send_to(view, to, asio::use_awaitable);
  }
}

// S1.09
TEST(RealMany, plaintext_never_shows_in_the_packets) {
  run([](asio::io_context& context) -> awaitable<void> {
    using namespace asio::experimental::awaitable_operators;
    auto server = co_await start_echo(loopback());
    auto client = co_await start_echo(loopback());
    CO_ASSERT_OK(server);
    CO_ASSERT_OK(client);
    const std::string_view secret = "the tower falls at dawn, bring rope";
    asio::ip::udp::socket between(context, {asio::ip::make_address("127.0.0.1"), 0});
    const std::uint16_t port = (*server)->listen_addresses()[0].port;
    const asio::ip::udp::endpoint target(asio::ip::make_address("127.0.0.1"), port);
    NodeAddress address;
    address.id = (*server)->id();
    address.addresses = {HostPort{"127.0.0.1", between.local_endpoint().port()}};
    Bytes captured;
    auto talk = [&]() -> awaitable<void> {
      auto connection = co_await (*client)->connect(address, name);
      CO_ASSERT_OK(connection);
      auto stream = co_await connection->open_stream();
      CO_ASSERT_OK(stream);
      for (int i = 0; i < 50; ++i)
        CO_ASSERT_OK(co_await stream->write(secret));
      CO_ASSERT_OK(co_await stream->finish());
      const auto back = co_await stream->read_all(100'000);
      CO_ASSERT_OK(back);
      EXPECT_EQ(back->size(), 50 * secret.size());
    };
    co_await (talk() || forward(between, target, captured));
    EXPECT_GT(captured.size(), 2 * 50 * secret.size()) << "the forwarder saw the traffic";
    const ByteView needle = as_bytes(secret.substr(0, 12));
    EXPECT_TRUE(std::ranges::search(captured, needle).empty());
    const ByteView protocol = as_bytes(name);
    EXPECT_TRUE(std::ranges::search(captured, protocol).empty()) << "names are encrypted as well";
  });
}

}  // namespace
}  // namespace quicmesh::real
