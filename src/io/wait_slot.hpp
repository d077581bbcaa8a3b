// WaitSlot: where one coroutine waits for the network thread.
//
// An auto-reset event, guarded by the hub's mutex: `signal` resumes the waiter or, if there is none
// yet, lets the next wait return at once, so that nothing falls between a check and the wait that
// follows it. Waiters check again when they are resumed; a needless signal is harmless.
#pragma once

#include <boost/asio/any_completion_handler.hpp>
#include <boost/intrusive/list.hpp>

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "quicmesh/task.hpp"

namespace quicmesh::io {

using Completion = boost::asio::any_completion_handler<void(std::error_code)>;

/// The waiting coroutine.
struct Waiter {
  Completion handler;
  std::error_code error;
  /// Its executor, if that is not the node's: it runs there, and keeps that context running.
  std::optional<Executor> elsewhere;
};

/// The hook is for the hub's list of all slots with somebody in them.
struct WaitSlot
    : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  std::optional<Waiter> waiter;
  std::uint64_t ticket = 0;  // of the wait in progress, for its cancellation
  bool signalled = false;
};

using ArmedSlots = boost::intrusive::list<WaitSlot, boost::intrusive::constant_time_size<false>>;

/// What the user's executor is to do: one post for all of it.
struct Batch {
  std::vector<Waiter> ready;
  std::vector<std::move_only_function<void()>> spawns;

  [[nodiscard]] bool empty() const { return ready.empty() && spawns.empty(); }
};

/// Several coroutines that wait for the same thing, first come, first served.
struct WaitQueue {
  std::deque<std::shared_ptr<WaitSlot>> slots;  // shared with the coroutines
};

/// One coroutine's wait for an answer from the network thread; guarded like a slot.
struct Reply {
  WaitSlot slot;
  bool done = false;
  bool cancelled = false;
  std::error_code error;
};

}  // namespace quicmesh::io
