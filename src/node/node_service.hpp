// A protocol that lives on a node beside the application: the DHT, and what comes after it.
//
// The node knows of it no more than this. It hears of the node's events before the application and
// keeps those that are its own; its connections are the application's, too. What it wants from the
// node it does at once, on the NodeCore it is given: a node carries on until nothing is left to do.
//
// The node calls it in its own turn alone, never from within a call that the service made.
#pragma once

#include <string>

#include "node/node_event.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

class NodeCore;

class NodeService {
 public:
  NodeService() = default;
  NodeService(const NodeService&) = delete;
  NodeService& operator=(const NodeService&) = delete;
  virtual ~NodeService() = default;

  /// Streams that peers open under this name are taken in from the start.
  [[nodiscard]] virtual const std::string& protocol() const = 0;
  /// True if the event is not for the application.
  virtual bool take_in(Instant now, NodeCore& node, NodeEvent& event) = 0;
  /// A peer that is being dialled takes what is sent early (path_event.hpp).
  virtual void on_proved(Instant /*now*/, NodeCore& /*node*/, const PeerProved& /*proved*/) {}
  /// Called whenever the node may have something to do, not only when its time is due.
  virtual void advance(Instant now, NodeCore& node) = 0;
  [[nodiscard]] virtual Instant poll_timeout() const = 0;
  /// Where peers reach this node, as far as it knows, is another now.
  virtual void on_reach_changed(Instant now, NodeCore& node) = 0;
  /// The node closes: nothing is to be sent any more that it would wait for. Once.
  virtual void stop(Instant now, NodeCore& node) = 0;
};

}  // namespace quicmesh
