// DhtCore: values, put and got, kept for others and given again.
#include <algorithm>
#include <bit>
#include <utility>

#include "base/checked.hpp"
#include "dht/dht_core.hpp"

namespace quicmesh::dht {

RecordVerifier& DhtCore::verifier() {
  return verifier_ == nullptr ? direct_ : *verifier_;
}

void DhtCore::set_wall_time(Instant now, WallTime wall) {
  wall_base_ = wall;
  wall_base_at_ = now;
}

std::optional<WallTime> DhtCore::wall_time(Instant now) const {
  if (!wall_base_) return std::nullopt;
  return WallTime{saturating_add(std::to_underlying(*wall_base_), (now - wall_base_at_) / 1s)};
}

Result<CheckedValue> DhtCore::check(Instant now, ValueKind kind, const DhtKey& key,
                                    ByteView bytes) {
  return check_value(verifier(), wall_time(now), kind, key, bytes);
}

// Kept for others.

PutStatus DhtCore::keep(Instant now, const Put& put, PeerHandle source) {
  if (!server_) return PutStatus::unwilling;
  const auto checked = check(now, put.kind, put.key, put.bytes);
  if (!checked) return PutStatus::invalid;
  const ValueStore::Offer offer{
      .key = put.key,
      .kind = put.kind,
      .bytes = put.bytes,
      .sequence = checked->sequence,
      .lifetime = std::min(checked->lifetime, Duration(1s) * put.lifetime_s),
      .source = source_id(book_->id(source)),
      .group = source == self_ ? DiversityGroup::not_public : book_->group(source)};
  return store_.put(now, offer, rng_);
}

/// What is kept for others leaves room for what the node itself wants.
bool DhtCore::may_republish() const {
  return std::ranges::count(lookups_, Purpose::republish, &RunningLookup::purpose) <
         std::ptrdiff_t{republishes_max};
}

void DhtCore::republish_next(Instant now) {
  if (!may_republish()) return;
  auto due = store_.handle_timeout(now, rng_);
  if (!due) return;
  ValueTask task{.put = true,
                 .kind = due->value.kind,
                 .lifetime = due->value.expires - now,
                 .bytes = std::move(due->value.bytes),
                 .sequence = due->value.sequence};
  proceed(now, start_value(now, due->key, Purpose::republish, std::move(task)).query);
}

// Put.

DhtCore::RunningLookup& DhtCore::start_value(Instant now, const DhtKey& key, Purpose purpose,
                                             ValueTask task) {
  // What somebody hides of an immutable value, the next one tells; not so of a signed one, where
  // an older one would do, nor where a value is to be put.
  const bool can_be_hidden = task.put || task.kind == ValueKind::signed_value;
  RunningLookup& running =
      start(now, key, purpose, {}, can_be_hidden ? config_->disjoint_paths : std::uint8_t{1});
  running.task = std::make_unique<ValueTask>(std::move(task));
  return running;
}

Result<QueryId> DhtCore::put(Instant now, ValueKind kind, const DhtKey& key, Bytes bytes) {
  const auto checked = check(now, kind, key, bytes);
  if (!checked) return failure(checked.error());
  if (lookups_.size() >= lookups_max) return failure(DhtErrc::too_many_queries);
  ValueTask task{.put = true,
                 .kind = kind,
                 .lifetime = checked->lifetime,
                 .bytes = std::move(bytes),
                 .sequence = checked->sequence};
  const QueryId query = start_value(now, key, Purpose::command, std::move(task)).query;
  proceed(now, query);
  return query;
}

void DhtCore::begin_storing(Instant now, QueryId query) {
  RunningLookup& running = *find(query);
  running.task->storing = true;
  const DhtKey key = running.lookup.target();
  const Put put{.key = key,
                .kind = running.task->kind,
                .lifetime_s = saturating_cast<std::uint32_t>(running.task->lifetime / 1s),
                .bytes = *running.task->bytes};
  const auto nearest = running.lookup.answered_in_windows();
  // We ourselves may be among the nearest. That is not counted: what nobody else keeps is lost.
  const Distance ours = distance(key, DhtKey::of(book_->id(self_)));
  if (server_ && (nearest.size() < table_.k() ||
                  ours < distance(key, DhtKey::of(book_->id(nearest[table_.k() - 1U]))))) {
    (void)keep(now, put, self_);
  }
  running.task->open = static_cast<unsigned>(nearest.size());
  for (const PeerHandle peer : nearest)
    request(now, peer, query, put);
  if (nearest.empty()) {
    tell(running, LookupEnd::converged);
    end(now, query);
  }
}

/// `status`: nothing if there is no answer in time. `was_open`: it counted as awaited until now.
void DhtCore::on_put_answer(Instant now, QueryId query, std::optional<PutStatus> status,
                            bool was_open) {
  RunningLookup* running = find(query);
  if (running == nullptr || running->task == nullptr) return;
  ValueTask& task = *running->task;
  if (status) ++(*status == PutStatus::stored ? task.stored : task.refused);
  if (was_open) --task.open;
  if (task.open > 0) return;
  tell(*running, LookupEnd::converged);
  end(now, query);
}

// Get.

Result<QueryId> DhtCore::get(Instant now, ValueKind kind, const DhtKey& key) {
  if (kind == ValueKind::signed_value && !wall_base_) return failure(DhtErrc::no_wall_time);
  if (lookups_.size() >= lookups_max) return failure(DhtErrc::too_many_queries);
  RunningLookup& running = start_value(now, key, Purpose::command, {.kind = kind});
  const QueryId query = running.query;
  if (const HeldValue* held = store_.find(now, key, kind)) {
    // It was right when it came; a signed one may have expired since.
    if (const auto checked = check(now, kind, key, held->bytes)) {
      take_best(running, self_, *checked, held->bytes);
    }
  }
  if (get_is_done(running)) {
    tell(running, LookupEnd::converged);
    end(now, query);
  } else {
    if (kind == ValueKind::immutable) begin_express(now, query);
    proceed(now, query);
  }
  return query;
}

void DhtCore::on_found(Instant now, RunningLookup& running, PeerHandle from, const Found& found) {
  if (running.task == nullptr || running.task->put) {
    running.lookup.on_failed(from);
    return;
  }
  if (found.bytes) {
    const auto checked = check(now, running.task->kind, running.lookup.target(), *found.bytes);
    if (!checked) {
      // Who tells one lie may tell others: the peers that it names do not count either (TD2).
      ++running.task->false_values;
      running.lookup.on_failed(from);
      return;
    }
    take_best(running, from, *checked, *found.bytes);
  }
  running.lookup.on_answer(from, found.nodes, [&](PeerHandle peer) { return tier_of(peer); });
}

void DhtCore::take_best(RunningLookup& running, PeerHandle from, const CheckedValue& checked,
                        const Bytes& bytes) {
  ValueTask& task = *running.task;
  ++task.holders;
  task.paths |= running.lookup.path_of(from);
  if (task.bytes && checked.sequence < task.sequence) return;
  if (!task.bytes || checked.sequence > task.sequence) {
    task.bytes = bytes;
    task.sequence = checked.sequence;
    task.lifetime = checked.lifetime;
    task.up_to_date.clear();
  }
  task.up_to_date.push_back(from);
}

bool DhtCore::get_is_done(const RunningLookup& running) const {
  const ValueTask& task = *running.task;
  if (!task.bytes) return false;
  if (task.kind == ValueKind::immutable) return true;
  // Four accomplices on one path may agree on what was true yesterday; those who besiege a key, on
  // all paths: then all of the region are heard.
  const int paths = std::min<int>(running.lookup.paths(), readers_paths);
  return task.holders >= readers_quorum && std::popcount(task.paths) >= paths && !running.region &&
         !is_too_dense(running.lookup);
}

/// Gives the best value to the nearest few that had none, or an older one.
void DhtCore::repair(Instant now, const RunningLookup& running) {
  const ValueTask& task = *running.task;
  if (!task.bytes || task.kind == ValueKind::immutable) return;
  const Put put{.key = running.lookup.target(),
                .kind = task.kind,
                .lifetime_s = saturating_cast<std::uint32_t>(task.lifetime / 1s),
                .bytes = *task.bytes};
  for (const PeerHandle peer : running.lookup.nearest_answered(readers_quorum)) {
    if (std::ranges::count(task.up_to_date, peer) == 0 && budget_.has_one(now)) {
      request(now, peer, no_query, put);
    }
  }
}

void DhtCore::tell_value(const RunningLookup& running, LookupEnd end) {
  const ValueTask& task = *running.task;
  if (task.put) {
    (void)events_.push(PutFinished{.query = running.query,
                                   .end = end,
                                   .stored = task.stored,
                                   .refused = task.refused,
                                   .cost = running.lookup.cost()});
    return;
  }
  (void)events_.push(GetDone{.query = running.query,
                             .end = task.bytes ? LookupEnd::found : end,
                             .bytes = task.bytes,
                             .sequence = task.sequence,
                             .holders = task.holders,
                             .false_values = task.false_values,
                             .by_express = running.by_express,
                             .cost = running.lookup.cost()});
}

}  // namespace quicmesh::dht
