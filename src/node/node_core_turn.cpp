// TURN servers beneath the node's connections; see turn_user.hpp.
#include <utility>

#include "base/turn_path.hpp"
#include "node/node_core.hpp"

namespace quicmesh {

void NodeCore::use_turn(Instant now, std::vector<TurnConfig> servers) {
  now_ = now;
  turn_user_.start(now, std::move(servers));
}

void NodeCore::handle_turn(Instant now, const NetworkPath& path, MutableByteView datagram) {
  const auto arrival = turn_user_.handle_datagram(now, path, datagram);
  if (!arrival) return;
  connectivity_->handle_datagram(now, arrival->path, Ecn::not_ect,
                                 datagram.subspan(arrival->offset, arrival->size));
}

void NodeCore::add_turn_paths(Instant now, std::vector<NetworkPath>& paths) {
  std::vector<NetworkPath> over_turn;
  for (const NetworkPath& path : paths) {
    if (is_relayed(path)) continue;
    const auto more = turn_user_.paths_to_fellow(now, path.remote);
    over_turn.insert(over_turn.end(), more.begin(), more.end());
  }
  paths.insert(paths.end(), over_turn.begin(), over_turn.end());
}

void NodeCore::take_turn_events(Instant now) {
  while (auto event = turn_user_.poll_event(now)) {
    tell_candidates();
    note_own_reach();
    for (const TurnUser::NewPath& added : turn_user_.take_new_paths())
      connectivity_->add_paths(now, added.peer, std::span(&added.path, 1));
    std::visit([&](auto& any) { events_.emplace_back(std::move(any)); }, *event);
  }
}

bool NodeCore::resolve_turn(const NodeId& peer, NetworkPath& path) const {
  if (!is_turn_path(path)) return connectivity_->is_relayed_for(peer, path);
  path.remote = turn_peer_of(path);
  return true;
}

std::vector<SocketAddress> NodeCore::seen_at() const {
  std::vector<SocketAddress> addresses;
  for (const auto& [relay, address] : observed_)
    addresses.push_back(address);
  for (const TurnUser::Reflexive& seen : turn_user_.reflexive())
    addresses.push_back(seen.address);
  return addresses;
}

}  // namespace quicmesh
