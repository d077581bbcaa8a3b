// What the tests over real sockets share: nodes on loopback, and a context that runs one coroutine
// to its end. Time is a guard against hanging alone; no test passes or fails by it otherwise.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "quicmesh/quicmesh.hpp"

// gtest's ASSERT_* return from the function, which a coroutine cannot do.
#define CO_ASSERT(condition)                   \
  if (!(condition)) {                          \
    ADD_FAILURE() << "failed: " << #condition; \
    co_return;                                 \
  }                                            \
  static_assert(true)

#define CO_ASSERT_OK(result)                                                         \
  if (auto&& outcome_of_it = (result); !outcome_of_it) {                             \
    ADD_FAILURE() << #result << ": " << ::quicmesh::describe(outcome_of_it.error()); \
    co_return;                                                                       \
  }                                                                                  \
  static_assert(true)

namespace quicmesh::real {

namespace asio = boost::asio;
using asio::awaitable;

inline constexpr std::chrono::seconds hang_guard{60};

using Body = std::function<awaitable<void>(asio::io_context&)>;

/// Runs `body` on a context of its own; everything it started must have ended by its end.
inline void run(Body body) {
  asio::io_context context(1);
  bool ended = false;
  auto main = [&]() -> awaitable<void> {
    co_await body(context);
    ended = true;
  };
  asio::co_spawn(context, main, [](std::exception_ptr error) {
    if (error) std::rethrow_exception(error);
  });
  context.run_for(hang_guard);
  EXPECT_TRUE(ended) << "the test hangs";
  EXPECT_TRUE(!ended || context.stopped()) << "something is left that keeps the context running";
}

inline Config loopback(std::shared_ptr<Runtime> runtime = nullptr) {
  Config config;
  config.listen = {SocketAddress::parse("127.0.0.1:0").value()};
  config.runtime = std::move(runtime);
  return config;
}

inline NodeAddress address_of(const Node& node) {
  return NodeAddress::parse(node.node_address()).value();
}

/// Lets everything else on the context run that can.
inline awaitable<void> pause(std::chrono::milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// Sends everything back, to the end.
inline awaitable<void> echo(Stream stream) {
  while (true) {
    auto chunk = co_await stream.read();
    if (!chunk) co_return;
    if (chunk->empty()) break;
    const auto written = co_await stream.write(std::move(*chunk));
    if (!written) co_return;
  }
  (void)co_await stream.finish();
}

/// A pattern in which every position differs from its neighbourhood.
inline Bytes pattern(std::size_t size, std::uint64_t seed = 1) {
  Bytes bytes(size);
  std::uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (auto& byte : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    byte = static_cast<std::uint8_t>(state >> 56);
  }
  return bytes;
}

}  // namespace quicmesh::real
