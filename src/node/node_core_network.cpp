// A node whose network changes under it, and one that is told to be quiet.
//
// What is known of a change is that it happened: an address came or went, a route leads elsewhere,
// the machine slept. So nothing that was measured before is believed, and nobody is given up for
// it: all paths are asked at once, and whatever answers is used (connectivity.hpp). Relays tell
// anew where they see this node (relay_client.hpp), and the NAT is asked what it does
// (nat_watch.hpp).
#include <algorithm>
#include <utility>

#include "node/node_core.hpp"

namespace quicmesh {

void NodeCore::network_changed(Instant now, std::span<const IpAddress> own) {
  look_at_network(now, own, false);
}

void NodeCore::resume(Instant now, std::span<const IpAddress> own) {
  suspended_ = false;
  handle_timeout(now);  // what is over ends before the rest is asked
  look_at_network(now, own, true);
}

void NodeCore::look_at_network(Instant now, std::span<const IpAddress> own, bool slept) {
  now_ = now;
  std::vector<IpAddress> chosen;
  NetworkChanged changed;
  for (const LocalEndpoint& endpoint : endpoints_) {
    if (!endpoint.source.is_unspecified()) chosen.push_back(endpoint.source);
    changed.addresses.push_back(endpoint.address);
  }
  std::erase_if(chosen,
                [&](const IpAddress& ip) { return std::ranges::find(own, ip) == own.end(); });
  connectivity_->network_changed(now, own, chosen, slept);
  relay_user_.network_changed(now, *connectivity_);
  turn_user_.network_changed(now);
  nat_watch_.restart(now);
  tell_candidates(true);
  events_.emplace_back(std::move(changed));
  route(now);
}

}  // namespace quicmesh
