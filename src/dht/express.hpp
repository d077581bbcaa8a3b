// The express queries that are under way at a node: its own, and those that pass through it.
//
// A query goes from node to node over connections that stand, each step nearer to its target, and
// its answer comes back the same way. Every node on the way keeps one entry: who asked, whom it
// asked. Nobody on the way learns where a query began.
//
// Bounds: entries in all, and entries of one previous hop, so that one peer cannot take the places
// of the others; what is beyond them is answered at once with a dead end. An entry lives three
// seconds; an answer that comes later finds nobody.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/message.hpp"
#include "dht/open_requests.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

struct ExpressEntry {
  std::uint32_t number = 0;  // of our request to `next`
  PeerHandle next = no_peer;
  PeerHandle previous = no_peer;  // `no_peer`: the query is our own
  std::uint32_t previous_number = 0;
  QueryId query = no_query;  // of our own
  Express asked;
  Instant asked_at{};
  Instant expires = never;
};

class ExpressTable {
 public:
  static constexpr std::size_t entries_max = 512;
  static constexpr std::size_t of_previous_max = 32;
  static constexpr Duration lifetime = 3s;

  /// For one that passes through; our own are bounded by lookups and budget, and what has lost
  /// stays until its `lifetime` is over.
  [[nodiscard]] bool has_room_for(PeerHandle previous) const;
  void add(ExpressEntry entry) { entries_.push_back(std::move(entry)); }

  /// The entry that an answer of `from` belongs to; it is gone then.
  std::optional<ExpressEntry> take(PeerHandle from, std::uint32_t number);
  /// An entry that waits for `next`, which cannot answer any more.
  std::optional<ExpressEntry> take_waiting_for(PeerHandle next);
  /// An entry that nobody answered.
  std::optional<ExpressEntry> take_expired(Instant now);
  /// `previous` is gone: nobody waits for these answers.
  void forget_previous(PeerHandle previous);

  template <class Visit>
  void for_each(Visit visit) const {
    for (const ExpressEntry& entry : entries_)
      visit(entry);
  }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::size_t memory() const { return entries_.capacity() * sizeof(ExpressEntry); }
  [[nodiscard]] Instant earliest() const;

 private:
  template <class Which>
  std::optional<ExpressEntry> take_first(Which which);

  std::vector<ExpressEntry> entries_;
};

/// How long the first answer of an express query takes: smoothed as an RTT is (RFC 6298 s2.3).
class ExpressTime {
 public:
  /// The iterative lookup begins after so many times what is expected, within these bounds.
  static constexpr int patience_factor = 2;
  static constexpr Duration patience_min = 50ms;
  static constexpr Duration patience_max = 2s;
  static constexpr Duration first_expected = 400ms;

  void add_sample(Duration took) {
    expected_ = measured_ ? expected_ + (took - expected_) / 8 : took;
    measured_ = true;
  }
  [[nodiscard]] Duration patience() const {
    return std::clamp(patience_factor * expected_, patience_min, patience_max);
  }

  /// The second query goes after so much; at once if the last one that we sent came to nothing.
  [[nodiscard]] Duration hedge() const {
    return failed_last_ ? Duration{} : patience() * hedge_part / hedge_of;
  }
  void on_outcome(bool won) { failed_last_ = !won; }

 private:
  // Most answers are there after one and a half times what is expected, and need no second query.
  static constexpr int hedge_part = 3;
  static constexpr int hedge_of = 4;

  bool failed_last_ = false;
  bool measured_ = false;
  Duration expected_ = first_expected;
};

}  // namespace quicmesh::dht
