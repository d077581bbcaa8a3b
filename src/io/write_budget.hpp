// WriteBudget: how many bytes may wait for being written, to one peer and in the whole node.
//
// A peer that does not read, or a slow link, must cost its writers patience and the node no memory.
// Every byte from a write until the QUIC core takes it is charged here. As long as the peer and the
// node are below their bounds, a stream may queue Stream::write_queue_max bytes; beyond them only
// Stream::write_queue_min. As that is more than nothing, no stream waits for another one: one with
// nothing queued may always write, and one that waits has bytes of its own under way, whose
// progress resumes it. So those who do not read cannot hold up those who do, and there is no list
// of waiting streams to fill.
//
// A bound may be passed by what one stream may queue, and by write_queue_min for every stream.
#pragma once

#include <cstddef>

#include <boost/unordered/unordered_flat_map.hpp>

#include "quicmesh/node_id.hpp"
#include "quicmesh/stream.hpp"

namespace quicmesh::io {

class WriteBudget {
 public:
  /// Bytes that a stream of `peer` may have queued now.
  [[nodiscard]] std::size_t allowance(const NodeId& peer) const;
  /// How many bytes of a write of `size` a stream of `peer` with `queued` bytes may queue now;
  /// none: it waits until `has_room`.
  [[nodiscard]] std::size_t admit(const NodeId& peer, std::size_t queued, std::size_t size) const;
  /// Half of the allowance is free again, so that a writer is not resumed for every packet.
  [[nodiscard]] bool has_room(const NodeId& peer, std::size_t queued) const {
    return queued <= allowance(peer) / 2;
  }

  void charge(const NodeId& peer, std::size_t bytes);
  /// At most what was charged.
  void release(const NodeId& peer, std::size_t bytes);

  [[nodiscard]] std::size_t used() const { return used_; }
  [[nodiscard]] std::size_t used_by(const NodeId& peer) const;

 private:
  boost::unordered_flat_map<NodeId, std::size_t, std::hash<NodeId>> peers_;  // none of them zero
  std::size_t used_ = 0;
};

}  // namespace quicmesh::io
