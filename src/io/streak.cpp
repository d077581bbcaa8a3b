// See streak.hpp.
#include "io/streak.hpp"

#include <utility>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace quicmesh::io {
namespace asio = boost::asio;

asio::awaitable<bool> let_others_run(Streak& streak) {
  streak.end();
  const asio::cancellation_state before = co_await asio::this_coro::cancellation_state;
  const auto executor = co_await asio::this_coro::executor;
  auto posting = asio::post(executor, asio::use_awaitable);
  co_await std::move(posting);
  const asio::cancellation_state after = co_await asio::this_coro::cancellation_state;
  co_return after.cancelled() == before.cancelled();
}

}  // namespace quicmesh::io
