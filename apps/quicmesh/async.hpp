// Small pieces for coroutines: a pause, a time limit, and work that blocks.
//
// g++ 12 destroys some temporaries of a co_await expression twice, so every operation is named
// before it is awaited.
#pragma once

#include <exception>
#include <type_traits>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "quicmesh/task.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::cli {

namespace asio = boost::asio;

/// Seconds since `start`.
[[nodiscard]] inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

inline asio::awaitable<void> pause_for(Duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  timer.expires_after(time);
  co_await timer.async_wait(asio::use_awaitable);
}

/// The result of `operation`, or std::errc::timed_out after `limit`; it is cancelled then.
template <class T>
Task<T> within(Duration limit, Task<T> operation) {
  using namespace asio::experimental::awaitable_operators;
  auto alarm = pause_for(limit);
  auto race = std::move(operation) || std::move(alarm);
  auto outcome = co_await std::move(race);
  if (outcome.index() == 1) co_return failure(std::make_error_code(std::errc::timed_out));
  co_return std::get<0>(std::move(outcome));
}

/// Runs `function`, which may block, on `pool`, and goes on here with its result. What it refers to
/// must live until then: cancellation waits for it.
///
/// Not by co_spawn: a cancelled coroutine on the pool would throw where Asio (Boost 1.83) expects
/// nothing, after its last statement.
template <class Function>
asio::awaitable<std::invoke_result_t<Function>> blocking(asio::thread_pool& pool,
                                                         Function function) {
  using Value = std::invoke_result_t<Function>;
  auto initiate = [&pool, function = std::move(function)](auto handler) mutable {
    auto work = asio::make_work_guard(handler);  // the executor that goes on has this to wait for
    asio::post(pool, [function = std::move(function), handler = std::move(handler),
                      work = std::move(work)]() mutable {
      std::exception_ptr error;
      Value value;
      try {
        value = function();
      } catch (...) {
        error = std::current_exception();
      }
      asio::post(work.get_executor(),
                 [handler = std::move(handler), error, value = std::move(value)]() mutable {
                   std::move(handler)(error, std::move(value));
                 });
    });
  };
  auto running =
      asio::async_initiate<const asio::use_awaitable_t<>, void(std::exception_ptr, Value)>(
          std::move(initiate), asio::use_awaitable);
  co_return co_await std::move(running);
}

}  // namespace quicmesh::cli
