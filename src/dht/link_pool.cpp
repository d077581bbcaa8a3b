#include "dht/link_pool.hpp"

#include <algorithm>
#include <utility>

#include "base/hash.hpp"

namespace quicmesh::dht {

const LinkPool::Link* LinkPool::find(PeerHandle peer) const {
  const auto found = std::ranges::find(links_, peer, &Link::peer);
  return found == links_.end() ? nullptr : &*found;
}
LinkPool::Link* LinkPool::find(PeerHandle peer) {
  return const_cast<Link*>(std::as_const(*this).find(peer));
}

LinkPool::Link& LinkPool::get(PeerHandle peer) {
  if (Link* link = find(peer)) return *link;
  if (links_.size() == links_.capacity()) links_.reserve(links_.size() + 8);
  return links_.emplace_back(Link{.peer = peer});
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
  for (Link& link : links_)
    link.wanted = std::ranges::count(wanted, link.peer) != 0;
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
  const auto found = std::ranges::find(links_, peer, &Link::peer);
  if (found == links_.end()) return;
  if (found->up) --up_count_;
  links_.erase(found);
}

}  // namespace quicmesh::dht
