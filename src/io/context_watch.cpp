// See context_watch.hpp.
#include "io/context_watch.hpp"

#include <utility>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>

#include "io/node_hub.hpp"

namespace quicmesh::io {

boost::asio::execution_context::id ContextWatch::id;

ContextWatch& ContextWatch::of(const Executor& executor) {
  auto& context = boost::asio::query(executor, boost::asio::execution::context);
  return boost::asio::use_service<ContextWatch>(context);
}

void ContextWatch::add(std::weak_ptr<NodeHub> hub) {
  const std::scoped_lock lock(mutex_);
  if (hubs_.size() >= sweep_at_) {
    std::erase_if(hubs_, [](const auto& one) { return one.expired(); });
    sweep_at_ = 2 * hubs_.size() + 16;
  }
  hubs_.push_back(std::move(hub));
}

void ContextWatch::shutdown() noexcept {
  std::vector<std::weak_ptr<NodeHub>> hubs;
  {
    const std::scoped_lock lock(mutex_);
    hubs.swap(hubs_);
  }
  for (const auto& weak : hubs) {
    if (const auto hub = weak.lock()) hub->abandon();
  }
}

}  // namespace quicmesh::io
