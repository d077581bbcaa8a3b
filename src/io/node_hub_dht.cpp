// What coroutines ask of the DHT, and what comes of it; see node_hub.hpp.
#include <utility>

#include "io/node_hub.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {

template <class T>
Task<T> NodeHub::ask_dht(BeginDht begin) {
  const auto self = shared_from_this();
  auto reply = std::make_shared<DhtReply>();
  Command command = [this, reply, begin = std::move(begin)](Instant now, HostedNode& node) mutable {
    std::error_code error = IoErrc::dht_off;
    if (DhtHost* dht = node.dht()) {
      const auto ticket = begin(now, node, *dht);
      if (ticket) {
        dht_replies_.emplace(*ticket, reply);
        return;
      }
      error = ticket.error();
    }
    const std::scoped_lock lock(mutex_);
    answer(*reply, error, batch_);
  };
  auto asking = ask(reply, std::move(command));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return std::move(std::get<T>(reply->outcome->result));
}

template Task<FoundNodes> NodeHub::ask_dht<FoundNodes>(BeginDht begin);
template Task<FoundValue> NodeHub::ask_dht<FoundValue>(BeginDht begin);
template Task<StoredValue> NodeHub::ask_dht<StoredValue>(BeginDht begin);
template Task<ResolvedNode> NodeHub::ask_dht<ResolvedNode>(BeginDht begin);
template Task<Provision> NodeHub::ask_dht<Provision>(BeginDht begin);

Task<ProviderSearch> NodeHub::find_providers(ContentKey key, std::size_t wanted) {
  const auto self = shared_from_this();
  auto reply = std::make_shared<Reply>();
  auto queue = std::make_shared<ProviderQueue>();
  Command command = [this, reply, queue, key, wanted](Instant now, HostedNode& node) {
    std::error_code error = IoErrc::dht_off;
    if (DhtHost* dht = node.dht()) {
      const auto ticket = dht->find_providers(now, node.core(), key, wanted);
      error = ticket ? std::error_code() : ticket.error();
      if (ticket) provider_searches_.emplace(*ticket, queue);
    }
    const std::scoped_lock lock(mutex_);
    answer(*reply, error, batch_);
  };
  auto asking = ask(reply, std::move(command));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return ProviderSearch(std::make_shared<ProviderSearchState>(self, std::move(queue)));
}

Task<std::optional<FoundProvider>> NodeHub::next_provider(std::shared_ptr<ProviderQueue> queue) {
  const auto self = shared_from_this();
  auto slot = std::make_shared<WaitSlot>();
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      if (!queue->met.empty()) {
        FoundProvider provider = std::move(queue->met.front());
        queue->met.pop_front();
        co_return std::optional<FoundProvider>(std::move(provider));
      }
      if (queue->summary) co_return std::optional<FoundProvider>();
      if (phase_ == Phase::closed) co_return failure(IoErrc::node_closed);
      queue->readers.slots.push_back(slot);
    }
    auto waiting = wait(slot);
    const std::error_code error = co_await std::move(waiting);
    if (!error) continue;
    const std::scoped_lock lock(mutex_);
    std::erase(queue->readers.slots, slot);
    co_return failure(error);
  }
}

std::optional<ProvidersSummary> NodeHub::summary_of(const ProviderQueue& queue) {
  const std::scoped_lock lock(mutex_);
  return queue.summary;
}

void NodeHub::on_news(DhtProviderMet& met) {
  const auto found = provider_searches_.find(met.ticket);
  const auto queue = found == provider_searches_.end() ? nullptr : found->second.lock();
  if (queue == nullptr) return;
  queue->met.push_back(std::move(met.provider));
  signal_one(queue->readers, batch_);
}

void NodeHub::on_news(DhtOutcome& outcome) {
  if (const auto found = provider_searches_.find(outcome.ticket);
      found != provider_searches_.end()) {
    const auto queue = found->second.lock();
    provider_searches_.erase(found);
    if (queue == nullptr) return;
    queue->summary = std::get<ProvidersSummary>(outcome.result);
    // All who wait learn that it is over.
    while (!queue->readers.slots.empty())
      signal_one(queue->readers, batch_);
    return;
  }
  const auto waiting = dht_replies_.find(outcome.ticket);
  if (waiting == dht_replies_.end()) return;
  const std::shared_ptr<DhtReply> reply = std::move(waiting->second);
  dht_replies_.erase(waiting);
  if (reply->cancelled) return;
  reply->outcome = std::move(outcome);
  answer(*reply, {}, batch_);
}

void NodeHub::on_news(DhtDialFailed& failed) {
  PeerUnreachable event{failed.peer, failed.error, std::move(failed.reason)};
  if (!event.error) event.error = IoErrc::node_not_found;
  on_event(event);
}

}  // namespace quicmesh::io
