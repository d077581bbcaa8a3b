// The deadlines of many small things (connections, queries, peers), the earliest first.
//
// An indexed 4-ary min-heap: each thing is a handle, a small dense number of the owner's (an index
// into its table), with at most one deadline. A second array holds where in the heap each handle
// is, so that a deadline moves or goes in O(log n); four children a node make the heap half as deep
// as a binary one and keep siblings in one cache line (LaMarca & Ladner 1996). Deadlines that are
// equal come out in the order of their handles, whatever the order of calls was: runs replay.
//
// Memory: 16 bytes a deadline set, 4 bytes for each handle up to the largest ever used.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "quicmesh/time.hpp"

namespace quicmesh {

class TimerHeap {
 public:
  using Handle = std::uint32_t;

  struct Entry {
    Instant deadline;
    Handle handle;

    auto operator<=>(const Entry&) const = default;
  };

  /// Handles are below this; a larger one is a bug of the owner.
  static constexpr Handle handle_limit = Handle{1} << 26;

  /// Sets or moves the deadline of `handle`; `never` takes it away. O(log n).
  void set(Handle handle, Instant deadline);

  /// Takes the deadline of `handle` away, if it has one. O(log n).
  void erase(Handle handle);

  /// The earliest deadline, the smallest handle among equals; nothing if there is none. O(1).
  [[nodiscard]] std::optional<Entry> peek() const;

  /// `never` if there is none: what `poll_timeout` returns.
  [[nodiscard]] Instant earliest() const { return heap_.empty() ? never : heap_.front().deadline; }

  /// Takes the earliest entry out if its deadline is not after `now`. O(log n).
  std::optional<Entry> pop_due(Instant now);

  /// The deadline of `handle`, or `never`.
  [[nodiscard]] Instant deadline_of(Handle handle) const;

  [[nodiscard]] std::size_t size() const { return heap_.size(); }
  [[nodiscard]] bool empty() const { return heap_.empty(); }

 private:
  static constexpr std::size_t arity = 4;
  static constexpr std::uint32_t absent = ~std::uint32_t{0};

  [[nodiscard]] bool contains(Handle handle) const;
  void place(std::size_t position, Entry entry);
  void sift_up(std::size_t position, Entry entry);
  void sift_down(std::size_t position, Entry entry);

  std::vector<Entry> heap_;
  std::vector<std::uint32_t> positions_;  // by handle: its place in heap_, or `absent`
};

}  // namespace quicmesh
