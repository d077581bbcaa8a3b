// See write_budget.hpp.
#include "io/write_budget.hpp"

#include "base/assert.hpp"

namespace quicmesh::io {

std::size_t WriteBudget::used_by(const NodeId& peer) const {
  const auto found = peers_.find(peer);
  return found == peers_.end() ? 0 : found->second;
}

std::size_t WriteBudget::allowance(const NodeId& peer) const {
  const bool roomy =
      used_ < Stream::write_queue_node_max && used_by(peer) < Stream::write_queue_peer_max;
  return roomy ? Stream::write_queue_max : Stream::write_queue_min;
}

std::size_t WriteBudget::admit(const NodeId& peer, std::size_t queued, std::size_t size) const {
  const std::size_t allowed = allowance(peer);
  if (queued >= allowed) return 0;
  const std::size_t room = allowed - queued;
  if (size <= room) return size;
  // A large write is cut, but not into crumbs.
  return queued <= allowed / 2 ? room : 0;
}

void WriteBudget::charge(const NodeId& peer, std::size_t bytes) {
  if (bytes == 0) return;
  peers_[peer] += bytes;
  used_ += bytes;
}

void WriteBudget::release(const NodeId& peer, std::size_t bytes) {
  if (bytes == 0) return;
  const auto found = peers_.find(peer);
  QM_ASSERT(found != peers_.end() && found->second >= bytes && used_ >= bytes);
  found->second -= bytes;
  used_ -= bytes;
  if (found->second == 0) peers_.erase(found);
}

}  // namespace quicmesh::io
