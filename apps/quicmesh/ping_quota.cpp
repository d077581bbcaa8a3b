// See ping_quota.hpp.
#include "ping_quota.hpp"

#include <algorithm>

namespace quicmesh::cli {

bool PingQuota::open(const NodeId& peer, Time now) {
  if (peers_.size() >= sweep_at_) {
    std::erase_if(peers_, [&](const auto& entry) {
      return entry.second.streams == 0 && entry.second.due <= now;
    });
    sweep_at_ = std::max(sweep_first, 2 * peers_.size());
  }
  Peer& entry = peers_[peer];
  if (entry.streams >= streams_per_peer_max) return false;
  ++entry.streams;
  return true;
}

void PingQuota::close(const NodeId& peer) {
  --peers_[peer].streams;
}

Duration PingQuota::answer(const NodeId& peer, Time now) {
  Peer& entry = peers_[peer];
  entry.due = std::max(entry.due, now) + interval;
  return std::max(Duration(entry.due - now) - burst, Duration::zero());
}

}  // namespace quicmesh::cli
