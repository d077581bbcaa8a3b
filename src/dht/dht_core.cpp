#include "dht/dht_core.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh::dht {

DhtCore::DhtCore(Instant now, const Config& config, PeerBook& book, PeerHandle self, Rng rng)
    : config_(&config),
      book_(&book),
      self_(self),
      server_(config.server),
      rng_(rng),
      table_(now, config, book, self) {}

void DhtCore::handle(Instant now, Input input) {
  std::visit([&](auto& one) { on(now, one); }, input);
}

void DhtCore::handle_timeout(Instant /*now*/) {}

std::optional<DhtCore::Output> DhtCore::poll_output() {
  return outputs_.pop();
}
std::optional<Event> DhtCore::poll_event() {
  return events_.pop();
}
Instant DhtCore::poll_timeout() const {
  return never;
}

void DhtCore::adopt(Instant now, PeerHandle peer, Duration rtt) {
  for (std::size_t i = 0; i < Contact::samples_max; ++i)
    (void)table_.answered(now, peer, rtt);
}

void DhtCore::on(Instant /*now*/, const peer::Up& /*input*/) {}
void DhtCore::on(Instant /*now*/, const peer::Down& /*input*/) {}

void DhtCore::on(Instant /*now*/, const peer::Unreachable& input) {
  (void)table_.remove(input.peer);
}

void DhtCore::on(Instant /*now*/, const peer::PathChanged& input) {
  table_.path_changed(input.peer, input.rtt);
}

void DhtCore::on(Instant /*now*/, const peer::TiersChanged& input) {
  tiers_ = input.tiers;
}

void DhtCore::on(Instant /*now*/, peer::Received<Message>& input) {
  const Message& message = input.message;
  if (std::holds_alternative<Ping>(message.body)) {
    answer(input.from, message.request, Pong{});
  } else if (const auto* find = std::get_if<FindNode>(&message.body)) {
    Nodes nodes;
    const std::size_t count = std::min<std::size_t>(find->count, contacts_max);
    table_.nearest(find->target, count + 1, RoutingTable::Which::answering, nodes.nodes);
    std::erase(nodes.nodes, input.from);
    nodes.nodes.resize(std::min(nodes.nodes.size(), count));
    answer(input.from, message.request, std::move(nodes));
  } else {
    ++counters_.answers_unasked;
  }
}

void DhtCore::answer(PeerHandle to, std::uint32_t request, Body body) {
  ++counters_.requests_answered;
  (void)outputs_.push(peer::Send<Message>{to, {request, server_, std::move(body)}});
}

}  // namespace quicmesh::dht
