#include "node/announced_clients.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace quicmesh {

void AnnouncedClients::remember(Instant now, PeerHandle client) {
  std::erase_if(clients_,
                [&](const Client& one) { return one.peer == client || one.until <= now; });
  clients_.push_back({client, now + remembered_for});
  if (clients_.size() <= clients_max) return;
  std::map<DiversityGroup, std::size_t> of_group;
  for (const Client& one : clients_)
    ++of_group[book_->group(one.peer)];
  const DhtKey here = DhtKey::of(book_->id(self_));
  const auto leaves = std::ranges::max_element(clients_, {}, [&](const Client& one) {
    return std::pair(of_group[book_->group(one.peer)],
                     distance(here, DhtKey::of(book_->id(one.peer))));
  });
  clients_.erase(leaves);
}

PeerHandle AnnouncedClients::find(Instant now, const DhtKey& key) const {
  const auto found = std::ranges::find_if(clients_, [&](const Client& one) {
    return one.until > now && DhtKey::of(book_->id(one.peer)) == key;
  });
  return found == clients_.end() ? no_peer : found->peer;
}

void AnnouncedClients::mark(PeerBook::Sweep& sweep) const {
  for (const Client& one : clients_)
    sweep.mark(one.peer);
}

}  // namespace quicmesh
