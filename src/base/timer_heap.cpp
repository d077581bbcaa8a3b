// Sifting moves a hole instead of swapping entries: each step writes one entry and one position.
#include "base/timer_heap.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace quicmesh {

bool TimerHeap::contains(Handle handle) const {
  return handle < positions_.size() && positions_[handle] != absent;
}

void TimerHeap::place(std::size_t position, Entry entry) {
  heap_[position] = entry;
  positions_[entry.handle] = static_cast<std::uint32_t>(position);
}

void TimerHeap::sift_up(std::size_t position, Entry entry) {
  while (position > 0) {
    const std::size_t parent = (position - 1) / arity;
    if (heap_[parent] <= entry) break;
    place(position, heap_[parent]);
    position = parent;
  }
  place(position, entry);
}

void TimerHeap::sift_down(std::size_t position, Entry entry) {
  while (true) {
    const std::size_t first = position * arity + 1;
    if (first >= heap_.size()) break;
    const std::size_t end = std::min(first + arity, heap_.size());
    std::size_t smallest = first;
    for (std::size_t child = first + 1; child < end; ++child) {
      if (heap_[child] < heap_[smallest]) smallest = child;
    }
    if (entry <= heap_[smallest]) break;
    place(position, heap_[smallest]);
    position = smallest;
  }
  place(position, entry);
}

void TimerHeap::set(Handle handle, Instant deadline) {
  QM_ASSERT(handle < handle_limit);
  if (deadline == never) return erase(handle);
  const Entry entry{deadline, handle};
  if (contains(handle)) {
    const std::size_t position = positions_[handle];
    if (entry < heap_[position]) {
      sift_up(position, entry);
    } else {
      sift_down(position, entry);
    }
    return;
  }
  if (handle >= positions_.size()) positions_.resize(handle + std::size_t{1}, absent);
  heap_.push_back(entry);
  sift_up(heap_.size() - 1, entry);
}

void TimerHeap::erase(Handle handle) {
  if (!contains(handle)) return;
  const std::size_t position = positions_[handle];
  positions_[handle] = absent;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (position == heap_.size()) return;
  // The last entry fills the gap; it may belong above it as well as below.
  if (position > 0 && last < heap_[(position - 1) / arity]) {
    sift_up(position, last);
  } else {
    sift_down(position, last);
  }
}

std::optional<TimerHeap::Entry> TimerHeap::peek() const {
  if (heap_.empty()) return std::nullopt;
  return heap_.front();
}

std::optional<TimerHeap::Entry> TimerHeap::pop_due(Instant now) {
  if (heap_.empty() || heap_.front().deadline > now) return std::nullopt;
  const Entry entry = heap_.front();
  erase(entry.handle);
  return entry;
}

Instant TimerHeap::deadline_of(Handle handle) const {
  return contains(handle) ? heap_[positions_[handle]].deadline : never;
}

}  // namespace quicmesh
