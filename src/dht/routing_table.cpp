#include "dht/routing_table.hpp"

#include <algorithm>
#include <bit>
#include <iterator>
#include <limits>
#include <utility>

#include "base/assert.hpp"
#include "base/checked.hpp"
#include "base/hash.hpp"

namespace quicmesh::dht {
namespace {

template <class Vector>
auto at(Vector& vector, std::size_t index) {
  return std::next(vector.begin(), static_cast<std::ptrdiff_t>(index));
}

/// Vectors that stay for hours grow by a little, not by half.
template <class T>
void make_room(std::vector<T>& vector, std::size_t step) {
  if (vector.size() == vector.capacity()) vector.reserve(vector.size() + step);
}

}  // namespace

RoutingTable::RoutingTable(Instant now, const Config& config, const PeerBook& book, PeerHandle self)
    : config_(&config),
      book_(&book),
      self_(self),
      own_(DhtKey::of(book.id(self))),
      k_(config.k),
      born_(now) {}

// Where things are.

unsigned RoutingTable::bucket_of(PeerHandle peer) const {
  const std::uint64_t differing = prefix(own_) ^ book_->prefix(peer);
  if (differing != 0) return unsigned(std::countl_zero(differing));
  const unsigned bits = shared_bits(own_, DhtKey::of(book_->id(peer)));
  return std::min(bits, static_cast<unsigned>(buckets_max - 1));
}

std::size_t RoutingTable::begin_of(unsigned bucket) const {
  std::size_t begin = 0;
  for (unsigned i = 0; i < bucket; ++i)
    begin += std::size_t{buckets_[i].live} + buckets_[i].waiting;
  return begin;
}

std::span<const Contact> RoutingTable::all(unsigned bucket) const {
  const Bucket& b = buckets_[bucket];
  return std::span(contacts_).subspan(begin_of(bucket), std::size_t{b.live} + b.waiting);
}
std::span<Contact> RoutingTable::all(unsigned bucket) {
  const Bucket& b = buckets_[bucket];
  return std::span(contacts_).subspan(begin_of(bucket), std::size_t{b.live} + b.waiting);
}
std::span<const Contact> RoutingTable::live(unsigned bucket) const {
  if (bucket >= buckets_.size()) return {};
  return all(bucket).first(buckets_[bucket].live);
}
std::span<const Contact> RoutingTable::waiting(unsigned bucket) const {
  if (bucket >= buckets_.size()) return {};
  return all(bucket).subspan(buckets_[bucket].live);
}

std::optional<std::size_t> RoutingTable::position(PeerHandle peer) const {
  const unsigned bucket = bucket_of(peer);
  if (bucket >= buckets_.size()) return std::nullopt;
  const Bucket& b = buckets_[bucket];
  std::size_t index = begin_of(bucket);
  const std::size_t end = index + b.live + b.waiting;
  while (index < end && contacts_[index].peer != peer)
    ++index;
  return index < end ? std::optional(index) : std::nullopt;
}

const Contact* RoutingTable::find(PeerHandle peer) const {
  const auto index = position(peer);
  return index ? &contacts_[*index] : nullptr;
}

// Time.

std::uint32_t RoutingTable::seconds(Instant now) const {
  return saturating_cast<std::uint32_t>(std::max<std::int64_t>((now - born_) / 1s, 0));
}

/// Rounded up, so that nobody counts as older than it is.
std::uint16_t RoutingTable::quarter_hours(Instant now) const {
  constexpr std::int64_t last = std::numeric_limits<std::uint16_t>::max();
  return static_cast<std::uint16_t>(std::clamp<std::int64_t>((now - born_) / 15min + 1, 0, last));
}

bool RoutingTable::is_long_lived(const Contact& contact) {
  return contact.seen_s * 1s >= contact.since_quarter_hours * Duration(15min) + long_lived;
}

Instant RoutingTable::seen(const Contact& contact) const {
  return born_ + contact.seen_s * 1s;
}

// Groups.

std::uint8_t& RoutingTable::group_slot(DiversityGroup group) {
  return groups_[mix64(std::to_underlying(group)) % groups_.size()];
}

void RoutingTable::count_group(DiversityGroup group, int change) {
  constexpr std::uint8_t full = std::numeric_limits<std::uint8_t>::max();
  if (group == DiversityGroup::not_public) return;
  std::uint8_t& count = group_slot(group);
  // A slot that was full once stays so: its true count is not known any more.
  if (count != full && (change > 0 || count > 0)) count = static_cast<std::uint8_t>(count + change);
}

bool RoutingTable::group_allows(unsigned bucket, PeerHandle peer) {
  const DiversityGroup group = book_->group(peer);
  if (group == DiversityGroup::not_public) return true;
  const auto same_group = [&](const Contact& other) { return book_->group(other.peer) == group; };
  const std::size_t at_most = group_slot(group);
  if (at_most < group_in_bucket_max) return true;
  if (bucket < buckets_.size() &&
      std::ranges::count_if(all(bucket), same_group) >= std::ptrdiff_t{group_in_bucket_max}) {
    return false;
  }
  return at_most < group_in_table_max ||
         std::ranges::count_if(contacts_, same_group) < std::ptrdiff_t{group_in_table_max};
}

bool RoutingTable::regrouped(PeerHandle peer, DiversityGroup before) {
  const DiversityGroup group = book_->group(peer);
  if (group == before || !position(peer)) return false;
  count_group(before, -1);
  count_group(group, 1);
  if (group == DiversityGroup::not_public) return false;
  const auto same_group = [&](const Contact& one) { return book_->group(one.peer) == group; };
  const auto in_bucket = std::ranges::count_if(all(bucket_of(peer)), same_group);
  const auto in_table = std::ranges::count_if(contacts_, same_group);
  if (in_bucket <= std::ptrdiff_t{group_in_bucket_max} &&
      in_table <= std::ptrdiff_t{group_in_table_max}) {
    return false;
  }
  ++refused_for_group_;
  return remove(peer);
}

// Places.

void RoutingTable::make_bucket(Instant now, unsigned bucket) {
  while (buckets_.size() <= bucket) {
    make_room(buckets_, 4);
    buckets_.push_back({.touched_s = seconds(now)});
  }
}

void RoutingTable::insert(std::size_t index, const Contact& contact) {
  make_room(contacts_, 16);
  contacts_.insert(at(contacts_, index), contact);
}

RoutingTable::Place RoutingTable::answered(Instant now, PeerHandle peer,
                                           std::optional<Duration> rtt) {
  if (peer == self_) return Place::refused;
  const unsigned bucket = bucket_of(peer);
  const auto index = position(peer);
  if (!index) {
    if (!group_allows(bucket, peer)) {
      ++refused_for_group_;
      return Place::refused;
    }
    Contact contact{.peer = peer, .seen_s = std::min(seconds(now), seen_last) & seen_last};
    contact.since_quarter_hours = quarter_hours(now);
    if (rtt) contact.add_sample(*rtt);
    make_bucket(now, bucket);
    count_group(book_->group(peer), 1);
    if (buckets_[bucket].live < k_) {
      place_live(bucket, contact);
      return Place::live;
    }
    place_waiting(bucket, contact);
    return Place::waiting;
  }
  Contact& contact = contacts_[*index];
  contact.seen_s = std::min(seconds(now), seen_last) & seen_last;
  contact.failures = 0;
  if (rtt) contact.add_sample(*rtt);
  const auto contacts = all(bucket);
  const auto place = *index - begin_of(bucket);
  if (place < buckets_[bucket].live) return Place::live;
  // Waiting ones stand in the order in which they were heard.
  std::ranges::rotate(contacts.subspan(place), contacts.begin() + std::ptrdiff_t(place) + 1);
  return take_near_place(bucket) ? Place::live : Place::waiting;
}

void RoutingTable::place_live(unsigned bucket, Contact contact) {
  const auto places = live(bucket);
  const auto random = std::ranges::count(places, 0U, [](const Contact& c) { return c.near_half; });
  contact.near_half = config_->near_buckets && std::size_t(random) >= random_half() ? 1U : 0U;
  insert(begin_of(bucket) + buckets_[bucket].live, contact);
  ++buckets_[bucket].live;
  ++live_count_;
}

void RoutingTable::place_waiting(unsigned bucket, const Contact& contact) {
  if (buckets_[bucket].waiting == waiting_max) {
    const std::size_t oldest = begin_of(bucket) + buckets_[bucket].live;
    count_group(book_->group(contacts_[oldest].peer), -1);
    contacts_.erase(at(contacts_, oldest));
    --buckets_[bucket].waiting;
  }
  insert(begin_of(bucket) + buckets_[bucket].live + buckets_[bucket].waiting, contact);
  ++buckets_[bucket].waiting;
}

/// The contact of the near half that gives way first, if any may.
const Contact* RoutingTable::farthest_near(unsigned bucket) const {
  const Contact* farthest = nullptr;
  for (const Contact& contact : live(bucket)) {
    if (contact.near_half == 0 || is_long_lived(contact)) continue;
    if (farthest == nullptr || rtt_or_longest(contact) > rtt_or_longest(*farthest)) {
      farthest = &contact;
    }
  }
  return farthest;
}

Duration RoutingTable::rtt_or_longest(const Contact& contact) {
  return contact.rtt().value_or(Duration::max() / 4);
}

bool RoutingTable::nearer_enough(const Contact& contact, const Contact& than) {
  return rtt_or_longest(contact) * 4 <= rtt_or_longest(than) * 3;
}

/// Gives the contact that answered last, if it is near enough, a place in the near half.
bool RoutingTable::take_near_place(unsigned bucket) {
  if (!config_->near_buckets) return false;
  const auto contacts = all(bucket);
  Contact& last = contacts.back();
  if (!last.rtt_proved()) return false;
  const Contact* farthest = farthest_near(bucket);
  if (farthest == nullptr || !nearer_enough(last, *farthest)) return false;
  std::swap(last, contacts[std::size_t(farthest - contacts.data())]);
  contacts.back().near_half = 0;
  contacts[std::size_t(farthest - contacts.data())].near_half = 1;
  return true;
}

bool RoutingTable::worth_measuring(PeerHandle peer) const {
  if (!config_->near_buckets) return false;
  const auto index = position(peer);
  if (!index || contacts_[*index].rtt_proved()) return false;
  const unsigned bucket = bucket_of(peer);
  if (*index < begin_of(bucket) + buckets_[bucket].live) return false;
  const Contact* farthest = farthest_near(bucket);
  return farthest != nullptr && nearer_enough(contacts_[*index], *farthest);
}

bool RoutingTable::has_room_for(PeerHandle peer) {
  if (peer == self_) return false;
  const unsigned bucket = bucket_of(peer);
  if (bucket < buckets_.size() && buckets_[bucket].live >= k_) return false;
  return !position(peer) && group_allows(bucket, peer);
}

// Leaving.

void RoutingTable::erase_at(unsigned bucket, std::size_t index) {
  count_group(book_->group(contacts_[index].peer), -1);
  const bool was_live = index < begin_of(bucket) + buckets_[bucket].live;
  contacts_.erase(at(contacts_, index));
  if (was_live) {
    --buckets_[bucket].live;
    --live_count_;
  } else {
    --buckets_[bucket].waiting;
  }
}

bool RoutingTable::failed(PeerHandle peer) {
  const auto index = position(peer);
  if (!index) return false;
  Contact& contact = contacts_[*index];
  contact.failures = (contact.failures + 1U) & 3U;
  const unsigned bucket = bucket_of(peer);
  const bool is_waiting = *index >= begin_of(bucket) + buckets_[bucket].live;
  if (!is_waiting && contact.failures < failures_max) return false;
  return remove(peer);
}

bool RoutingTable::remove(PeerHandle peer) {
  const auto index = position(peer);
  if (!index) return false;
  const unsigned bucket = bucket_of(peer);
  erase_at(bucket, *index);
  fill_places(bucket);
  return true;
}

void RoutingTable::fill_places(unsigned bucket) {
  while (buckets_[bucket].live < k_ && buckets_[bucket].waiting > 0) {
    const auto random =
        std::ranges::count(live(bucket), 0U, [](const Contact& c) { return c.near_half; });
    const auto candidates = waiting(bucket);
    // Into the random half who was heard last, into the near one who is nearest.
    auto chosen = candidates.end() - 1;
    if (config_->near_buckets && std::size_t(random) >= random_half()) {
      chosen = std::ranges::min_element(candidates, {}, rtt_or_longest);
    }
    const Contact contact = *chosen;
    contacts_.erase(at(contacts_, std::size_t(&*chosen - contacts_.data())));
    --buckets_[bucket].waiting;
    place_live(bucket, contact);
  }
}

void RoutingTable::measured(PeerHandle peer, Duration rtt) {
  if (const auto index = position(peer)) contacts_[*index].add_sample(rtt);
}

void RoutingTable::path_changed(PeerHandle peer, Duration rtt) {
  if (const auto index = position(peer)) {
    contacts_[*index].forget_samples();
    if (rtt > Duration::zero()) contacts_[*index].add_sample(rtt);
  }
}

void RoutingTable::part(PeerHandle peer) {
  if (const auto index = position(peer)) contacts_[*index].parted = 1;
}
void RoutingTable::forget_parted() {
  for (Contact& contact : contacts_)
    contact.parted = 0;
}

void RoutingTable::set_k(std::uint8_t k) {
  k_ = k;
  for (unsigned bucket = 0; bucket < buckets_.size(); ++bucket)
    fill_places(bucket);
}

// Questions.

void RoutingTable::nearest(const DhtKey& target, std::size_t count, Which which,
                           std::vector<PeerHandle>& out) const {
  // Of a distance the first word decides, but for ids that somebody has ground.
  struct Candidate {
    std::uint64_t first_word;
    PeerHandle peer;
    bool failing;
  };
  std::vector<Candidate> candidates;
  candidates.reserve(2 * count + waiting_max);
  std::size_t answering = 0;
  const std::uint64_t first_word = prefix(target);
  const auto far = [&](PeerHandle peer) { return distance(target, DhtKey::of(book_->id(peer))); };
  const auto collect = [&](unsigned bucket) {
    for (const Contact& contact : live(bucket)) {
      const bool failing = contact.failures != 0;
      if (failing && which == Which::answering) continue;
      candidates.push_back({first_word ^ book_->prefix(contact.peer), contact.peer, failing});
      answering += failing ? 0 : 1;
    }
  };
  // The target's own bucket is nearest; all deeper ones share as many bits with the target as we
  // do; then each shallower bucket is farther than the one before.
  const unsigned shared = shared_bits(own_, target);
  if (shared < buckets_.size()) collect(shared);
  if (answering < count) {
    for (unsigned bucket = shared + 1; bucket < buckets_.size(); ++bucket)
      collect(bucket);
  }
  for (unsigned below = std::min<unsigned>(shared, unsigned(buckets_.size()));
       below > 0 && answering < count; --below) {
    collect(below - 1);
  }
  const std::size_t found = std::min(count, candidates.size());
  const auto nearer = [&](const Candidate& a, const Candidate& b) {
    if (a.failing != b.failing) return b.failing;
    if (a.first_word != b.first_word) return a.first_word < b.first_word;
    return a.peer != b.peer && far(a.peer) < far(b.peer);
  };
  if (found < candidates.size()) {
    std::ranges::nth_element(candidates, at(candidates, found), nearer);
  }
  std::ranges::sort(candidates.begin(), at(candidates, found), nearer);
  for (std::size_t i = 0; i < found; ++i)
    out.push_back(candidates[i].peer);
}

// Refresh.

void RoutingTable::touch(Instant now, const DhtKey& target) {
  if (buckets_.empty()) return;
  const unsigned shared = shared_bits(own_, target);
  buckets_[std::min<std::size_t>(shared, buckets_.size() - 1)].touched_s = seconds(now);
}

unsigned RoutingTable::first_own() const {
  std::size_t deeper = 0;
  unsigned bucket = unsigned(buckets_.size());
  while (bucket > 0 && deeper + buckets_[bucket - 1].live <= k_) {
    --bucket;
    deeper += buckets_[bucket].live;
  }
  return bucket;
}

unsigned RoutingTable::buckets_on_the_way() const {
  const auto before = std::span(buckets_).first(first_own());
  return unsigned(
      std::ranges::count_if(before, [&](const Bucket& one) { return one.live >= k_ / 2U; }));
}

unsigned RoutingTable::touch_own(Instant now) {
  const unsigned first = first_own();
  for (unsigned bucket = first; bucket < buckets_.size(); ++bucket)
    touch_bucket(now, bucket);
  return first;
}

std::optional<RoutingTable::Stale> RoutingTable::stalest() const {
  if (buckets_.empty()) return std::nullopt;
  const auto stalest = std::ranges::min_element(buckets_, {}, &Bucket::touched_s);
  return Stale{unsigned(stalest - buckets_.begin()), born_ + stalest->touched_s * Duration(1s)};
}

DhtKey RoutingTable::random_key_in(unsigned bucket, Rng& rng) const {
  return random_key_beside(own_, bucket, rng);
}

std::size_t RoutingTable::memory() const {
  return buckets_.capacity() * sizeof(Bucket) + contacts_.capacity() * sizeof(Contact);
}

}  // namespace quicmesh::dht
