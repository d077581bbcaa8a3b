// ContextWatch: tells the hubs of an execution context that it is being destroyed.
//
// An Asio service, as Asio's own sockets use: its `shutdown` runs in the destructor of the context,
// while coroutines that still wait can be destroyed properly. Without it they would stay in the
// hub, each holding a handle of the node that holds them.
#pragma once

#include <boost/asio/execution_context.hpp>

#include <memory>
#include <mutex>
#include <vector>

#include "quicmesh/task.hpp"

namespace quicmesh::io {

class NodeHub;

class ContextWatch final : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;

  explicit ContextWatch(boost::asio::execution_context& context) : service(context) {}

  /// The watch of the context behind `executor`.
  static ContextWatch& of(const Executor& executor);

  void add(std::weak_ptr<NodeHub> hub);

 private:
  void shutdown() noexcept override;

  std::mutex mutex_;
  std::vector<std::weak_ptr<NodeHub>> hubs_;  // expired ones go when the list grows
  std::size_t sweep_at_ = 16;
};

}  // namespace quicmesh::io
