// What this node provides, and the providers that an application seeks; see dht_host.hpp.
#include <algorithm>
#include <utility>

#include "dht/provider_record.hpp"
#include "identity/endpoint_record.hpp"
#include "node/dht_host.hpp"

namespace quicmesh {
namespace {

LookupFigures figures_of(const dht::LookupCost& cost, dht::LookupEnd end, Duration took) {
  return {.hops = cost.hops,
          .queries = cost.queries,
          .took = took,
          .complete = end != dht::LookupEnd::deadline};
}

}  // namespace

// Provide.

Result<DhtTicket> DhtHost::provide(Instant now, const NodeCore& node, const ContentKey& key) {
  auto known = std::ranges::find(provided_, key, &Provided::key);
  if (known == provided_.end() && provided_.size() >= provided_max) {
    return failure(DhtErrc::too_many_provided);
  }
  const auto query = offer(now, node, key);
  if (!query) return failure(query.error());
  if (known == provided_.end()) known = provided_.insert(known, Provided{.key = key});
  known->query = *query;
  known->open = true;
  known->again = now + provide_interval;
  const auto ticket = remember(now, query, std::nullopt);
  commands_[*query].content = key;
  return ticket;
}

bool DhtHost::stop_providing(const ContentKey& key) {
  return std::erase_if(provided_, [&](const Provided& one) { return one.key == key; }) != 0;
}

Result<dht::QueryId> DhtHost::offer(Instant now, const NodeCore& node, const ContentKey& key) {
  const WallTime wall = node.wall_time(now);
  core_.set_wall_time(now, wall);
  last_provider_sequence_ = next_endpoint_sequence(last_provider_sequence_, dht::sequence_of(wall));
  return core_.provide(
      now, dht::make_provider_record(node.identity(), {.key = dht::provider_key(key.bytes),
                                                       .sequence = last_provider_sequence_,
                                                       .expiry = WallTime{std::to_underlying(wall) +
                                                                          provider_life / 1s}}));
}

void DhtHost::provide_again(Instant now, const NodeCore& node) {
  auto open = static_cast<std::size_t>(std::ranges::count(provided_, true, &Provided::open));
  for (Provided& one : provided_) {
    if (one.again > now) continue;
    const bool may_begin = open < provides_at_once && !one.open;
    const auto query = may_begin ? offer(now, node, one.key) : failure(DhtErrc::too_many_queries);
    if (query) {
      one.query = *query;
      one.open = true;
      ++open;
    }
    // Until its end tells more; refused, as soon as others are done.
    one.again = now + (query ? provide_interval : Duration(1s));
  }
}

void DhtHost::on_event(Instant now, const NodeCore& /*node*/, dht::ProvideDone& done) {
  const auto one = std::ranges::find(provided_, done.query, &Provided::query);
  if (one != provided_.end()) {
    one->open = false;
    // Nobody, before it has joined.
    const Duration pause = done.stored > 0 ? provide_interval : provide_retry;
    one->again = now + rng_.between(pause * 4 / 5, pause * 6 / 5);
  }
  const auto command = take_command(done.query);
  if (!command || !command->content) return;
  dirty_ = true;
  news_.emplace_back(
      DhtOutcome{command->ticket,
                 Provision{.key = *command->content,
                           .stored = done.stored,
                           .refused = done.refused,
                           .figures = figures_of(done.cost, done.end, now - command->began)}});
}

// Find.

Result<DhtTicket> DhtHost::find_providers(Instant now, const NodeCore& node, const ContentKey& key,
                                          std::size_t wanted) {
  core_.set_wall_time(now, node.wall_time(now));
  return remember(now, core_.find_providers(now, {dht::provider_key(key.bytes)}, wanted),
                  std::nullopt);
}

void DhtHost::on_event(Instant now, const NodeCore& node, dht::ProviderFound& met) {
  const auto command = commands_.find(met.query);
  if (command == commands_.end()) return;
  FoundProvider provider{.node = met.provider};
  if (const auto where = whereabouts(now, node, met.provider)) {
    provider.addresses = where->addresses;
    provider.relays = addresses_of(where->relays);
  }
  news_.emplace_back(DhtProviderMet{command->second.ticket, std::move(provider)});
}

void DhtHost::on_event(Instant now, const NodeCore& /*node*/, dht::FindProvidersDone& done) {
  const auto command = take_command(done.query);
  if (!command) return;
  news_.emplace_back(DhtOutcome{
      command->ticket,
      ProvidersSummary{.found = done.found,
                       .false_records = done.false_records,
                       .figures = figures_of(done.cost, done.end, now - command->began)}});
}

}  // namespace quicmesh
