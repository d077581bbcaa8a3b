// What the network thread sleeps on: epoll over sockets, an event descriptor for other threads, and
// a deadline in nanoseconds (epoll_pwait2; milliseconds would stall QUIC's pacing).
//
// Waking costs a system call, so `wake` writes the event descriptor only when the thread may be
// asleep: it announces that first (`may_sleep_`), then looks at its inbox once more.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "io/file_descriptor.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::io {

/// A descriptor that is ready.
struct Readiness {
  std::uint64_t tag = 0;  // as given to `add`
  bool readable = false;
  bool writable = false;
};

class EventLoop {
 public:
  static Result<std::unique_ptr<EventLoop>> create();

  /// CLOCK_MONOTONIC.
  [[nodiscard]] static Instant now();

  /// Watches `descriptor` for reading. `tag` is any number but `wake_tag`.
  Result<void> add(int descriptor, std::uint64_t tag);
  void remove(int descriptor);
  void watch_writable(int descriptor, std::uint64_t tag, bool wanted);

  /// Sleeps until something is ready, `deadline`, or `wake`. Not at all if `has_work()`, which is
  /// asked after the announcement to sleep. The result is valid until the next call.
  template <class HasWork>
  std::span<const Readiness> wait(Instant deadline, HasWork has_work) {
    may_sleep_.store(true, std::memory_order_seq_cst);
    const auto ready = poll(has_work() ? Instant{} : deadline);
    may_sleep_.store(false, std::memory_order_relaxed);
    return ready;
  }

  /// For other threads, after they have put something into the inbox.
  void wake() {
    // A sleeper that is not yet asleep is told as well: then it returns at once, for nothing.
    if (may_sleep_.exchange(false, std::memory_order_seq_cst)) signal();
  }

 private:
  static constexpr std::uint64_t wake_tag = ~std::uint64_t{0};
  static constexpr std::size_t events_max = 64;

  EventLoop() = default;

  Result<void> watch(int descriptor, std::uint64_t tag, std::uint32_t events);
  std::span<const Readiness> poll(Instant deadline);
  void signal();

  FileDescriptor epoll_;
  FileDescriptor wake_;
  std::atomic<bool> may_sleep_{false};
  std::vector<Readiness> ready_;
};

}  // namespace quicmesh::io
