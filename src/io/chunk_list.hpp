// Chunks of a stream between the network thread and the user: a queue with a moving front.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "quicmesh/bytes.hpp"

namespace quicmesh::io {

/// A list of chunks with a moving front, which keeps its memory when it has run empty.
class ChunkList {
 public:
  [[nodiscard]] bool empty() const { return front_ == chunks_.size(); }
  [[nodiscard]] Bytes& front() { return chunks_[front_]; }
  void push(Bytes chunk) {
    // A list that never runs empty must not grow either: half of it is gone.
    if (front_ > compact_above && 2 * front_ > chunks_.size()) {
      chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(front_));
      front_ = 0;
    }
    chunks_.push_back(std::move(chunk));
  }
  /// Puts back what `pop` gave.
  void unpop(Bytes chunk) {
    if (front_ > 0) {
      chunks_[--front_] = std::move(chunk);
    } else {
      chunks_.insert(chunks_.begin(), std::move(chunk));
    }
  }
  Bytes pop() {
    Bytes chunk = std::move(chunks_[front_]);
    if (++front_ == chunks_.size()) clear();
    return chunk;
  }
  [[nodiscard]] Bytes* last() { return empty() ? nullptr : &chunks_.back(); }
  void clear() {
    chunks_.clear();
    front_ = 0;
  }
  void swap(ChunkList& other) noexcept {
    chunks_.swap(other.chunks_);
    std::swap(front_, other.front_);
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = front_; i < chunks_.size(); ++i)
      sum += chunks_[i].size();
    return sum;
  }
  [[nodiscard]] std::size_t count() const { return chunks_.size() - front_; }
  /// Places held, taken ones included.
  [[nodiscard]] std::size_t places() const { return chunks_.size(); }

 private:
  static constexpr std::size_t compact_above = 16;

  std::vector<Bytes> chunks_;
  std::size_t front_ = 0;
};

}  // namespace quicmesh::io
