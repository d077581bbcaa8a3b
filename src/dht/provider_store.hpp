// ProviderStore: the provider records that a server keeps for others.
//
// Records come from their providers alone, over a connection that has proved who they are, and live
// as long as they say. Bounds (THREATS TD8): records of a key, of a provider, of a diversity group,
// and in all. What is beyond them is refused and counted, with two exceptions, so that nobody takes
// a key for good:
//
// - Of a full key, a record with less than half of a newcomer's lifetime gives way (Coral's rule,
//   Freedman et al. 2004 s4.2). A provider that is there renews its record long before.
// - Of a full key, the group that has most records of it, and at least two more than that of the
//   newcomer, loses the one that expires first: who comes from one network cannot fill a key.
//
// Both are as deterministic as the order in which records came.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/peer_core.hpp"
#include "base/rng.hpp"
#include "dht/message.hpp"
#include "dht/provider_record.hpp"

namespace quicmesh::dht {

class ProviderStore {
 public:
  static constexpr std::size_t records_max = 100'000;
  static constexpr std::size_t records_of_key_max = 64;
  static constexpr std::size_t records_of_provider_max = 1'000;
  static constexpr std::size_t records_of_group_max = 4'000;
  /// No newcomer needs others to have lived for longer than this to give way.
  static constexpr Duration usual_lifetime = 3h;

  struct Offer {
    CheckedProvider checked;
    ByteView record;
    DiversityGroup group{};
  };
  /// Takes a record that check_provider found right: `stored`, `older`, `full` or `over_quota`.
  PutStatus put(Instant now, const Offer& offer);

  /// What `put` says of an offer of `record` whatever else is in it, so that its signature need not
  /// be checked: it is held already, or its provider has no share left.
  [[nodiscard]] std::optional<PutStatus> put_unchecked(Instant now, ByteView record,
                                                       DiversityGroup group);
  /// Up to `count` records of `key`, at random, but none of `asker`'s own.
  [[nodiscard]] std::vector<Bytes> some(Instant now, const DhtKey& key, std::size_t count,
                                        const NodeId& asker, Rng& rng) const;
  /// One more would be refused, or another give way.
  [[nodiscard]] bool is_full(Instant now, const DhtKey& key) const;

  /// Forgets what has expired.
  void handle_timeout(Instant now);
  /// When something expires, to the minute.
  [[nodiscard]] Instant poll_timeout() const { return look_at_; }

  /// Each provider once, from `first` on and round, until `visit` is false.
  template <class Visit>
  void for_each_provider(const NodeId& first, Visit visit) const {
    const auto begin = of_provider_.lower_bound(first);
    for (auto one = begin; one != of_provider_.end(); ++one) {
      if (!visit(one->first)) return;
    }
    for (auto one = of_provider_.begin(); one != begin; ++one) {
      if (!visit(one->first)) return;
    }
  }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t size_of(const DhtKey& key) const;
  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  /// Records that gave way to others.
  [[nodiscard]] std::uint64_t replaced() const { return replaced_; }

 private:
  static constexpr Duration look_interval = 60s;

  struct Held {
    NodeId provider;
    std::uint64_t sequence = 0;
    Instant expires{};
    DiversityGroup group{};
    ProviderRecord record{};
  };
  using OfKey = std::vector<Held>;  // in the order in which they came

  [[nodiscard]] bool has_share_left(const NodeId& provider, DiversityGroup group) const;
  bool make_room(Instant now, OfKey& held, const Offer& offer);
  void forget(OfKey& held, OfKey::iterator which);

  std::map<DhtKey, OfKey> keys_;
  std::map<NodeId, std::uint32_t> of_provider_;
  std::map<DiversityGroup, std::uint32_t> of_group_;
  std::size_t size_ = 0;
  Instant look_at_ = never;
  std::uint64_t refused_ = 0;
  std::uint64_t replaced_ = 0;
};

}  // namespace quicmesh::dht
