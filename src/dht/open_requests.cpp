#include "dht/open_requests.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh::dht {

/// The order of asking is kept: what replays must not depend on who answered first.
OpenRequest OpenRequests::take_at(std::size_t index) {
  OpenRequest request = std::move(requests_[index]);
  requests_.erase(requests_.begin() + std::ptrdiff_t(index));
  if (requests_.empty()) requests_.shrink_to_fit();  // a node at rest owns no memory for requests
  return request;
}

std::optional<OpenRequest> OpenRequests::take(PeerHandle from, std::uint32_t number) {
  const auto found = std::ranges::find_if(requests_, [&](const OpenRequest& request) {
    return request.number == number && request.peer == from && !request.waiting;
  });
  if (found == requests_.end()) return std::nullopt;
  return take_at(std::size_t(found - requests_.begin()));
}

const OpenRequest* OpenRequests::next_late(Instant now) {
  const auto found = std::ranges::find_if(
      requests_, [&](const OpenRequest& request) { return request.late_at <= now; });
  if (found == requests_.end()) return nullptr;
  found->late_at = never;
  return &*found;
}

std::optional<OpenRequest> OpenRequests::take_given_up(Instant now) {
  const auto found = std::ranges::find_if(
      requests_, [&](const OpenRequest& request) { return request.given_up_at <= now; });
  if (found == requests_.end()) return std::nullopt;
  return take_at(std::size_t(found - requests_.begin()));
}

std::vector<OpenRequest> OpenRequests::take_all_of(PeerHandle peer) {
  std::vector<OpenRequest> taken;
  for (std::size_t i = 0; i < requests_.size();) {
    if (requests_[i].peer == peer) {
      taken.push_back(take_at(i));
    } else {
      ++i;
    }
  }
  return taken;
}

std::size_t OpenRequests::checks() const {
  return std::size_t(std::ranges::count(requests_, no_query, &OpenRequest::query));
}

bool OpenRequests::any_to(PeerHandle peer) const {
  return std::ranges::find(requests_, peer, &OpenRequest::peer) != requests_.end();
}

Instant OpenRequests::earliest() const {
  Instant earliest = never;
  for (const OpenRequest& request : requests_)
    earliest = std::min({earliest, request.late_at, request.given_up_at});
  return earliest;
}

}  // namespace quicmesh::dht
