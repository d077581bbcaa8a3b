// SIGINT and SIGTERM for commands that block in plain system calls: a handler only notes that one
// came, and whatever waits looks at that.
//
// A signal between the look and the wait would be lost until the wait ends by itself. So the
// signals are blocked for the look, and ppoll(2) opens them again for just as long as it waits.
#pragma once

#include <csignal>

namespace quicmesh::cli {

/// From now on SIGINT and SIGTERM are noted instead of ending the process; a call that waits fails
/// with EINTR.
void watch_for_interrupts();
/// Makes them end the process again.
void release_interrupts();
/// Whether one has come.
[[nodiscard]] bool interrupted();

/// Blocks both signals while it exists, but for `wait_readable`.
class InterruptHold {
 public:
  InterruptHold();
  InterruptHold(const InterruptHold&) = delete;
  InterruptHold& operator=(const InterruptHold&) = delete;
  ~InterruptHold();

  /// Returns when `descriptor` can be read, or when a signal comes or has come since the hold. That
  /// nobody reads stdout any more counts as a signal.
  void wait_readable(int descriptor) const;

 private:
  sigset_t before_;
};

}  // namespace quicmesh::cli
