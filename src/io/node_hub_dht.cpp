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

void NodeHub::on_news(DhtOutcome& outcome) {
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
