#include "dht/dht_core.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/hash.hpp"

namespace quicmesh::dht {
DhtCore::DhtCore(Instant now, const Config& config, PeerBook& book, PeerHandle self, Rng rng,
                 RecordVerifier* verifier)
    : config_(&config),
      book_(&book),
      verifier_(verifier),
      self_(self),
      server_(config.server),
      rng_(rng),
      table_(now, config, book, self),
      adaptation_(config),
      budget_(now, config.requests_a_second),
      forwards_(now, config.forwards_a_second),
      last_heard_(now),
      refresh_interval_(
          rng_.between(config.refresh_interval * 4 / 5, config.refresh_interval * 6 / 5)) {}

void DhtCore::handle(Instant now, Input input) {
  std::visit([&](auto& one) { on(now, one); }, input);
}

void DhtCore::handle_timeout(Instant now) {
  while (const OpenRequest* late = requests_.next_late(now))
    on_late(now, OpenRequest(*late));
  while (const auto given_up = requests_.take_given_up(now))
    on_failed(now, *given_up, Blame::peer);
  while (const auto expired = express_.take_expired(now)) {
    // Somebody on the way is gone, or lies; if it is the next one, it is to show itself.
    check(now, expired->next);
    if (expired->previous == no_peer) on_own_express(now, *expired, {});
  }
  hedge_overdue(now);
  iterate_overdue(now);
  end_overdue(now);
  if (adaptation_.handle_timeout(now)) table_.set_k(adaptation_.k());
  if (budget_at_ <= now) spend_budget(now);
  if (check_at_ <= now) check_suspect(now);
  if (refresh_at() <= now) refresh_next(now);
  if (forget_parted_at_ <= now) forget_parted(now);
  if (warm_at_ <= now) keep_warm(now);
  republish_next(now);
  providers_.handle_timeout(now);
}

std::optional<DhtCore::Output> DhtCore::poll_output() {
  return outputs_.pop();
}
std::optional<Event> DhtCore::poll_event() {
  return events_.pop();
}

Instant DhtCore::poll_timeout() const {
  Instant earliest = std::min({requests_.earliest(), express_.earliest(), check_at_, refresh_at(),
                               budget_at_, adaptation_.poll_timeout(), warm_at_, forget_parted_at_,
                               providers_.poll_timeout()});
  if (may_republish()) earliest = std::min(earliest, store_.poll_timeout());
  for (const RunningLookup& running : lookups_)
    earliest = std::min({earliest, running.deadline, running.iterate_at, running.hedge_at});
  return earliest;
}

void DhtCore::adopt(Instant now, PeerHandle peer, Duration rtt) {
  for (std::size_t i = 0; i < Contact::samples_max; ++i)
    (void)table_.answered(now, peer, rtt);
  plan_keep_warm(now, warm_pause);
}

// Connections.

void DhtCore::on(Instant now, const peer::Up& input) {
  links_.up(now, input.peer, input.rtt);
  if (input.rtt > Duration::zero()) table_.measured(input.peer, input.rtt);
  Duration patience = round_trip_.patience(table_.find(input.peer));
  if (input.rtt > Duration::zero()) {
    patience = std::max(3 * input.rtt, RoundTrip::patience_min);  // RFC 6298 s2.2
  }
  requests_.send_waiting(input.peer, [&](OpenRequest& open) {
    open.sent_at = now;
    if (open.late_at != never) open.late_at = now + patience;  // else it has counted as late
    open.given_up_at = now + RoundTrip::give_up(patience);
    send(open.peer, open.number, *std::exchange(open.waiting, std::nullopt));
  });
  trim_links(now);
}

void DhtCore::on(Instant now, const peer::Down& input) {
  // One that we closed ourselves is out of the pool already, and no fault of the peer's.
  const bool by_us = !links_.is_up(input.peer);
  if (!by_us) parted(now, input.peer);
  connection_over(now, input.peer, by_us ? Blame::nobody : Blame::peer);
}

void DhtCore::on(Instant now, const peer::Unreachable& input) {
  connection_over(now, input.peer, Blame::peer);
}

void DhtCore::connection_over(Instant now, PeerHandle peer, Blame blame) {
  const bool was_wanted = links_.is_wanted(peer);
  links_.gone(peer);
  for (const OpenRequest& request : requests_.take_all_of(peer))
    on_failed(now, request, blame);
  end_express(now, peer);
  if (was_wanted) plan_keep_warm(now, warm_pause);
}

void DhtCore::on(Instant /*now*/, const peer::PathChanged& input) {
  links_.path_changed(input.peer, input.rtt);
  table_.path_changed(input.peer, input.rtt);
}

void DhtCore::on(Instant /*now*/, const peer::Regrouped& input) {
  (void)table_.regrouped(input.peer, input.before);
}

void DhtCore::on(Instant /*now*/, const peer::TiersChanged& input) {
  tiers_ = input.tiers;
}

// Messages.

void DhtCore::on(Instant now, peer::Received<Message>& input) {
  last_heard_ = now;
  links_.used(now, input.from);
  if (!input.message.server) (void)table_.remove(input.from);
  if (is_request(input.message.body)) {
    on_request(now, input.from, input.message);
  } else {
    on_answer(now, input.from, input.message);
  }
}

void DhtCore::on_request(Instant now, PeerHandle from, const Message& message) {
  if (!links_.serves(now, from, served_a_second)) {
    ++counters_.refused_busy;
    send(from, message.request, Busy{});
    return;
  }
  ++counters_.requests_answered;
  if (const auto* express = std::get_if<Express>(&message.body)) {
    on_express(now, from, message.request, *express);
  } else if (const auto* find = std::get_if<FindNode>(&message.body)) {
    send(from, message.request, nearest_for(from, find->target, find->count));
  } else if (const auto* get = std::get_if<Get>(&message.body)) {
    Found found{.nodes = nearest_for(from, get->key, get->count).nodes};
    const HeldValue* held = store_.find(now, get->key, get->kind);
    if (held != nullptr) found.bytes = held->bytes;
    send(from, message.request, std::move(found));
  } else if (const auto* put = std::get_if<Put>(&message.body)) {
    send(from, message.request, PutAnswer{keep(now, *put, from)});
  } else if (const auto* provide = std::get_if<Provide>(&message.body)) {
    send(from, message.request, PutAnswer{keep(now, *provide, from)});
  } else if (const auto* asked = std::get_if<GetProviders>(&message.body)) {
    send(from, message.request, providers_for(now, from, *asked));
  } else {
    send(from, message.request, Pong{});
  }
  // To ask us it had to show who it is, but not that it answers.
  // Whoever asks and never answers takes no more than half of the pings.
  if (message.server && table_.has_room_for(from) && requests_.checks() < checks_max / 2) {
    check(now, from);
  }
}

Nodes DhtCore::nearest_for(PeerHandle asker, const DhtKey& target, std::size_t count) const {
  count = std::min(count, contacts_max);
  Nodes nodes;
  table_.nearest(target, count, RoutingTable::Which::answering, nodes.nodes);
  if (std::erase(nodes.nodes, asker) != 0) {
    // One more is seldom asked for: with a full bucket it means reading all deeper ones.
    nodes.nodes.clear();
    table_.nearest(target, count + 1, RoutingTable::Which::answering, nodes.nodes);
    std::erase(nodes.nodes, asker);
  }
  nodes.nodes.resize(std::min(nodes.nodes.size(), count));
  return nodes;
}

void DhtCore::on_answer(Instant now, PeerHandle from, const Message& message) {
  const auto request = requests_.take(from, message.request);
  if (!request) {
    if (const auto entry = express_.take(from, message.request)) {
      const auto* answer = std::get_if<ExpressAnswer>(&message.body);
      on_express_answer(now, *entry, answer == nullptr ? ExpressAnswer{} : *answer);
    } else {
      ++counters_.answers_unasked;
    }
    return;
  }
  const Duration rtt = now - request->sent_at;
  round_trip_.add_sample(rtt);
  const bool was_known = table_.find(from) != nullptr;
  if (std::holds_alternative<Busy>(message.body)) {
    adaptation_.on_busy(now, from);
  } else {
    const bool late = request->late_at == never;
    adaptation_.on_answer(now, {from, was_known}, late);
  }
  if (message.server) {
    const std::size_t before = table_.live_count();
    const RoutingTable::Place place = table_.answered(now, from, rtt);
    if (!was_known) {
      if (const auto handshake = links_.rtt(from)) table_.measured(from, *handshake);
    }
    if (table_.live_count() > before) {
      plan_keep_warm(now, links_.up_count() < links_max() / 2 ? warm_pause : warm_rest);
    }
    if (place == RoutingTable::Place::waiting && table_.worth_measuring(from)) check(now, from);
  }
  on_answer_of_lookup(now, *request, message);
}

void DhtCore::on_answer_of_lookup(Instant now, const OpenRequest& request, const Message& message) {
  const PeerHandle from = request.peer;
  RunningLookup* running = find(request.query);
  if (running == nullptr) return;
  if (request.storing) {
    const auto* done = std::get_if<PutAnswer>(&message.body);
    on_store_answer(now, request, done == nullptr ? PutStatus::unwilling : done->status,
                    request.late_at != never);
    return;
  }
  if (const auto* found = std::get_if<Found>(&message.body)) {
    on_found(now, *running, from, *found);
  } else if (const auto* told = std::get_if<Providers>(&message.body)) {
    on_providers(now, *running, from, *told);
  } else if (const auto* nodes = std::get_if<Nodes>(&message.body)) {
    running->lookup.on_answer(from, nodes->nodes, [&](PeerHandle peer) { return tier_of(peer); });
  } else {
    running->lookup.on_failed(from);
  }
  proceed(now, request.query);
}

// Requests.

void DhtCore::request(Instant now, PeerHandle peer, QueryId query, Body body) {
  const Duration patience = round_trip_.patience(table_.find(peer));
  OpenRequest open{.peer = peer, .number = requests_.next_number(), .query = query, .sent_at = now};
  open.storing = query != no_query &&
                 (std::holds_alternative<Put>(body) || std::holds_alternative<Provide>(body));
  const bool warm = links_.is_up(peer);
  const bool opens = !warm && !links_.is_opening(peer);
  budget_.spend(now, opens);
  const Duration cold_patience = warm ? patience : RoundTrip::cold_factor * patience;
  open.late_at = now + cold_patience;
  open.given_up_at =
      now + (warm ? RoundTrip::give_up(patience) : RoundTrip::give_up_cold(cold_patience));
  if (warm) {
    links_.used(now, peer);
    send(peer, open.number, std::move(body));
  } else {
    open.waiting = std::move(body);
    if (opens) {
      links_.opening(now, peer);
      (void)outputs_.push(peer::Open{peer});
    }
  }
  ++counters_.requests_sent;
  requests_.add(std::move(open));
}

void DhtCore::send(PeerHandle to, std::uint32_t number, Body body) {
  (void)outputs_.push(peer::Send<Message>{to, {number, server_, std::move(body)}});
}

/// Asks `peer` whether it is there, unless something is asked of it already.
void DhtCore::check(Instant now, PeerHandle peer) {
  if (requests_.checks() < checks_max && !requests_.any_to(peer) && budget_.has_one(now)) {
    request(now, peer, no_query, Ping{});
  }
}

/// A contact that left something unanswered.
void DhtCore::check_suspect(Instant now) {
  check_at_ = never;
  for (const Contact& contact : table_.contacts()) {
    if (contact.failures == 0) continue;
    check_at_ = now + check_interval;
    if (!requests_.any_to(contact.peer)) return check(now, contact.peer);
  }
}

void DhtCore::on_late(Instant now, const OpenRequest& request) {
  ++counters_.requests_late;
  if (request.storing) {
    on_store_answer(now, request, std::nullopt, true);
  } else if (RunningLookup* running = find(request.query)) {
    running->lookup.on_slow(request.peer);
    proceed(now, request.query);
  }
}

void DhtCore::on_failed(Instant now, const OpenRequest& request, Blame blame) {
  ++counters_.requests_failed;
  if (request.waiting && !requests_.any_to(request.peer) && links_.is_opening(request.peer)) {
    // Given up before it was up: who carries out need not go on trying.
    links_.gone(request.peer);
    (void)outputs_.push(peer::Close{request.peer});
  }
  if (blame == Blame::peer && last_heard_ >= request.sent_at) {
    adaptation_.on_silence(now, {request.peer, table_.find(request.peer) != nullptr});
    if (table_.failed(request.peer)) {
      ++counters_.contacts_lost;
    } else if (check_at_ == never && table_.find(request.peer) != nullptr) {
      check_at_ = now + check_interval;
    }
  }
  if (request.storing) {
    on_store_answer(now, request, std::nullopt, request.late_at != never);
  } else if (RunningLookup* running = find(request.query)) {
    running->lookup.on_failed(request.peer);
    proceed(now, request.query);
  }
}

// The rest.

std::vector<PeerHandle> DhtCore::contacts_to_keep() const {
  std::vector<const Contact*> live;
  for (unsigned bucket = 0; bucket < table_.bucket_count(); ++bucket) {
    for (const Contact& contact : table_.live(bucket))
      live.push_back(&contact);
  }
  std::ranges::stable_sort(live, std::greater{}, [](const Contact* c) { return +c->seen_s; });
  std::vector<PeerHandle> peers;
  for (const Contact* contact : live)
    peers.push_back(contact->peer);
  return peers;
}

void DhtCore::mark(PeerBook::Sweep& sweep) const {
  sweep.mark(self_);
  for (const Contact& contact : table_.contacts())
    sweep.mark(contact.peer);
  links_.for_each([&](PeerHandle peer) { sweep.mark(peer); });
  requests_.for_each([&](const OpenRequest& request) { sweep.mark(request.peer); });
  express_.for_each([&](const ExpressEntry& entry) {
    sweep.mark(entry.next);
    if (entry.previous != no_peer) sweep.mark(entry.previous);
  });
  for (const RunningLookup& running : lookups_)
    running.lookup.for_each([&](PeerHandle peer) { sweep.mark(peer); });
  // From somewhere else each time: ids can be ground to come first.
  NodeId first;
  const std::uint64_t place = mix64(counters_.requests_sent + counters_.requests_answered);
  std::memcpy(first.bytes.data(), &place, sizeof(place));
  std::size_t providers = 0;
  providers_.for_each_provider(first, [&](const NodeId& id) {
    const PeerHandle peer = book_->find(id);
    if (peer == no_peer) return true;
    sweep.mark(peer);
    return ++providers < providers_marked_max;
  });
  // Not those whose values are kept: whoever puts one a day each under ever new names would fill
  // the book. A handle that is given anew brings its share of the store along.
}

bool DhtCore::awaits(PeerHandle from, std::uint32_t number) {
  bool found = false;
  requests_.for_each(
      [&](const OpenRequest& one) { found = found || (one.peer == from && one.number == number); });
  express_.for_each([&](const ExpressEntry& one) {
    found = found || (one.next == from && one.number == number);
  });
  if (!found) ++counters_.answers_unasked;
  return found;
}

std::size_t DhtCore::memory() const {
  return table_.memory() + links_.memory() + requests_.memory() + express_.memory() +
         lookups_.capacity() * sizeof(RunningLookup);
}

}  // namespace quicmesh::dht
