// DhtCore: providers, told and sought.
//
// A provider offers its record to the k nearest. If three of them or more, of different diversity
// groups, have no room, and fewer than five took it, the lookup goes on with the next k nearest
// that it knows, and the record is offered to these, the nearest first, until five keep it: sloppy
// storage. All of the nearest are asked all the same, so whoever says to be full keeps nothing from
// the others.
//
// A reader asks from far to near, takes a few records of each answer, and has enough when it has
// as many as it wants, of three nodes of different groups and two paths at least. If the nearest
// do not give as many and three of them are full it goes outwards, too.
#include <algorithm>
#include <bit>
#include <utility>

#include "dht/dht_core.hpp"

namespace quicmesh::dht {

void DhtCore::GroupCount::add(DiversityGroup group) {
  if (group != DiversityGroup::not_public) {
    if (std::ranges::find(groups, group) != groups.end()) return;
    groups.push_back(group);
  }
  ++count;
}

Body DhtCore::question_of(const RunningLookup& running) const {
  const DhtKey& target = running.lookup.target();
  if (running.task != nullptr && !running.task->put) {
    return Get{target, running.task->kind, table_.k()};
  }
  if (running.providers != nullptr && !running.providers->provide) {
    return GetProviders{target, table_.k()};
  }
  return FindNode{target, table_.k()};
}

// Kept for others.

PutStatus DhtCore::keep(Instant now, const Provide& provide, PeerHandle source) {
  if (!server_) return PutStatus::unwilling;
  // Others can tell it as well as the provider, but then the quotas would be of no use.
  if (provide.record.size() != provider_record_size ||
      provider_of(provide.record) != book_->id(source)) {
    ++counters_.provider_records_false;
    return PutStatus::invalid;
  }
  const DiversityGroup group = source == self_ ? DiversityGroup::not_public : book_->group(source);
  if (const auto known = providers_.put_unchecked(now, provide.record, group)) return *known;
  const auto checked = check_provider(verifier(), wall_time(now), provide.record);
  if (!checked) {
    if (checked.error() != DhtErrc::no_wall_time) ++counters_.provider_records_false;
    return PutStatus::invalid;
  }
  return providers_.put(now, {.checked = *checked, .record = provide.record, .group = group});
}

Providers DhtCore::providers_for(Instant now, PeerHandle asker, const GetProviders& asked) {
  const std::size_t count = std::min<std::size_t>(asked.count, contacts_with_providers_max);
  return {.records = providers_.some(now, asked.key, providers_per_answer, book_->id(asker), rng_),
          .full = providers_.is_full(now, asked.key),
          .nodes = nearest_for(asker, asked.key, count).nodes};
}

// Provide.

Result<QueryId> DhtCore::provide(Instant now, const ProviderRecord& record) {
  const auto checked = check_provider(verifier(), wall_time(now), record);
  if (!checked) return failure(checked.error());
  if (checked->provider != book_->id(self_)) return failure(DhtErrc::not_the_provider);
  if (lookups_.size() >= lookups_max) return failure(DhtErrc::too_many_queries);
  RunningLookup& running = start(now, checked->key, Purpose::command, {}, config_->disjoint_paths);
  running.providers = std::make_unique<ProviderTask>();
  running.providers->provide = true;
  running.providers->record = record;
  const QueryId query = running.query;
  proceed(now, query);
  return query;
}

/// We ourselves may be among the nearest.
void DhtCore::offer_to_self(Instant now, RunningLookup& running,
                            const std::vector<PeerHandle>& nearest) {
  const DhtKey& key = running.lookup.target();
  const Distance ours = distance(key, DhtKey::of(book_->id(self_)));
  const bool near = nearest.size() < table_.k() ||
                    ours < distance(key, DhtKey::of(book_->id(nearest[table_.k() - 1U])));
  if (!server_ || !near) return;
  (void)keep(now, Provide{to_bytes(running.providers->record)}, self_);
}

/// The nearest ones that it was not offered to get the record: at first all, farther out as many
/// as are missing.
void DhtCore::offer_record(Instant now, QueryId query) {
  RunningLookup& running = *find(query);
  ProviderTask& task = *running.providers;
  std::vector<PeerHandle> nearest = running.lookup.answered_in_windows();
  if (task.offered.empty()) offer_to_self(now, running, nearest);
  std::erase_if(nearest, [&](PeerHandle peer) {
    return std::ranges::find(task.offered, peer) != task.offered.end();
  });
  if (task.steps_out > 0) {
    const std::size_t missing = sloppy_copies - std::min(sloppy_copies, task.stored);
    nearest.resize(std::min(nearest.size(), missing));
  }
  task.storing = true;
  task.open = static_cast<unsigned>(nearest.size());
  task.offered.insert(task.offered.end(), nearest.begin(), nearest.end());
  const Provide provide{to_bytes(task.record)};
  for (const PeerHandle peer : nearest)
    request(now, peer, query, provide);
  if (!nearest.empty()) return;
  if (task.stored < sloppy_copies && go_farther_out(running)) return proceed(now, query);
  tell(running, LookupEnd::converged);
  end(now, query);
}

/// True if there is reason to look at the next k, of which some are known.
bool DhtCore::go_farther_out(RunningLookup& running) {
  ProviderTask& task = *running.providers;
  if (!config_->sloppy || task.full.count < sloppy_quorum || task.steps_out >= sloppy_steps) {
    return false;
  }
  ++task.steps_out;
  task.full = {};
  task.storing = false;
  running.lookup.widen(table_.k());
  // Who stands near the key has met nobody but the nearest on the way, but knows others.
  std::vector<PeerHandle> known;
  table_.nearest(running.lookup.target(), std::size_t{table_.k()} * (task.steps_out + 1),
                 RoutingTable::Which::answering, known);
  for (const PeerHandle peer : known)
    running.lookup.add(peer, tier_of(peer));
  return true;
}

void DhtCore::on_store_answer(Instant now, const OpenRequest& request,
                              std::optional<PutStatus> status, bool was_open) {
  RunningLookup* running = find(request.query);
  if (running != nullptr && running->providers != nullptr) {
    on_provide_answer(now, *running, request.peer, status, was_open);
  } else {
    on_put_answer(now, request.query, status, was_open);
  }
}

/// `status`: nothing if there is no answer in time. `was_open`: it counted as awaited until now.
void DhtCore::on_provide_answer(Instant now, RunningLookup& running, PeerHandle from,
                                std::optional<PutStatus> status, bool was_open) {
  ProviderTask& task = *running.providers;
  const QueryId query = running.query;
  if (status) ++(*status == PutStatus::stored ? task.stored : task.refused);
  if (status == PutStatus::full) task.full.add(book_->group(from));
  if (was_open) --task.open;
  if (task.open > 0 || !task.storing) return;
  const bool enough = task.stored >= sloppy_copies;
  // Farther out those that are left are asked before one goes on.
  if (!enough && task.steps_out > 0) return offer_record(now, query);
  if (!enough && go_farther_out(running)) return proceed(now, query);
  tell(running, LookupEnd::converged);
  end(now, query);
}

// Find.

Result<QueryId> DhtCore::find_providers(Instant now, const DhtKey& key, std::size_t wanted) {
  if (!wall_base_) return failure(DhtErrc::no_wall_time);
  if (lookups_.size() >= lookups_max) return failure(DhtErrc::too_many_queries);
  RunningLookup& running = start(now, key, Purpose::command, {}, config_->disjoint_paths);
  const QueryId query = running.query;
  running.providers = std::make_unique<ProviderTask>();
  running.providers->wanted = std::clamp<std::size_t>(wanted, 1, providers_wanted_max);
  const auto held = providers_.some(now, key, providers_per_answer, book_->id(self_), rng_);
  (void)take_providers(now, running, self_, held);
  proceed(now, query);
  return query;
}

DhtCore::Told DhtCore::take_provider(Instant now, RunningLookup& running, const Bytes& record) {
  using Met = std::pair<NodeId, Bytes>;
  ProviderTask& task = *running.providers;
  // Most have been told by somebody else before: those are not checked again.
  if (std::ranges::find(task.found, record, &Met::second) != task.found.end()) {
    return Told::known;
  }
  const auto checked = check_provider(verifier(), wall_time(now), record);
  if (!checked) {
    // Clocks differ: who tells of one that has just expired is no liar.
    return checked.error() == DhtErrc::provider_expired ? Told::nothing : Told::a_lie;
  }
  if (checked->key != running.lookup.target()) return Told::a_lie;
  const bool known =
      checked->provider == book_->id(self_) ||
      std::ranges::find(task.found, checked->provider, &Met::first) != task.found.end();
  if (known || task.found.size() >= task.wanted) return Told::known;
  task.found.emplace_back(checked->provider, record);
  (void)events_.push(ProviderFound{running.query, checked->provider});
  return Told::somebody_new;
}

/// Takes a few of what `from` told: its share, or its network's, so that nobody fills the result
/// alone. False if there was a lie among it.
bool DhtCore::take_providers(Instant now, RunningLookup& running, PeerHandle from,
                             std::span<const Bytes> records) {
  ProviderTask& task = *running.providers;
  const std::size_t share =
      std::min(providers_taken_of_one, (task.wanted + providers_quorum - 1) / providers_quorum);
  const DiversityGroup group = from == self_ ? DiversityGroup::not_public : book_->group(from);
  auto of_group = task.taken.end();
  if (group != DiversityGroup::not_public) {
    of_group = std::ranges::find(task.taken, group, &std::pair<DiversityGroup, std::size_t>::first);
    if (of_group == task.taken.end()) of_group = task.taken.insert(of_group, {group, 0});
  }
  std::size_t alone = 0;
  std::size_t& taken = of_group == task.taken.end() ? alone : of_group->second;
  bool proved = false;
  for (const Bytes& record : records.first(std::min(records.size(), providers_per_answer))) {
    if (taken == share) break;
    const Told told = take_provider(now, running, record);
    if (told == Told::a_lie) return false;
    proved = proved || told != Told::nothing;
    if (told == Told::somebody_new) ++taken;
  }
  if (!proved) return true;
  task.tellers.add(group);
  task.paths |= running.lookup.path_of(from);
  return true;
}

void DhtCore::on_providers(Instant now, RunningLookup& running, PeerHandle from,
                           const Providers& told) {
  ProviderTask* const task = running.providers.get();
  if (task == nullptr || task->provide) {
    running.lookup.on_failed(from);
    return;
  }
  if (!take_providers(now, running, from, told.records)) {
    // Who tells one lie may tell others: the peers that it names do not count either (TD2).
    ++task->false_records;
    ++counters_.provider_records_false;
    running.lookup.on_failed(from);
    return;
  }
  if (told.full) task->full.add(book_->group(from));
  running.lookup.on_answer(from, told.nodes, [&](PeerHandle peer) { return tier_of(peer); });
}

bool DhtCore::providers_are_found(const RunningLookup& running) const {
  const ProviderTask& task = *running.providers;
  const int paths = std::min<int>(running.lookup.paths(), readers_paths);
  return task.found.size() >= task.wanted && task.tellers.count >= providers_quorum &&
         std::popcount(task.paths) >= paths;
}

/// After somebody was asked, or answered.
void DhtCore::proceed_providers(Instant now, RunningLookup& running) {
  const QueryId query = running.query;
  ProviderTask& task = *running.providers;
  const bool enough = !task.provide && providers_are_found(running);
  if (!enough) {
    if (!running.lookup.converged() || widen(now, query)) return;
    if (task.provide) return offer_record(now, query);
    if (task.found.size() < task.wanted && go_farther_out(*find(query))) {
      return proceed(now, query);
    }
  }
  tell(*find(query), LookupEnd::converged);  // lookups that began may have moved it
  end(now, query);
}

void DhtCore::tell_providers(const RunningLookup& running, LookupEnd end) {
  const ProviderTask& task = *running.providers;
  if (task.provide) {
    (void)events_.push(ProvideDone{.query = running.query,
                                   .end = end,
                                   .stored = task.stored,
                                   .refused = task.refused,
                                   .cost = running.lookup.cost()});
    return;
  }
  (void)events_.push(
      FindProvidersDone{.query = running.query,
                        .end = task.found.size() >= task.wanted ? LookupEnd::found : end,
                        .found = static_cast<unsigned>(task.found.size()),
                        .false_records = task.false_records,
                        .cost = running.lookup.cost()});
}

}  // namespace quicmesh::dht
