#include "dht/value_store.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh::dht {
namespace {

template <class Map, class Key>
void add_to(Map& counts, const Key& key, int change) {
  auto& count = counts[key];
  count = static_cast<std::uint32_t>(static_cast<int>(count) + change);
  if (count == 0) counts.erase(key);
}

template <class Map, class Key>
std::uint32_t count_of(const Map& counts, const Key& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

SourceId source_id(const NodeId& peer) {
  std::uint64_t number = 0;
  for (std::size_t i = 0; i < sizeof(number); ++i)
    number = number << 8 | peer.bytes[i];
  return SourceId{number};
}

void ValueStore::count(const HeldValue& value, int change) {
  add_to(of_source_, value.source, change);
  if (value.group != DiversityGroup::not_public) add_to(of_group_, value.group, change);
}

bool ValueStore::has_room_for(const Offer& offer) const {
  return values_.size() < values_max && count_of(of_source_, offer.source) < values_of_source_max &&
         count_of(of_group_, offer.group) < values_of_group_max;
}

PutStatus ValueStore::put(Instant now, const Offer& offer, Rng& rng) {
  const auto held = values_.find(offer.key);
  if (held != values_.end() && held->second.expires > now) {
    if (held->second.kind != offer.kind || held->second.sequence > offer.sequence) {
      return PutStatus::older;
    }
    // Two values of one sequence number: the owner made a mistake, and the first one stays.
    if (held->second.sequence == offer.sequence &&
        !std::ranges::equal(held->second.bytes, offer.bytes)) {
      return PutStatus::older;
    }
  }
  if (held == values_.end() && !has_room_for(offer)) {
    ++refused_;
    return PutStatus::full;
  }
  HeldValue value{
      .kind = offer.kind,
      .bytes = to_bytes(offer.bytes),
      .sequence = offer.sequence,
      .expires = now + offer.lifetime,
      .republish_at = now + rng.between(republish_interval * 4 / 5, republish_interval * 6 / 5),
      .source = offer.source,
      .group = offer.group};
  if (held != values_.end()) {
    // Its place is on the account of who put it first.
    value.source = held->second.source;
    value.group = held->second.group;
    value.expires = std::max(value.expires, held->second.expires);
    if (value.sequence != held->second.sequence) value.expires = now + offer.lifetime;
    held->second = std::move(value);
  } else {
    count(value, 1);
    values_.emplace(offer.key, std::move(value));
  }
  look_at_ = std::min(look_at_, now + look_interval);
  return PutStatus::stored;
}

const HeldValue* ValueStore::find(Instant now, const DhtKey& key, ValueKind kind) const {
  const auto found = values_.find(key);
  if (found == values_.end() || found->second.kind != kind || found->second.expires <= now) {
    return nullptr;
  }
  return &found->second;
}

std::optional<ValueStore::Due> ValueStore::handle_timeout(Instant now, Rng& rng) {
  if (look_at_ > now) return std::nullopt;
  if (forget_at_ <= now) {
    forget_at_ = now + look_interval;
    std::erase_if(values_, [&](const auto& entry) {
      const bool over = entry.second.expires <= now;
      if (over) count(entry.second, -1);
      return over;
    });
  }
  look_at_ = values_.empty() ? never : now + look_interval;
  const auto due = std::ranges::min_element(
      values_, {}, [](const auto& entry) { return entry.second.republish_at; });
  if (due == values_.end() || due->second.republish_at > now) return std::nullopt;
  due->second.republish_at =
      now + rng.between(republish_interval * 4 / 5, republish_interval * 6 / 5);
  look_at_ = now + republish_pause;
  if (due->second.expires <= now) return std::nullopt;
  return Due{due->first, due->second};
}

}  // namespace quicmesh::dht
