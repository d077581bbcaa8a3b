#include "dht/provider_store.hpp"

#include <algorithm>

namespace quicmesh::dht {
namespace {

template <class Map, class Key>
std::size_t count_in(const Map& counts, const Key& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

template <class Map, class Key>
void take_one(Map& counts, const Key& key) {
  const auto found = counts.find(key);
  if (found != counts.end() && --found->second == 0) counts.erase(found);
}

}  // namespace

bool ProviderStore::has_share_left(const NodeId& provider, DiversityGroup group) const {
  return count_in(of_provider_, provider) < records_of_provider_max &&
         count_in(of_group_, group) < records_of_group_max;
}

std::optional<PutStatus> ProviderStore::put_unchecked(Instant now, ByteView record,
                                                      DiversityGroup group) {
  const NodeId provider = provider_of(record);
  if (const auto key = keys_.find(provided_key_of(record)); key != keys_.end()) {
    const auto held = std::ranges::find(key->second, provider, &Held::provider);
    if (held != key->second.end()) {
      const bool same = held->expires > now && std::ranges::equal(held->record, record);
      return same ? std::optional(PutStatus::stored) : std::nullopt;
    }
  }
  if (has_share_left(provider, group)) return std::nullopt;
  ++refused_;
  return PutStatus::over_quota;
}

void ProviderStore::forget(OfKey& held, OfKey::iterator which) {
  take_one(of_provider_, which->provider);
  take_one(of_group_, which->group);
  held.erase(which);
  --size_;
}

/// Of a key that is full; false if nobody has to give way.
bool ProviderStore::make_room(Instant now, OfKey& held, const Offer& offer) {
  const auto first_to_expire = std::ranges::min_element(held, {}, &Held::expires);
  const Duration lifetime = std::min(offer.checked.lifetime, usual_lifetime);
  if (first_to_expire->expires - now < lifetime / 2) {
    if (first_to_expire->expires > now) ++replaced_;
    forget(held, first_to_expire);
    return true;
  }
  std::map<DiversityGroup, std::size_t> of_group;
  for (const Held& one : held)
    if (one.group != DiversityGroup::not_public) ++of_group[one.group];
  const auto most = std::ranges::max_element(
      of_group, {}, [](const auto& group_and_count) { return group_and_count.second; });
  if (most == of_group.end() || most->second < count_in(of_group, offer.group) + 2) return false;
  auto gives_way = held.end();
  for (auto one = held.begin(); one != held.end(); ++one) {
    if (one->group != most->first) continue;
    if (gives_way == held.end() || one->expires < gives_way->expires) gives_way = one;
  }
  ++replaced_;
  forget(held, gives_way);
  return true;
}

PutStatus ProviderStore::put(Instant now, const Offer& offer) {
  const CheckedProvider& checked = offer.checked;
  Held fresh{.provider = checked.provider,
             .sequence = checked.sequence,
             .expires = now + checked.lifetime,
             .group = offer.group};
  std::ranges::copy(offer.record, fresh.record.begin());
  const auto key = keys_.find(checked.key);
  if (key != keys_.end()) {
    OfKey& held = key->second;
    const auto same = std::ranges::find(held, checked.provider, &Held::provider);
    if (same != held.end()) {
      if (same->sequence > checked.sequence) return PutStatus::older;
      // The place stays on the account of the network that it came from first.
      fresh.group = same->group;
      if (same->sequence < checked.sequence) *same = fresh;
      return PutStatus::stored;
    }
  }
  if (!has_share_left(checked.provider, offer.group)) {
    ++refused_;
    return PutStatus::over_quota;
  }
  const bool key_full = key != keys_.end() && key->second.size() >= records_of_key_max;
  if (key_full ? !make_room(now, key->second, offer) : size_ >= records_max) {
    ++refused_;
    return PutStatus::full;
  }
  keys_[checked.key].push_back(fresh);
  ++size_;
  ++of_provider_[checked.provider];
  if (offer.group != DiversityGroup::not_public) ++of_group_[offer.group];
  look_at_ = std::min(look_at_, now + look_interval);
  return PutStatus::stored;
}

std::vector<Bytes> ProviderStore::some(Instant now, const DhtKey& key, std::size_t count,
                                       const NodeId& asker, Rng& rng) const {
  std::vector<Bytes> records;
  const auto found = keys_.find(key);
  if (found == keys_.end()) return records;
  std::vector<const Held*> live;
  for (const Held& one : found->second)
    if (one.expires > now && one.provider != asker) live.push_back(&one);
  while (!live.empty() && records.size() < count) {
    std::swap(live[rng.below(live.size())], live.back());
    records.push_back(to_bytes(live.back()->record));
    live.pop_back();
  }
  return records;
}

bool ProviderStore::is_full(Instant now, const DhtKey& key) const {
  const auto found = keys_.find(key);
  if (size_ >= records_max) return true;
  if (found == keys_.end()) return false;
  const auto live =
      std::ranges::count_if(found->second, [&](const Held& one) { return one.expires > now; });
  return static_cast<std::size_t>(live) >= records_of_key_max;
}

std::size_t ProviderStore::size_of(const DhtKey& key) const {
  const auto found = keys_.find(key);
  return found == keys_.end() ? 0 : found->second.size();
}

void ProviderStore::handle_timeout(Instant now) {
  if (look_at_ > now) return;
  for (auto& [key, held] : keys_) {
    for (auto one = held.begin(); one != held.end();) {
      if (one->expires > now) {
        ++one;
        continue;
      }
      const auto index = one - held.begin();
      forget(held, one);
      one = held.begin() + index;
    }
  }
  std::erase_if(keys_, [](const auto& entry) { return entry.second.empty(); });
  look_at_ = keys_.empty() ? never : now + look_interval;
}

}  // namespace quicmesh::dht
