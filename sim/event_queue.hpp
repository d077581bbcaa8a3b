// The simulator's agenda: a hierarchical timing wheel over virtual nanoseconds, templated on a
// small trivially copyable payload.
//
// Order is exact and total: by time, then by order of insertion. Time is cut into ticks of 1024 ns
// (or of another power of two: coarse ones where most events are planned some milliseconds ahead).
// A tick number is read as five digits of eleven bits, and each digit has a wheel of 2048 slots. An
// event goes to the wheel of the highest digit in which its tick differs from the cursor's, so each
// slot of a wheel lies strictly after the cursor and nothing wraps. When wheel 0 holds nothing
// ahead of the cursor, the next occupied slot of wheel 1 is dealt out over wheel 0, and so on
// upwards; bitmaps of the occupied slots let the cursor jump over empty time. When the cursor
// reaches a slot of wheel 0, its events are sorted by time once and handed out.
//
// No sequence number is stored: a slot is filled in order of insertion, dealing out keeps that
// order (the finer slots of a window are empty until it is dealt out), and the sort is stable.
// Events for the tick at hand, or for before it (after `next_time` has looked ahead), go to a small
// heap that does carry a number; at equal times the slot goes first, as all of it was pushed
// before.
//
// push and pop are amortised O(1): an event moves at most five times, commonly once or twice,
// always between contiguous chunks; a binary heap touches ~20 scattered cache lines at a million
// pending. Source: Varghese & Lauck 1987, "Hashed and hierarchical timing wheels", scheme 7; the
// placing by highest differing digit and the exact order within a tick are as described above.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <type_traits>
#include <vector>

#include "base/assert.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::sim {

template <class Payload, unsigned tick_bits = 10>
class EventQueue {
  static_assert(std::is_trivially_copyable_v<Payload> && std::is_default_constructible_v<Payload>);

 public:
  struct Entry {
    Instant at;
    Payload payload;
  };

  /// The last instant that can be planned, 73 years after the origin; `never` is not an event.
  static constexpr Instant latest = Instant{Duration{(std::int64_t{1} << 61) - 1}};

  EventQueue() : slots_(level_count * slot_count) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

  /// Plans `payload` for `at`, which is neither negative, nor before the last event popped, nor
  /// after `latest`.
  void push(Instant at, const Payload& payload) {
    QM_ASSERT(at >= last_popped_ && at <= latest);
    ++size_;
    if (at < current_end_) {
      late_.push_back({at, late_sequence_++, payload});
      std::push_heap(late_.begin(), late_.end(), LaterFirst{});
    } else {
      place({at, payload});
    }
  }

  /// The time of the next event, `never` if there is none. Not const: it may move the cursor ahead.
  [[nodiscard]] Instant next_time() {
    if (size_ == 0) return never;
    make_ready();
    return late_is_next() ? late_.front().at : current_[current_next_].at;
  }

  /// No event is before it, and it is no later than the next one's slot; `never` if there is none.
  [[nodiscard]] Instant bound() const {
    if (size_ == 0) return never;
    if (current_next_ < current_.size() || !late_.empty())
      return late_is_next() ? late_.front().at : current_[current_next_].at;
    for (unsigned level = 0; level < level_count; ++level) {
      const std::size_t index = next_occupied(level, digit(cursor_, level));
      if (index != no_slot) return start_of(cursor_at(level, index));
    }
    return never;
  }

  /// Takes the next event if it is before `end`. The cursor does not move beyond that: whatever is
  /// planned behind `end` finds its slot.
  std::optional<Entry> pop_before(Instant end) {
    if (size_ == 0 || !make_ready(end)) return std::nullopt;
    if ((late_is_next() ? late_.front().at : current_[current_next_].at) >= end)
      return std::nullopt;
    return pop();
  }

  /// Takes the next event; the queue is not empty.
  Entry pop() {
    QM_ASSERT(size_ > 0);
    make_ready();
    --size_;
    if (late_is_next()) {
      std::pop_heap(late_.begin(), late_.end(), LaterFirst{});
      const Entry entry{late_.back().at, late_.back().payload};
      late_.pop_back();
      last_popped_ = entry.at;
      return entry;
    }
    last_popped_ = current_[current_next_].at;
    return current_[current_next_++];
  }

 private:
  static constexpr unsigned level_bits = 11;
  static constexpr unsigned level_count = 5;
  static constexpr std::size_t slot_count = std::size_t{1} << level_bits;
  static constexpr std::size_t words_per_level = slot_count / 64;
  static constexpr std::size_t chunk_entries = 10;
  static constexpr std::size_t chunks_per_block = 256;
  static constexpr std::size_t insertion_sort_max = 24;
  static constexpr std::size_t no_slot = slot_count;

  struct Chunk {
    Chunk* next;
    std::size_t count;
    std::array<Entry, chunk_entries> entries;
  };
  struct Slot {
    Chunk* head = nullptr;
    Chunk* tail = nullptr;
  };
  struct LateEntry {
    Instant at;
    std::uint64_t sequence;
    Payload payload;
  };
  struct LaterFirst {
    bool operator()(const LateEntry& a, const LateEntry& b) const {
      return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
    }
  };

  static std::uint64_t tick_of(Instant at) {
    return static_cast<std::uint64_t>(at.time_since_epoch().count()) >> tick_bits;
  }
  static std::size_t digit(std::uint64_t tick, unsigned level) {
    return static_cast<std::size_t>(tick >> (level * level_bits)) & (slot_count - 1);
  }

