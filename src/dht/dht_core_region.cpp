// DhtCore: regions (Sridhar et al., "Content Censorship in the InterPlanetary File System", NDSS
// 2024, s6).
//
// Who grinds ids around a key holds all places of the k nearest. But hashes lie evenly, so it
// shows: the k nearest stand much denser than servers do elsewhere (density.hpp). Then a value is
// put to, and asked of, the *region* besides: all who share so many bits with the key as k to 2k
// servers do.
//
// They are not found by looking up the key, since whoever is asked names the nearest to it. But the
// region is made of parts that ever more bits of the key single out: the half of it that differs
// from the key in its first bit, the quarter that agrees there and differs in the next one, and so
// on. A random key of each of the largest is looked up, as any other; whoever answers there is of
// the region. Putters and readers guess the density for themselves. If the guesses differ by a
// factor of four their regions have one part in common.
#include <algorithm>
#include <utility>

#include "dht/dht_core.hpp"

namespace quicmesh::dht {

double DhtCore::servers() const {
  const DhtKey own = DhtKey::of(book_->id(self_));
  std::vector<PeerHandle> nearest;
  table_.nearest(own, table_.k(), RoutingTable::Which::answering, nearest);
  std::optional<double> around_us;
  if (nearest.size() == table_.k()) {
    around_us = servers_by(nearest.size(), distance(own, DhtKey::of(book_->id(nearest.back()))));
  }
  return density_.servers(around_us);
}

/// What a refresh saw counts if its bucket is full: whoever is to fill one far from us needs a
/// share of all ids.
void DhtCore::learn_density(const Lookup& refresh) {
  const unsigned bucket = shared_bits(DhtKey::of(book_->id(self_)), refresh.target());
  const auto reach = refresh.reach();
  if (reach && table_.live(bucket).size() >= table_.k()) {
    density_.add_sample(servers_by(refresh.k(), *reach));
  }
}

bool DhtCore::is_too_dense(const Lookup& lookup) const {
  const auto reach = lookup.reach();
  const double all = servers();
  return reach && all > 0 && servers_by(lookup.k(), *reach) > dense_factor * all;
}

/// The lookup has met the k nearest. True if it goes on.
bool DhtCore::widen(Instant now, QueryId query) {
  RunningLookup* running = find(query);
  if (running->region) return running->sides_open > 0;
  if (!is_too_dense(running->lookup)) return false;
  const DhtKey key = running->lookup.target();
  const Region region = Region::around(key, servers(), running->lookup.k());
  running->region = region;
  ++counters_.regions;
  running->deadline = now + config_->lookup_deadline;
  std::vector<QueryId> sides;
  for (unsigned side = 0; side < region_sides && lookups_.size() < lookups_max; ++side) {
    const DhtKey target = random_key_beside(key, region.bits + side, rng_);
    // Who stands nearer to the key than this part would name no one else.
    const Region nearer{region.bits + side + 1, key};
    RunningLookup& lookup = start(now, target, Purpose::side, {}, config_->disjoint_paths, nearer);
    lookup.side_of = query;
    lookup.deadline = now + config_->lookup_deadline / 2;
    sides.push_back(lookup.query);
  }
  find(query)->sides_open = static_cast<std::uint8_t>(sides.size());
  for (const QueryId side : sides)
    proceed(now, side);
  return !sides.empty();
}

void DhtCore::end_side(Instant now, const RunningLookup& side) {
  RunningLookup* running = find(side.side_of);
  if (running == nullptr) return;
  for (const PeerHandle peer : side.lookup.answered_in_windows()) {
    if (running->region->has(DhtKey::of(book_->id(peer)))) {
      running->lookup.add_required(peer, tier_of(peer));
    }
  }
  --running->sides_open;
  proceed(now, side.side_of);
}

}  // namespace quicmesh::dht
