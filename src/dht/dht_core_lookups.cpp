// DhtCore: lookups, those of commands and those that keep the table.
#include <algorithm>
#include <utility>

#include "dht/dht_core.hpp"

namespace quicmesh::dht {

std::uint8_t DhtCore::tier_of(PeerHandle peer) const {
  if (!config_->tiers) return Lookup::no_tier;
  const Contact* contact = table_.find(peer);
  const auto rtt = contact == nullptr ? std::nullopt : contact->rtt();
  return rtt ? static_cast<std::uint8_t>(tiers_.tier_of(*rtt)) : Lookup::no_tier;
}

DhtCore::RunningLookup* DhtCore::find(QueryId query) {
  const auto found = std::ranges::find(lookups_, query, &RunningLookup::query);
  return found == lookups_.end() ? nullptr : &*found;
}

DhtCore::RunningLookup& DhtCore::start(Instant now, const DhtKey& target, Purpose purpose,
                                       FindOptions options, std::uint8_t paths,
                                       std::optional<Region> shunned) {
  last_query_ = QueryId{std::to_underlying(last_query_) + 1};
  RunningLookup& running = lookups_.emplace_back(RunningLookup{
      .query = last_query_,
      .purpose = purpose,
      .options = options,
      .deadline = now + config_->lookup_deadline,
      .lookup = Lookup(*book_, self_, target, purpose == Purpose::refresh ? config_->k : table_.k(),
                       paths)});
  if (shunned) running.lookup.shun(*shunned);
  std::vector<PeerHandle> known;
  table_.nearest(target, table_.k(), RoutingTable::Which::all_if_few, known);
  for (const PeerHandle peer : known)
    running.lookup.add(peer, tier_of(peer));
  table_.touch(now, target);
  return running;
}

Result<QueryId> DhtCore::find_node(Instant now, const DhtKey& target, FindOptions options) {
  if (lookups_.size() >= lookups_max) return failure(DhtErrc::too_many_queries);
  const QueryId query = start(now, target, Purpose::command, options).query;
  proceed(now, query);
  return query;
}

Result<QueryId> DhtCore::resolve(Instant now, const NodeId& id) {
  if (lookups_.size() >= lookups_max) return failure(DhtErrc::too_many_queries);
  RunningLookup& running = start(now, DhtKey::of(id), Purpose::command, {.until_named = true});
  const QueryId query = running.query;
  if (const PeerHandle known = known_node(DhtKey::of(id)); known != no_peer) {
    running.lookup.add(known, tier_of(known));
  } else {
    begin_express(now, query);
  }
  proceed(now, query);
  return query;
}

void DhtCore::bootstrap(Instant now, std::span<const PeerHandle> known) {
  RunningLookup& running = start(now, DhtKey::of(book_->id(self_)), Purpose::join, {});
  // All are asked: liars name accomplices nearer than any honest one that is known (TD5).
  for (const PeerHandle peer : known)
    running.lookup.add_required(peer, tier_of(peer));
  proceed(now, running.query);
}

/// Asks whom there is to ask, and sees whether the lookup is over.
void DhtCore::proceed(Instant now, QueryId query) {
  RunningLookup* running = find(query);
  if (running == nullptr || running->iterate_at != never) return;
  if (running->task != nullptr && running->task->storing) return;
  if (running->providers != nullptr && running->providers->storing) return;
  if (end_if_named(now, *running)) return;
  if (running->fills && is_filled(*running->fills)) return end(now, query);
  const std::uint16_t slow_before = running->lookup.cost().slow_tier_queries;
  const std::uint8_t alpha =
      std::max(adaptation_.alpha(now, running->lookup.silent()), running->lookup.paths());
  while (budget_.has_one(now)) {
    const auto peer = running->lookup.next(alpha);
    if (!peer) break;
    request(now, *peer, query, question_of(*running));
  }
  if (!budget_.has_one(now) && budget_at_ == never) {
    ++counters_.out_of_budget;
    budget_at_ = budget_.next();
  }
  counters_.slow_tier_requests += running->lookup.cost().slow_tier_queries - slow_before;
  if (running->providers != nullptr) return proceed_providers(now, *running);
  const bool converged = running->lookup.converged();
  if (running->task != nullptr) {
    const bool answered = !running->task->put && get_is_done(*running);
    if (converged && !answered && widen(now, query)) return;
    running = find(query);  // lookups that began may have moved it
    if (running->task->put) {
      if (converged) begin_storing(now, query);
    } else if (converged || answered) {
      repair(now, *running);
      tell(*running, LookupEnd::converged);
      end(now, query);
    }
    return;
  }
  const FindOptions& options = running->options;
  if (!running->told) {
    if (options.until_found && running->lookup.target_answered()) {
      tell(*running, LookupEnd::found);
      end(now, query);
      return;
    }
    // The only one who can tell has been asked: no answer of others is worth more.
    if (options.until_found && running->lookup.target_awaited()) return;
    if (converged || (options.quorum != 0 && running->lookup.has_answers_of(options.quorum))) {
      tell(*running, LookupEnd::converged);
    }
  }
  if (converged) end(now, query);
}

/// A node is known by whoever named it with its record, but not by a contact of ours that fails.
bool DhtCore::end_if_named(Instant now, RunningLookup& running) {
  if (!running.options.until_named) return false;
  const PeerHandle named = running.lookup.named_target();
  if (named == no_peer || !has_record(named)) return false;
  const Contact* contact = table_.find(named);
  if (contact != nullptr && contact->failures != 0) return false;
  tell(running, LookupEnd::found);
  end(now, running.query);
  return true;
}

void DhtCore::tell(RunningLookup& running, LookupEnd end) {
  running.told = true;
  if (running.purpose != Purpose::command) return;
  if (running.options.until_named) {
    const PeerHandle node = end == LookupEnd::found ? running.lookup.named_target() : no_peer;
    (void)events_.push(Resolved{.query = running.query,
                                .end = end,
                                .node = node,
                                .by_express = running.by_express,
                                .cost = running.lookup.cost()});
    return;
  }
  if (running.task != nullptr) {
    tell_value(running, end);
    return;
  }
  if (running.providers != nullptr) {
    tell_providers(running, end);
    return;
  }
  (void)events_.push(FindNodeDone{running.query, end, running.lookup.nearest_answered(table_.k()),
                                  running.lookup.cost()});
}

void DhtCore::end(Instant now, QueryId query) {
  const auto found = std::ranges::find(lookups_, query, &RunningLookup::query);
  const Purpose purpose = found->purpose;
  const RunningLookup ended = std::move(*found);
  lookups_.erase(found);
  if (lookups_.empty()) lookups_.shrink_to_fit();
  if (purpose == Purpose::side) return end_side(now, ended);
  if (purpose == Purpose::refresh && ended.lookup.converged()) learn_density(ended.lookup);
  if (purpose == Purpose::command || purpose == Purpose::republish) return;
  if (purpose == Purpose::join) {
    poor_below_ = table_.touch_own(now);
  } else {
    refreshing_ = false;
  }
  refresh_next(now);
}

void DhtCore::end_overdue(Instant now) {
  const auto is_overdue = [&](const RunningLookup& running) { return running.deadline <= now; };
  // The rest as soon as what these send has been taken.
  std::size_t storing = 0;
  for (auto overdue = std::ranges::find_if(lookups_, is_overdue);
       overdue != lookups_.end() && storing < overdue_puts_at_once;
       overdue = std::ranges::find_if(lookups_, is_overdue)) {
    const QueryId query = overdue->query;
    // Ground ids that say nothing are no less a siege.
    const bool seeks_keepers = (overdue->task != nullptr && !overdue->task->storing) ||
                               (overdue->providers != nullptr && !overdue->providers->storing);
    const bool may_widen = seeks_keepers && !overdue->region;
    if (may_widen && widen(now, query)) continue;
    overdue = std::ranges::find(lookups_, query, &RunningLookup::query);
    if (overdue->task != nullptr && overdue->task->put && !overdue->task->storing) {
      // The nearest of those who answered are better than nobody.
      overdue->deadline = now + config_->lookup_deadline;
      ++storing;
      begin_storing(now, query);
      continue;
    }
    ProviderTask* const providers = overdue->providers.get();
    if (providers != nullptr && providers->provide && providers->offered.empty() &&
        !providers->storing) {
      overdue->deadline = now + config_->lookup_deadline;
      ++storing;
      offer_record(now, query);
      continue;
    }
    if (!overdue->told) tell(*overdue, LookupEnd::deadline);
    end(now, query);
  }
}

/// Lookups that had to wait go on, those that began first before the others.
void DhtCore::spend_budget(Instant now) {
  budget_at_ = never;
  std::vector<QueryId> queries;
  for (const RunningLookup& running : lookups_)
    queries.push_back(running.query);
  for (const QueryId query : queries)
    proceed(now, query);
}

// Refresh.

Instant DhtCore::refresh_at() const {
  if (refreshing_ || lookups_.size() >= lookups_max) return never;
  const auto stale = table_.stalest();
  return stale ? stale->since + refresh_interval_ : never;
}

bool DhtCore::is_poor(unsigned bucket) const {
  return table_.live(bucket).size() < table_.k() / 2U;
}
/// The rest comes by use.
bool DhtCore::is_filled(unsigned bucket) const {
  return table_.live(bucket).size() >= table_.k() * 3U / 4U;
}

/// Half of it has answered since it was last to be refreshed, and it is full enough. Peers can see
/// to it that we hear them: one in four is refreshed all the same.
bool DhtCore::is_fresh_by_use(Instant now, unsigned bucket) {
  if (density_.count() < density_samples_min || !is_filled(bucket)) return false;
  if (rng_.below(refreshed_all_the_same) == 0) return false;
  const auto is_fresh = [&](const Contact& contact) {
    return now - table_.seen(contact) < refresh_interval_;
  };
  return std::ranges::count_if(table_.live(bucket), is_fresh) >= std::ptrdiff_t{table_.k() / 2};
}

/// After a join the poor buckets, from the deepest; otherwise the one whose time has come. Those
/// around us are refreshed together, by a lookup of our own id: whoever is new there has to be met.
void DhtCore::refresh_next(Instant now) {
  if (refreshing_ || lookups_.size() >= lookups_max) return;
  std::optional<unsigned> bucket;
  while (poor_below_ > 0 && !bucket) {
    --poor_below_;
    if (is_poor(poor_below_)) bucket = poor_below_;
  }
  const std::optional<unsigned> fills = bucket;
  const unsigned first_own = table_.first_own();
  while (!bucket && refresh_at() <= now) {
    const unsigned stalest = table_.stalest()->bucket;
    if (stalest < first_own && is_fresh_by_use(now, stalest)) {
      table_.touch_bucket(now, stalest);
    } else {
      bucket = stalest;
    }
  }
  if (!bucket) return;
  refreshing_ = true;
  const bool around_us = !fills && *bucket >= first_own;
  if (around_us) (void)table_.touch_own(now);
  const DhtKey target =
      around_us ? DhtKey::of(book_->id(self_)) : table_.random_key_in(*bucket, rng_);
  RunningLookup& running = start(now, target, Purpose::refresh, {});
  running.fills = fills;
  proceed(now, running.query);
}

}  // namespace quicmesh::dht
