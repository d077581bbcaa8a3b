// Ports that the gateway forwards to this node; see mapped_addresses.hpp.
#include <utility>

#include "node/node_core.hpp"

namespace quicmesh {

void NodeCore::set_mapped_addresses(Instant now, MappedAddresses mapped) {
  now_ = now;
  if (mapped == mapped_) return;
  mapped_ = std::move(mapped);
  nat_watch_.set_gateway(mapped_.gateway_external, mapped_.protocols);
  if (nat()) sign_profile(now, nat()->profile);
  note_own_reach();
  tell_candidates();
}

// A gateway that lies, or is not the one through which this node's packets leave, must not make us
// send our peers to somebody else.
bool NodeCore::is_seen_elsewhere(const SocketAddress& mapped) const {
  bool elsewhere = false;
  for (const SocketAddress& seen : seen_at()) {
    if (seen.ip == mapped.ip) return false;
    const bool is_public = scope_of(seen.ip, rules_) == AddressScope::public_internet;
    elsewhere = elsewhere || (is_public && seen.ip.family() == mapped.ip.family());
  }
  return elsewhere;
}

}  // namespace quicmesh
