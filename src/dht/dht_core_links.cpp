// DhtCore: which connections are kept.
//
// For express queries a node keeps connections open to a few contacts of each bucket, alternately
// the nearest by RTT and some of the random half, as many as half of its connections (three
// quarters of a client's, to which nobody else opens any). A contact that closed such a connection
// had no room, and is left in peace for ten minutes.
#include <algorithm>
#include <bitset>
#include <cstddef>
#include <span>
#include <tuple>
#include <utility>

#include "dht/dht_core.hpp"

namespace quicmesh::dht {
namespace {

/// At least so many of a bucket, as long as there are any left to keep.
constexpr std::size_t of_bucket_min = 2;

}  // namespace

std::size_t DhtCore::links_max() const {
  return server_ ? config_->links_server : config_->links_client;
}

/// Whom express queries need, the shallow buckets first: they are on the way to most targets.
std::vector<PeerHandle> DhtCore::wanted_links() const {
  std::vector<PeerHandle> wanted;
  if (!config_->express || table_.bucket_count() == 0) return wanted;
  const std::size_t all = server_ ? links_max() / 2 : links_max() * 3 / 4;
  // Those around us a query needs no hop to: the node knows everybody there.
  const std::size_t of_bucket = std::max(of_bucket_min, all / (table_.buckets_on_the_way() + 1U));
  // Most contacts have no connection: their handles' last bits tell.
  constexpr std::size_t marks = 1024;
  std::bitset<marks> up;
  links_.for_each_up([&](PeerHandle peer) { up.set(std::to_underlying(peer) % marks); });
  const auto is_up = [&](PeerHandle peer) {
    return up.test(std::to_underlying(peer) % marks) && links_.is_up(peer);
  };
  // What is sorted by is read once.
  struct Eligible {
    PeerHandle peer = no_peer;
    CompactRtt rtt;
    std::uint8_t rank = 0;
  };
  std::vector<Eligible> contacts;
  for (unsigned bucket = 0; bucket < table_.bucket_count() && wanted.size() < all; ++bucket) {
    contacts.clear();
    for (const Contact& contact : table_.live(bucket)) {
      if (contact.failures != 0 || contact.parted != 0) continue;
      contacts.push_back({contact.peer,
                          contact.samples == 0 ? CompactRtt::longest() : contact.median(),
                          static_cast<std::uint8_t>(contact.near_half)});
    }
    const std::size_t count = std::min({of_bucket, contacts.size(), all - wanted.size()});
    const std::size_t near = count - count / 2;
    std::ranges::partial_sort(contacts, contacts.begin() + std::ptrdiff_t(near), {},
                              [](const Eligible& one) { return std::pair(one.rtt, one.peer); });
    for (std::size_t i = 0; i < near; ++i)
      wanted.push_back(contacts[i].peer);
    // Of the others those that stand already, then those of the random half.
    const auto others = std::span(contacts).subspan(near);
    for (Eligible& contact : others)
      contact.rank = static_cast<std::uint8_t>(2 * contact.rank + (is_up(contact.peer) ? 0 : 1));
    std::ranges::partial_sort(
        others, others.begin() + std::ptrdiff_t(count - near), {},
        [](const Eligible& one) { return std::tuple(one.rank, one.rtt, one.peer); });
    for (std::size_t i = near; i < count; ++i)
      wanted.push_back(contacts[i].peer);
  }
  return wanted;
}

void DhtCore::plan_keep_warm(Instant now, Duration pause) {
  if (config_->express) warm_at_ = std::min(warm_at_, now + rng_.between(pause / 2, pause));
}

void DhtCore::keep_warm(Instant now) {
  warm_at_ = never;
  const std::vector<PeerHandle> wanted = wanted_links();
  std::size_t opened = 0;
  for (const PeerHandle peer : wanted) {
    if (links_.is_up(peer) || links_.is_opening(peer)) continue;
    if (opened < warm_at_once) check(now, peer);
    ++opened;
    if (links_.is_opening(peer)) continue;
    // Whatever the bounds of checks did not let us open, is opened later.
    plan_keep_warm(now, warm_pause);
    break;
  }
  links_.want(wanted);
}

/// `peer` is not connected any more: we had too many connections, or it had, or it is gone.
void DhtCore::parted(Instant now, PeerHandle peer) {
  if (!config_->express) return;
  table_.part(peer);
  if (forget_parted_at_ == never) forget_parted_at_ = now + parted_for;
}

void DhtCore::forget_parted(Instant now) {
  forget_parted_at_ = never;
  table_.forget_parted();
  plan_keep_warm(now, warm_pause);
}

/// Whom a put has asked it will store at, if nobody nearer shows up, over the same connection.
bool DhtCore::may_store_at(PeerHandle peer) const {
  return std::ranges::any_of(lookups_, [&](const RunningLookup& running) {
    const bool stores = (running.task != nullptr && running.task->put) ||
                        (running.providers != nullptr && running.providers->provide);
    return stores && running.lookup.path_of(peer) != 0;
  });
}

void DhtCore::trim_links(Instant now) {
  if (links_.up_count() <= links_max()) return;
  const auto keep = [&](PeerHandle peer) {
    if (may_store_at(peer)) return LinkPool::held;
    if (requests_.any_to(peer)) return 0;
    return table_.find(peer) == nullptr ? 1 : 2;
  };
  for (const PeerHandle surplus : links_.surplus(now, links_max(), keep)) {
    // The end of another one may have brought its own.
    if (!links_.is_up(surplus)) continue;
    ++counters_.links_closed;
    (void)outputs_.push(peer::Close{surplus});
    connection_over(now, surplus, Blame::nobody);
  }
}

}  // namespace quicmesh::dht
