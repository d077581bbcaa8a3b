// Task: what an asynchronous operation of the library gives: awaited, a Result.
//
// Every operation runs on the executor of the coroutine that awaits it, and ends there. Where an
// operation is safe to cancel, a cancellation of the coroutine (a slot, or `a || b` of
// boost/asio/experimental/awaitable_operators.hpp) ends it with std::errc::operation_canceled;
// the comment of each operation says what has happened by then.
#pragma once

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "quicmesh/result.hpp"

namespace quicmesh {

template <class T>
using Task = boost::asio::awaitable<Result<T>>;

using Executor = boost::asio::any_io_executor;

}  // namespace quicmesh
