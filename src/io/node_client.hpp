// What the network thread calls on behalf of a node: the other side of NodeDriver.
//
// All methods run on the network thread. They may lock what user threads lock for a moment, and
// never run user code.
#pragma once

#include "quicmesh/time.hpp"

namespace quicmesh::io {

class HostedNode;

class NodeClient {
 public:
  virtual ~NodeClient() = default;

  /// Gives the core what user threads have asked for since the last call.
  virtual void apply(Instant now, HostedNode& node) = 0;

  /// Takes the events out of the core, and tells the user. True if that gave the core new work.
  virtual bool deliver(Instant now, HostedNode& node) = 0;

  /// When `apply` wants to be called without having been woken.
  [[nodiscard]] virtual Instant deadline() const = 0;

  /// The node has ended, and can be taken off the thread.
  [[nodiscard]] virtual bool over() const = 0;

  /// The last call: the core and the sockets are gone.
  virtual void on_removed() = 0;
};

}  // namespace quicmesh::io
