// Streak: how long a coroutine has gone on without waiting.
//
// An operation that finds what it wants at once does not suspend its coroutine, so that a peer that
// sends faster than a handler works would have the executor's thread for itself. After some such
// operations in a row, or some volume, the coroutine is posted behind all others.
#pragma once

#include <cstddef>

#include <boost/asio/awaitable.hpp>

namespace quicmesh::io {

class Streak {
 public:
  static constexpr std::size_t operations_max = 64;
  static constexpr std::size_t bytes_max = 256u << 10;

  /// One more that did not wait.
  void add(std::size_t bytes) {
    ++operations_;
    bytes_ += bytes;
  }
  /// The coroutine waited, and others could run.
  void end() {
    operations_ = 0;
    bytes_ = 0;
  }
  /// It is time to let others run.
  [[nodiscard]] bool too_long() const {
    return operations_ >= operations_max || bytes_ >= bytes_max;
  }

 private:
  std::size_t operations_ = 0;
  std::size_t bytes_ = 0;
};

/// Ends `streak`: puts the coroutine behind all others of its executor. False if it was cancelled
/// meanwhile.
boost::asio::awaitable<bool> let_others_run(Streak& streak);

}  // namespace quicmesh::io