  [[nodiscard]] bool late_is_next() const {
    if (late_.empty()) return false;
    return current_next_ == current_.size() || late_.front().at < current_[current_next_].at;
  }

  void place(const Entry& entry) {
    const std::uint64_t tick = tick_of(entry.at);
    const std::uint64_t differing = tick ^ cursor_;
    const unsigned level =
        differing == 0 ? 0 : (static_cast<unsigned>(std::bit_width(differing)) - 1) / level_bits;
    const std::size_t index = digit(tick, level);
    Slot& slot = slots_[level * slot_count + index];
    if (slot.tail == nullptr) {
      slot.head = slot.tail = take_chunk();
      words_[level * words_per_level + index / 64] |= std::uint64_t{1} << (index % 64);
    } else if (slot.tail->count == chunk_entries) {
      slot.tail = slot.tail->next = take_chunk();
    }
    slot.tail->entries[slot.tail->count++] = entry;
  }

  /// The cursor when it stands at this slot.
  [[nodiscard]] std::uint64_t cursor_at(unsigned level, std::size_t index) const {
    const unsigned shift = level * level_bits;
    const std::uint64_t below_and_here = (std::uint64_t{1} << (shift + level_bits)) - 1;
    return (cursor_ & ~below_and_here) | (static_cast<std::uint64_t>(index) << shift);
  }
  static Instant start_of(std::uint64_t tick) {
    return Instant{Duration{static_cast<std::int64_t>(tick << tick_bits)}};
  }

  /// Makes sure that the next event is in `current_` or `late_`; there is one. False if its slot
  /// begins at `end` or later, and then the cursor is before that.
  bool make_ready(Instant end = never) {
    if (current_next_ < current_.size() || !late_.empty()) return true;
    unsigned level = 0;
    while (true) {
      QM_ASSERT(level < level_count);
      const std::size_t index = next_occupied(level, digit(cursor_, level));
      if (index == no_slot) {
        ++level;
        continue;
      }
      const std::uint64_t cursor = cursor_at(level, index);
      if (start_of(cursor) >= end) return false;
      cursor_ = cursor;
      Chunk* chunks = take_slot(level, index);
      if (level == 0) {
        load(chunks);
        return true;
      }
      deal_out(chunks);
      level = 0;
    }
  }

  /// The first occupied slot of `level` from `from` on, or `no_slot`.
  [[nodiscard]] std::size_t next_occupied(unsigned level, std::size_t from) const {
    const std::uint64_t* words = &words_[level * words_per_level];
    std::size_t word = from / 64;
    std::uint64_t bits = words[word] & (~std::uint64_t{0} << (from % 64));
    while (bits == 0) {
      if (++word == words_per_level) return no_slot;
      bits = words[word];
    }
    return word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
  }

  Chunk* take_slot(unsigned level, std::size_t index) {
    Slot& slot = slots_[level * slot_count + index];
    Chunk* chunks = slot.head;
    slot = {};
    words_[level * words_per_level + index / 64] &= ~(std::uint64_t{1} << (index % 64));
    return chunks;
  }

  void deal_out(Chunk* chunk) {
    while (chunk != nullptr) {
      for (std::size_t i = 0; i < chunk->count; ++i)
        place(chunk->entries[i]);
      chunk = release(chunk);
    }
  }

  void load(Chunk* chunk) {
    current_.clear();
    current_next_ = 0;
    while (chunk != nullptr) {
      current_.insert(current_.end(), chunk->entries.begin(),
                      chunk->entries.begin() + static_cast<std::ptrdiff_t>(chunk->count));
      chunk = release(chunk);
    }
    sort_current();
    current_end_ = start_of(cursor_ + 1);
  }

  void sort_current() {
    if (current_.size() > insertion_sort_max) {
      std::ranges::stable_sort(current_, {}, &Entry::at);
      return;
    }
    for (std::size_t i = 1; i < current_.size(); ++i) {
      const Entry entry = current_[i];
      std::size_t hole = i;
      for (; hole > 0 && entry.at < current_[hole - 1].at; --hole) {
        current_[hole] = current_[hole - 1];
      }
      current_[hole] = entry;
    }
  }

  Chunk* take_chunk() {
    if (free_ == nullptr) add_block();
    Chunk* chunk = free_;
    free_ = chunk->next;
    chunk->next = nullptr;
    chunk->count = 0;
    return chunk;
  }

  /// Frees `chunk` and returns its successor.
  Chunk* release(Chunk* chunk) {
    Chunk* next = chunk->next;
    chunk->next = free_;
    free_ = chunk;
    return next;
  }

  void add_block() {
    blocks_.push_back(std::make_unique_for_overwrite<Chunk[]>(chunks_per_block));
    for (std::size_t i = chunks_per_block; i-- > 0;) {
      Chunk& chunk = blocks_.back()[i];
      chunk.next = free_;
      free_ = &chunk;
    }
  }

  std::size_t size_ = 0;
  std::uint64_t cursor_ = 0;  // the tick whose slot was loaded last
  Instant current_end_{Duration{std::int64_t{1} << tick_bits}};
  Instant last_popped_{};
  std::vector<Entry> current_;  // the loaded slot, sorted; consumed from current_next_ on
  std::size_t current_next_ = 0;
  std::vector<LateEntry> late_;  // a heap, earliest in front
  std::uint64_t late_sequence_ = 0;
  std::vector<Slot> slots_;
  std::array<std::uint64_t, level_count * words_per_level> words_{};
  std::vector<std::unique_ptr<Chunk[]>> blocks_;
  Chunk* free_ = nullptr;
};

}  // namespace quicmesh::sim
