// The DHT's part of the handle of a node; see quicmesh/node.hpp.
#include <utility>

#include "io/hosted_node.hpp"
#include "io/node_hub.hpp"
#include "quicmesh/io_errc.hpp"
#include "quicmesh/node.hpp"

namespace quicmesh {
namespace {

using Begin = io::NodeHub::BeginDht;

/// Looks at the DHT on the network thread, which fills what it returns.
template <class T>
Task<T> look_at_dht(std::shared_ptr<io::NodeHub> hub, std::move_only_function<T(DhtHost*)> look) {
  auto reply = std::make_shared<io::Reply>();
  auto seen = std::make_shared<T>();  // written by the network thread before the answer
  io::NodeHub& at = *hub;
  io::Command command = [&at, reply, seen, look = std::move(look)](Instant,
                                                                   io::HostedNode& node) mutable {
    *seen = look(node.dht());
    at.answer(*reply);
  };
  auto asking = hub->ask(reply, std::move(command));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return std::move(*seen);
}

Task<std::optional<FoundProvider>> next_of(std::shared_ptr<io::ProviderSearchState> search) {
  if (!search) co_return failure(IoErrc::empty_handle);
  auto waiting = search->hub->next_provider(search->queue);
  co_return co_await std::move(waiting);
}

}  // namespace

Task<StoredValue> Node::dht_put(Bytes value) {
  Begin begin = [value = std::move(value)](Instant now, io::HostedNode& node,
                                           DhtHost& dht) mutable {
    return dht.put(now, node.core(), std::move(value));
  };
  return hub_->ask_dht<StoredValue>(std::move(begin));
}

Task<StoredValue> Node::dht_put(std::string name, Bytes value) {
  Begin begin = [name = std::move(name), value = std::move(value)](
                    Instant now, io::HostedNode& node, DhtHost& dht) mutable {
    return dht.put(now, node.core(), std::move(name), std::move(value));
  };
  return hub_->ask_dht<StoredValue>(std::move(begin));
}

Task<FoundValue> Node::dht_get(ValueKey key) {
  Begin begin = [key](Instant now, io::HostedNode&, DhtHost& dht) { return dht.get(now, key); };
  return hub_->ask_dht<FoundValue>(std::move(begin));
}

Task<FoundValue> Node::dht_get(std::string name) {
  Begin begin = [name = std::move(name)](Instant now, io::HostedNode& node, DhtHost& dht) {
    return dht.get_own(now, node.core(), name);
  };
  return hub_->ask_dht<FoundValue>(std::move(begin));
}

Task<FoundNodes> Node::dht_find(NodeId target) {
  Begin begin = [target](Instant now, io::HostedNode&, DhtHost& dht) {
    return dht.find(now, target);
  };
  return hub_->ask_dht<FoundNodes>(std::move(begin));
}

Task<ResolvedNode> Node::resolve(NodeId node) {
  Begin begin = [target = node](Instant now, io::HostedNode& here, DhtHost& dht) {
    return dht.resolve(now, here.core(), target);
  };
  return hub_->ask_dht<ResolvedNode>(std::move(begin));
}

Task<Provision> Node::dht_provide(ContentKey key) {
  Begin begin = [key](Instant now, io::HostedNode& node, DhtHost& dht) {
    return dht.provide(now, node.core(), key);
  };
  return hub_->ask_dht<Provision>(std::move(begin));
}

Task<bool> Node::dht_stop_providing(ContentKey key) {
  std::move_only_function<bool(DhtHost*)> stop = [key](DhtHost* dht) {
    return dht != nullptr && dht->stop_providing(key);
  };
  return look_at_dht<bool>(hub_, std::move(stop));
}

Task<ProviderSearch> Node::dht_find_providers(ContentKey key, std::size_t wanted) {
  return hub_->find_providers(key, wanted);
}

Task<std::optional<FoundProvider>> ProviderSearch::next() {
  return next_of(state_);
}

std::optional<ProvidersSummary> ProviderSearch::summary() const {
  return state_ ? state_->hub->summary_of(*state_->queue) : std::nullopt;
}

Task<std::vector<DhtPeer>> Node::dht_peers() {
  std::move_only_function<std::vector<DhtPeer>(DhtHost*)> look = [](const DhtHost* dht) {
    return dht == nullptr ? std::vector<DhtPeer>() : dht->peers();
  };
  return look_at_dht<std::vector<DhtPeer>>(hub_, std::move(look));
}

Task<DhtStatus> Node::dht_status() {
  std::move_only_function<DhtStatus(DhtHost*)> look = [](const DhtHost* dht) {
    return dht == nullptr ? DhtStatus() : dht->status();
  };
  return look_at_dht<DhtStatus>(hub_, std::move(look));
}

}  // namespace quicmesh
