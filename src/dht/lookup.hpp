// Lookup: the iterative search for the nodes nearest to a key (Maymounkov & Mazieres 2002, s2.3).
//
// It knows candidates, nearest first, each in one state:
//
//     fresh -> asked -> answered
//                |  \-> slow -> answered        slow: late by its own measure
//                \----> failed <- slow
//
// Its *window* are the k nearest candidates that neither failed nor are slow. It asks fresh ones of
// the window, alpha at a time, and has converged when the whole window has answered. A slow one
// leaves the window and its slot at once, so that a silent peer costs its own time-out and not the
// lookup's (U8); its answer counts when it comes.
//
// With tiers (S1.27, S1.28): a candidate whose RTT was measured belongs to a tier, and the lookup
// has a level. It asks nobody of a tier above its level, and others as before; only when nobody is
// left to ask and nobody's answer is awaited the level rises to the lowest tier that has a fresh
// candidate. Those never measured are of no tier. Questions above tier 0 are counted.
//
// A liar may name many candidates: one answer adds at most k, and beyond `candidates_max` the
// farthest that were not asked go.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/dht_key.hpp"
#include "identity/peer_book.hpp"

namespace quicmesh::dht {

/// What a lookup cost.
struct LookupCost {
  std::uint16_t queries = 0;
  std::uint16_t slow_tier_queries = 0;  // to peers known to be of a tier above 0
  std::uint16_t failures = 0;           // unanswered, or refused
  std::uint16_t hops = 0;               // answers that led to the nearest one that answered
};

class Lookup {
 public:
  static constexpr std::size_t candidates_max = 256;
  /// Of a peer whose RTT was never measured.
  static constexpr std::uint8_t no_tier = 0xff;

  /// `book` outlives the lookup. `k` is the window.
  Lookup(const PeerBook& book, PeerHandle self, const DhtKey& target, std::uint8_t k)
      : book_(&book), self_(self), target_(target), k_(k) {}

  /// A candidate of our own table. Known ones, and ourselves, change nothing.
  void add(PeerHandle peer, std::uint8_t tier);

  /// Whom to ask now, if fewer than `alpha` are being asked; it counts as asked from then on.
  std::optional<PeerHandle> next(std::size_t alpha);

  void on_slow(PeerHandle peer);
  void on_failed(PeerHandle peer);
  /// `peer` answered; `tier_of` gives the tier of each of the `nodes` that it named.
  template <class TierOf>
  void on_answer(PeerHandle peer, std::span<const PeerHandle> nodes, TierOf tier_of) {
    const auto depth = mark_answered(peer);
    if (!depth) return;
    for (const PeerHandle node : nodes.first(std::min<std::size_t>(nodes.size(), k_)))
      insert(node, tier_of(node), static_cast<std::uint16_t>(*depth + 1));
  }

  /// The nearest `count` of the window have answered; or all of a smaller window have, and more
  /// answered than are late.
  [[nodiscard]] bool has_answers_of(std::size_t count) const;
  [[nodiscard]] bool converged() const { return has_answers_of(k_); }
  /// Nothing more can come: no fresh candidates, no answer awaited, slow ones' included.
  [[nodiscard]] bool exhausted() const;

  /// Up to `count` that answered, the nearest first.
  [[nodiscard]] std::vector<PeerHandle> nearest_answered(std::size_t count) const;
  /// The peer that stands at the target itself has answered.
  [[nodiscard]] bool target_answered() const;
  /// It is known and has been asked, and may still answer, be it late.
  [[nodiscard]] bool target_awaited() const;

  /// The peer that stands at the target, if it is known, by whomever; else `no_peer`.
  [[nodiscard]] PeerHandle named_target() const {
    return !candidates_.empty() && candidates_.front().distance == Distance{}
               ? candidates_.front().peer
               : no_peer;
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Candidate& candidate : candidates_)
      visit(candidate.peer);
  }

  [[nodiscard]] const DhtKey& target() const { return target_; }
  [[nodiscard]] LookupCost cost() const;

 private:
  enum class State : std::uint8_t { fresh, asked, slow, answered, failed };

  struct Candidate {
    Distance distance;
    PeerHandle peer = no_peer;
    State state = State::fresh;
    std::uint8_t tier = no_tier;
    std::uint16_t depth = 0;  // answers on the way to it
  };

  void insert(PeerHandle peer, std::uint8_t tier, std::uint16_t depth);
  std::optional<std::uint16_t> mark_answered(PeerHandle peer);
  [[nodiscard]] Candidate* find(PeerHandle peer);
  [[nodiscard]] Candidate* choose();

  const PeerBook* book_;
  PeerHandle self_;
  DhtKey target_;
  std::uint8_t k_;
  std::uint8_t level_ = 0;  // the highest tier asked
  std::vector<Candidate> candidates_;
  LookupCost cost_;
};

}  // namespace quicmesh::dht
