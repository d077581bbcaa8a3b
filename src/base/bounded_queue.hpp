// A first-in-first-out queue with a fixed capacity, a named drop policy and a count of what it
// dropped: the container for whatever a peer can fill.
//
// Items stand in one vector between a moving front and its end. The front part, already taken, is
// cut off once it is half of the vector, so that every operation is O(1) amortised, a queue never
// used owns no memory, and a full one at most twice its capacity.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/assert.hpp"

namespace quicmesh {

enum class DropPolicy : std::uint8_t {
  drop_oldest,    // the newest matters most: state that later items supersede
  refuse_newest,  // what waits longest goes first: requests
};

template <class T, DropPolicy policy>
class BoundedQueue {
 public:
  /// `capacity` > 0; it never changes.
  explicit BoundedQueue(std::size_t capacity) : capacity_(capacity) { QM_ASSERT(capacity > 0); }

  /// Appends `item`. False if something was dropped for it: the oldest item, or `item` itself.
  bool push(T item) {
    const bool full = size() == capacity_;
    if (full) {
      ++dropped_;
      if constexpr (policy == DropPolicy::refuse_newest) return false;
      (void)pop();
    }
    items_.push_back(std::move(item));
    return !full;
  }

  /// The oldest item, taken out; nothing if the queue is empty.
  std::optional<T> pop() {
    if (empty()) return std::nullopt;
    std::optional<T> item(std::move(items_[front_]));
    ++front_;
    if (front_ == items_.size()) {
      items_.clear();
      front_ = 0;
    } else if (front_ >= items_.size() - front_) {
      items_.erase(items_.begin(), std::next(items_.begin(), static_cast<std::ptrdiff_t>(front_)));
      front_ = 0;
    }
    return item;
  }

  /// The items, the oldest first; valid until the next change.
  [[nodiscard]] std::span<const T> items() const {
    return std::span<const T>(items_).subspan(front_);
  }

  void clear() {
    items_.clear();
    front_ = 0;
  }

  [[nodiscard]] std::size_t size() const { return items_.size() - front_; }
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  /// Items dropped by `push` since the beginning.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  std::size_t capacity_;
  std::vector<T> items_;
  std::size_t front_ = 0;
  std::uint64_t dropped_ = 0;
};

}  // namespace quicmesh
