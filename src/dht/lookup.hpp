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
// farthest that were not asked go, of the path that has most.
//
// Disjoint paths (Baumgart & Mies 2007, S/Kademlia, s4.4), where an answer can be hidden: the
// candidates of our own table are dealt out over some paths; who is named by a peer may be asked on
// that peer's path, by several peers on one of theirs, and nobody on two. Each path has a window of
// its own, its share of k, and the lookup has converged when these and the common one have
// answered. So whoever names its accomplices, however many and however near, has captured one path,
// and the others go on to the end.
//
// At most two of a diversity group stand in a window (the node sought itself is always in it).
//
// Peers of the *region* (dht_core_region.cpp) are asked besides the window, and the lookup has not
// converged before they have answered or are late.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/density.hpp"
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
  static constexpr std::size_t paths_max = 8;
  static constexpr std::size_t group_in_window_max = 2;

  /// `book` outlives the lookup. `k` is the window; `paths` is from 1 to `paths_max`.
  Lookup(const PeerBook& book, PeerHandle self, const DhtKey& target, std::uint8_t k,
         std::uint8_t paths = 1)
      : book_(&book),
        self_(self),
        target_(target),
        target_prefix_(prefix(target)),
        k_(k),
        paths_(paths) {}

  /// A candidate of our own table. Known ones, and ourselves, change nothing.
  void add(PeerHandle peer, std::uint8_t tier);

  /// From now on nobody of `region` becomes a candidate.
  void shun(const Region& region) { shunned_ = region; }
  /// One that is asked and awaited whoever stands nearer, on the next path in turn.
  void add_required(PeerHandle peer, std::uint8_t tier);

  /// Whom to ask now, if fewer than `alpha` are being asked; it counts as asked from then on.
  std::optional<PeerHandle> next(std::size_t alpha);

  /// The windows take in `by` more candidates: what has converged goes on, outwards.
  void widen(std::uint8_t by) { k_ = static_cast<std::uint8_t>(std::min(k_ + by, 255)); }

  void on_slow(PeerHandle peer);
  void on_failed(PeerHandle peer);
  /// `peer` answered; `tier_of` gives the tier of each of the `nodes` that it named.
  template <class TierOf>
  void on_answer(PeerHandle peer, std::span<const PeerHandle> nodes, TierOf tier_of) {
    const auto way = mark_answered(peer);
    if (!way) return;
    const Way onward{static_cast<std::uint16_t>(way->depth + 1), way->paths};
    for (const PeerHandle node : nodes.first(std::min<std::size_t>(nodes.size(), k_)))
      (void)insert({.peer = node, .tier = tier_of(node), .way = onward});
  }

  /// The nearest `count` of the window have answered; or all of a smaller window have, and more
  /// answered than are late.
  [[nodiscard]] bool has_answers_of(std::size_t count) const;
  [[nodiscard]] bool converged() const { return has_answers_of(k_); }
  /// Nothing more can come: no fresh candidates, no answer awaited, slow ones' included.
  [[nodiscard]] bool exhausted() const;

  /// How far the k nearest reach that neither failed nor are slow; nothing if they are fewer.
  [[nodiscard]] std::optional<Distance> reach() const;
  [[nodiscard]] std::uint8_t k() const { return k_; }

  /// Those of the windows that answered, the nearest first: k, and the shares of the paths; and
  /// those of the region.
  [[nodiscard]] std::vector<PeerHandle> answered_in_windows() const;
  /// Up to `count` that answered, the nearest first.
  [[nodiscard]] std::vector<PeerHandle> nearest_answered(std::size_t count) const;
  /// The peer that stands at the target itself has answered.
  [[nodiscard]] bool target_answered() const;
  /// It is known and has been asked, and may still answer, be it late.
  [[nodiscard]] bool target_awaited() const;

  /// The peer that stands at the target, if it is known, by whomever; else `no_peer`.
  [[nodiscard]] PeerHandle named_target() const {
    return !candidates_.empty() && candidates_.front().at_target ? candidates_.front().peer
                                                                 : no_peer;
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Candidate& candidate : candidates_)
      visit(candidate.peer);
  }

  [[nodiscard]] const DhtKey& target() const { return target_; }
  [[nodiscard]] std::uint8_t paths() const { return paths_; }
  /// The path on which `peer` was asked, as a bit; none if it was not.
  [[nodiscard]] std::uint8_t path_of(PeerHandle peer) const;
  /// Who was late, and has not answered since.
  [[nodiscard]] std::size_t silent() const;
  [[nodiscard]] LookupCost cost() const;

 private:
  enum class State : std::uint8_t { fresh, asked, slow, answered, failed };

  struct Way {
    std::uint16_t depth = 0;  // answers that led there
    std::uint8_t paths = 1;   // those that lead there, a bit each; the one taken once it is asked
  };

  struct Candidate {
    std::uint64_t far = 0;  // the first word of its distance
    PeerHandle peer = no_peer;
    State state = State::fresh;
    std::uint8_t tier = no_tier;
    bool required = false;
    bool was_late = false;
    bool at_target = false;
    Way way;
  };

  /// Which of the candidates, shown the nearest first, stand in a window.
  class Windows {
   public:
    Windows(const Lookup& lookup, std::size_t count)
        : lookup_(lookup), count_(count), share_((count + lookup.paths_ - 1) / lookup.paths_) {}

    /// The path on which it stands there: of those that lead to it the one with most room.
    std::optional<std::size_t> take(const Candidate& candidate);
    [[nodiscard]] bool full() const;

   private:
    const Lookup& lookup_;
    std::size_t count_;
    std::size_t share_;  // of a path
    std::size_t all_ = 0;
    std::array<std::size_t, paths_max> of_path_{};
    std::vector<DiversityGroup> groups_;  // of those taken
  };

  bool insert(Candidate candidate);
  [[nodiscard]] Distance distance_of(const Candidate& candidate) const;
  [[nodiscard]] Way next_way() const { return {0, static_cast<std::uint8_t>(1U << next_path_)}; }
  void make_room();
  std::optional<Way> mark_answered(PeerHandle peer);
  [[nodiscard]] Candidate* find(PeerHandle peer);
  [[nodiscard]] Candidate* choose();
  [[nodiscard]] Candidate* choose_required();
  [[nodiscard]] bool awaits_required() const;

  const PeerBook* book_;
  PeerHandle self_;
  DhtKey target_;
  std::uint64_t target_prefix_;
  std::uint8_t k_;
  std::uint8_t paths_;
  std::uint8_t next_path_ = 0;  // of the next candidate of our own
  std::uint8_t level_ = 0;      // the highest tier asked
  std::optional<Region> shunned_;
  std::vector<Candidate> candidates_;
  LookupCost cost_;
};

}  // namespace quicmesh::dht
