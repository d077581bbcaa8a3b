// What an application asks of the DHT; see dht_host.hpp.
#include <algorithm>
#include <utility>

#include "dht/value.hpp"
#include "node/dht_host.hpp"

namespace quicmesh {
namespace {

dht::ValueKind kind_of(ValueKey::Kind kind) {
  return kind == ValueKey::Kind::immutable ? dht::ValueKind::immutable
                                           : dht::ValueKind::signed_value;
}

LookupFigures figures_of(const dht::LookupCost& cost, dht::LookupEnd end, Duration took) {
  return {.hops = cost.hops,
          .queries = cost.queries,
          .took = took,
          .complete = end != dht::LookupEnd::deadline};
}

}  // namespace

std::optional<DhtNews> DhtHost::poll_news() {
  if (news_.empty()) return std::nullopt;
  std::optional<DhtNews> news(std::move(news_.front()));
  news_.pop_front();
  return news;
}

Result<DhtTicket> DhtHost::remember(Instant now, Result<dht::QueryId> query,
                                    std::optional<ValueKey> key) {
  if (!query) return failure(query.error());
  dirty_ = true;
  commands_[*query] = {++last_ticket_, now, key, {}};
  return last_ticket_;
}

std::optional<DhtHost::Command> DhtHost::take_command(dht::QueryId query) {
  const auto found = commands_.find(query);
  if (found == commands_.end()) return std::nullopt;
  const Command command = found->second;
  commands_.erase(found);
  return command;
}

Result<DhtTicket> DhtHost::find(Instant now, const NodeId& target) {
  return remember(now, core_.find_node(now, DhtKey::of(target)), std::nullopt);
}

Result<DhtTicket> DhtHost::get(Instant now, const ValueKey& key) {
  return remember(now, core_.get(now, kind_of(key.kind), {key.bytes}), key);
}

Result<DhtTicket> DhtHost::get_own(Instant now, const NodeCore& node, std::string_view name) {
  const DhtKey key = dht::signed_key(node.identity().public_key(), as_bytes(name));
  return get(now, {ValueKey::Kind::signed_value, key.bytes});
}

Result<DhtTicket> DhtHost::put(Instant now, const NodeCore& node, Bytes value) {
  core_.set_wall_time(now, node.wall_time(now));
  const DhtKey key = dht::immutable_key(value);
  auto query = core_.put(now, dht::ValueKind::immutable, key, std::move(value));
  return remember(now, query, ValueKey{ValueKey::Kind::immutable, key.bytes});
}

Result<DhtTicket> DhtHost::put(Instant now, const NodeCore& node, std::string name, Bytes value) {
  core_.set_wall_time(now, node.wall_time(now));
  auto bytes = sign_value(now, node, name, value);
  if (!bytes) return failure(bytes.error());
  const DhtKey key = dht::signed_key(node.identity().public_key(), as_bytes(name));
  auto query = core_.put(now, dht::ValueKind::signed_value, key, std::move(*bytes));
  if (query) {
    std::erase_if(own_values_, [&](const OwnValue& one) { return one.name == name; });
    if (own_values_.size() >= own_values_max) own_values_.erase(own_values_.begin());
    own_values_.push_back({std::move(name), std::move(value), now + own_value_interval});
  }
  return remember(now, query, ValueKey{ValueKey::Kind::signed_value, key.bytes});
}

Result<Bytes> DhtHost::sign_value(Instant now, const NodeCore& node, std::string_view name,
                                  ByteView value) {
  const WallTime wall = node.wall_time(now);
  const std::uint64_t sequence =
      next_endpoint_sequence(last_value_sequence_, dht::sequence_of(wall));
  const WallTime expiry{std::to_underlying(wall) + own_value_life / 1s};
  auto bytes = dht::make_signed_value(
      node.identity(),
      {.sequence = sequence, .expiry = expiry, .salt = as_bytes(name), .value = value});
  if (bytes) last_value_sequence_ = sequence;
  return bytes;
}

void DhtHost::put_again(Instant now, const NodeCore& node) {
  for (OwnValue& value : own_values_) {
    if (value.again > now) continue;
    value.again = now + rng_.between(own_value_interval * 4 / 5, own_value_interval);
    const DhtKey key = dht::signed_key(node.identity().public_key(), as_bytes(value.name));
    auto bytes = sign_value(now, node, value.name, value.value);
    // Nobody waits for the end of it; refused, it is put the next time.
    if (bytes) (void)core_.put(now, dht::ValueKind::signed_value, key, std::move(*bytes));
  }
}

void DhtHost::on_event(Instant now, const NodeCore& node, dht::FindNodeDone& done) {
  if (take_resolve(now, node, done.query, figures_of(done.cost, done.end, {}))) return;
  const auto command = take_command(done.query);
  if (!command) return;
  FoundNodes found;
  for (const PeerHandle peer : done.nearest)
    found.nodes.push_back(book_.id(peer));
  found.figures = figures_of(done.cost, done.end, now - command->began);
  news_.emplace_back(DhtOutcome{command->ticket, std::move(found)});
}

void DhtHost::on_event(Instant now, const NodeCore& node, dht::Resolved& done) {
  (void)take_resolve(now, node, done.query, figures_of(done.cost, done.end, {}));
}

bool DhtHost::take_resolve(Instant now, const NodeCore& node, dht::QueryId query,
                           LookupFigures figures) {
  const auto resolve = std::ranges::find(resolves_, query, &Resolve::query);
  if (resolve == resolves_.end()) return false;
  const Resolve ended = *resolve;
  resolves_.erase(resolve);
  figures.took = now - ended.began;
  end_resolve(now, node, ended, whereabouts(now, node, ended.target), figures);
  return true;
}

void DhtHost::on_event(Instant now, const NodeCore& node, dht::GetDone& done) {
  const auto command = take_command(done.query);
  if (!command) return;
  FoundValue found;
  found.figures = figures_of(done.cost, done.end, now - command->began);
  if (done.bytes && command->key) {
    dht::DirectVerifier verifier;
    const auto checked =
        dht::check_value(verifier, node.wall_time(now), kind_of(command->key->kind),
                         {command->key->bytes}, *done.bytes);
    if (checked) found.value = to_bytes(checked->value);
    found.sequence = done.sequence;
    found.holders = done.holders;
  }
  news_.emplace_back(DhtOutcome{command->ticket, std::move(found)});
}

void DhtHost::on_event(Instant now, const NodeCore& /*node*/, dht::PutFinished& done) {
  const auto command = take_command(done.query);
  if (!command) return;
  StoredValue stored;
  if (command->key) stored.key = *command->key;
  stored.stored = done.stored;
  stored.refused = done.refused;
  stored.figures = figures_of(done.cost, done.end, now - command->began);
  news_.emplace_back(DhtOutcome{command->ticket, std::move(stored)});
}

}  // namespace quicmesh
