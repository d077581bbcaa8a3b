#include "dht/link_pool.hpp"

#include <algorithm>
#include <utility>

#include "base/hash.hpp"

namespace quicmesh::dht {

std::size_t LinkPool::index(PeerHandle peer) const {
  const auto found = std::ranges::find(peers_, peer);
  return found == peers_.end() ? none : std::size_t(found - peers_.begin());
}

const LinkPool::Link* LinkPool::find(PeerHandle peer) const {
  const std::size_t at = index(peer);
  return at == none ? nullptr : &links_[at];
}
LinkPool::Link* LinkPool::find(PeerHandle peer) {
  return const_cast<Link*>(std::as_const(*this).find(peer));
}

LinkPool::Link& LinkPool::get(PeerHandle peer) {
  if (Link* link = find(peer)) return *link;
  if (links_.size() == links_.capacity()) {
    peers_.reserve(links_.size() + 8);
    links_.reserve(links_.size() + 8);
  }
  peers_.push_back(peer);
  return links_.emplace_back();
}

bool LinkPool::is_up(PeerHandle peer) const {
  const Link* link = find(peer);
  return link != nullptr && link->up;
}
bool LinkPool::is_opening(PeerHandle peer) const {
  const Link* link = find(peer);
  return link != nullptr && !link->up;
}

void LinkPool::want(std::span<const PeerHandle> wanted) {
  for (std::size_t i = 0; i < links_.size(); ++i)
    links_[i].wanted = std::ranges::find(wanted, peers_[i]) != wanted.end();
}
bool LinkPool::is_wanted(PeerHandle peer) const {
  const Link* link = find(peer);
  return link != nullptr && link->wanted;
}

void LinkPool::opening(Instant now, PeerHandle peer) {
  get(peer).used_at = now;
}

void LinkPool::up(Instant now, PeerHandle peer, Duration rtt) {
  Link& link = get(peer);
  if (!link.up) ++up_count_;
  link.up = true;
  link.used_at = now;
  link.rtt = rtt > Duration::zero() ? CompactRtt(rtt) : CompactRtt();
}

void LinkPool::path_changed(PeerHandle peer, Duration rtt) {
  Link* link = find(peer);
  if (link != nullptr) link->rtt = rtt > Duration::zero() ? CompactRtt(rtt) : CompactRtt();
}

std::optional<Duration> LinkPool::rtt(PeerHandle peer) const {
  const Link* link = find(peer);
  return link != nullptr && link->rtt.duration() > Duration::zero()
             ? std::optional(link->rtt.duration())
             : std::nullopt;
}

void LinkPool::used(Instant now, PeerHandle peer) {
  if (Link* link = find(peer)) link->used_at = now;
}

bool LinkPool::serves(Instant now, PeerHandle peer, std::uint8_t most) {
  Link* const link = find(peer);
  Asked* const other = link == nullptr ? &others_of(peer) : nullptr;
  Instant& since = link == nullptr ? other->since : link->asked_since;
  std::uint8_t& asked = link == nullptr ? other->count : link->asked;
  if (now - since >= counted_for) {
    since = now;
    asked = 0;
  }
  if (asked >= most) return false;
  ++asked;
  return true;
}

LinkPool::Asked& LinkPool::others_of(PeerHandle peer) {
  if (others_.empty()) others_.resize(others_slots);
  return others_[mix64(std::to_underlying(peer)) % others_slots];
}

void LinkPool::gone(PeerHandle peer) {
  const std::size_t at = index(peer);
  if (at == none) return;
  if (links_[at].up) --up_count_;
  peers_.erase(peers_.begin() + std::ptrdiff_t(at));
  links_.erase(links_.begin() + std::ptrdiff_t(at));
}

}  // namespace quicmesh::dht
