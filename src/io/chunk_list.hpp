// Chunks of a stream between the network thread and the user: a queue with a moving front.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "quicmesh/bytes.hpp"

namespace quicmesh::io {

/// A list of chunks with a moving front, which keeps a little memory when it has run empty, and
/// gives back what it needed when it was long.
class ChunkList {
 public:
  [[nodiscard]] bool empty() const { return front_ == chunks_.size(); }
  [[nodiscard]] Bytes& front() {
    drop_taken();
    return chunks_[front_];
  }
  void push(Bytes chunk) {
    // A list that never runs empty must not grow either: half of it is gone.
    if (front_ > compact_above && 2 * front_ > chunks_.size()) {
      chunks_.erase(chunks_.begin(), chunks_.begin() + static_cast<std::ptrdiff_t>(front_));
      front_ = 0;
    }
    chunks_.push_back(std::move(chunk));
  }
  /// Like `push`, but a small chunk joins the last one, and a larger one gives back what it has
  /// reserved: where many wait, each would cost many times its bytes.
  void append(Bytes chunk) {
    if (!empty()) {
      Bytes& last = chunks_.back();
      if (chunk.size() < gather_below && last.size() + chunk.size() <= gathered_max) {
        last.insert(last.end(), chunk.begin(), chunk.end());
        return;
      }
      if (chunk.capacity() / 4 > chunk.size()) chunk.shrink_to_fit();
    }
    push(std::move(chunk));
  }
  /// Puts back what `pop` or `take` gave.
  void unpop(Bytes chunk) {
    drop_taken();
    if (front_ > 0) {
      chunks_[--front_] = std::move(chunk);
    } else {
      chunks_.insert(chunks_.begin(), std::move(chunk));
    }
  }
  Bytes pop() {
    drop_taken();
    Bytes chunk = std::move(chunks_[front_]);
    if (++front_ == chunks_.size()) clear();
    return chunk;
  }
  /// The front chunk, or its first `size_max` bytes: small pieces of a large chunk cost their own
  /// bytes each, and not those that are left.
  Bytes take(std::size_t size_max) {
    const Bytes& chunk = chunks_[front_];
    if (chunk.size() - taken_ <= size_max) return pop();
    const auto begin = chunk.begin() + static_cast<std::ptrdiff_t>(taken_);
    taken_ += size_max;
    return Bytes(begin, begin + static_cast<std::ptrdiff_t>(size_max));
  }
  void clear() {
    if (chunks_.capacity() > kept_places) {
      std::vector<Bytes>().swap(chunks_);
    } else {
      chunks_.clear();
    }
    front_ = 0;
    taken_ = 0;
  }
  void swap(ChunkList& other) noexcept {
    chunks_.swap(other.chunks_);
    std::swap(front_, other.front_);
    std::swap(taken_, other.taken_);
  }
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (std::size_t i = front_; i < chunks_.size(); ++i)
      sum += chunks_[i].size();
    return sum - taken_;
  }
  [[nodiscard]] std::size_t count() const { return chunks_.size() - front_; }
  /// Places held: those taken and those not yet used included.
  [[nodiscard]] std::size_t places() const { return chunks_.capacity(); }

 private:
  static constexpr std::size_t compact_above = 16;
  static constexpr std::size_t kept_places = 128;
  static constexpr std::size_t gather_below = 4096;
  static constexpr std::size_t gathered_max = 32u << 10;

  /// Every other operation wants the front chunk without what was taken of it.
  void drop_taken() {
    if (taken_ == 0) return;
    Bytes& chunk = chunks_[front_];
    chunk.erase(chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ = 0;
  }

  std::vector<Bytes> chunks_;
  std::size_t front_ = 0;
  std::size_t taken_ = 0;  // bytes of the front chunk
};

}  // namespace quicmesh::io
