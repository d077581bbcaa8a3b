// Occupied: holds a flag for as long as an operation runs, so that a second one notices.
#pragma once

#include <atomic>

namespace quicmesh::io {

class Occupied {
 public:
  explicit Occupied(std::atomic<bool>& flag)
      : flag_(flag), mine_(!flag.exchange(true, std::memory_order_acquire)) {}
  ~Occupied() {
    if (mine_) flag_.store(false, std::memory_order_release);
  }
  Occupied(const Occupied&) = delete;
  Occupied& operator=(const Occupied&) = delete;

  /// False if another operation is in progress.
  [[nodiscard]] explicit operator bool() const { return mine_; }

 private:
  std::atomic<bool>& flag_;
  bool mine_;
};

}  // namespace quicmesh::io
