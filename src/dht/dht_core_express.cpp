// DhtCore: express queries, our own and those that pass through.
#include <algorithm>
#include <utility>

#include "dht/dht_core.hpp"
#include "dht/value.hpp"

namespace quicmesh::dht {
namespace {

/// What a hop is expected to gain: one bit by the bucket, and one for each doubling of the choice.
constexpr int bits_of_hop = 3;

}  // namespace

// Whom to ask.

bool DhtCore::has_record(PeerHandle peer) const {
  return !config_->records_needed || !book_->record(peer).empty();
}

/// Who stands at `target`, if it is ourselves, a contact that answers, or connected with us.
PeerHandle DhtCore::known_node(const DhtKey& target) const {
  const PeerHandle peer = book_->find(NodeId{target.bytes});
  if (peer == no_peer) return no_peer;
  const Contact* contact = table_.find(peer);
  const bool known =
      peer == self_ || links_.is_up(peer) || (contact != nullptr && contact->failures == 0);
  return known && has_record(peer) ? peer : no_peer;
}

/// The next hop: a connected contact that answers and is nearer to the target than we are. *Far*
/// goes to the nearest to the target of those chosen without regard to RTT; *near* weighs the way
/// to the hop against the way that is left from there, at the typical cost of a bit.
PeerHandle DhtCore::express_hop(const DhtKey& target, ExpressWay way, PeerHandle not_this) const {
  struct Hop {
    PeerHandle peer = no_peer;
    Distance left;
    Duration rtt{};
  };
  std::vector<Hop> hops;
  const Distance ours = distance(target, DhtKey::of(book_->id(self_)));
  Duration all_rtts{};
  int measured = 0;
  links_.for_each_up([&](PeerHandle peer) {
    const Contact* contact = table_.find(peer);
    if (contact == nullptr || contact->failures != 0) return;
    const auto rtt = contact->rtt();
    if (rtt) {
      all_rtts += *rtt;
      ++measured;
    }
    if (peer == not_this || (way == ExpressWay::far && contact->near_half != 0)) return;
    const Distance left = distance(target, DhtKey::of(book_->id(peer)));
    if (left < ours) hops.push_back({peer, left, rtt.value_or(Duration{})});
  });
  if (hops.empty()) return no_peer;
  if (way == ExpressWay::far) return std::ranges::min_element(hops, {}, &Hop::left)->peer;
  // Who shares so many bits with the target knows it.
  const unsigned needed = table_.buckets_on_the_way();
  const Duration typical = measured == 0 ? Duration{} : all_rtts / measured;
  const auto cost = [&](const Hop& hop) {
    const int left = std::max(int(needed) - int(shared_bits(hop.left)), 0);
    const Duration rtt = hop.rtt == Duration{} ? typical : hop.rtt;
    return std::pair(rtt + typical * left / bits_of_hop, hop.left);
  };
  return std::ranges::min_element(hops, {}, cost)->peer;
}

// Our own.

/// The lookup waits for the queries: the near one, and the far one if that takes long.
void DhtCore::begin_express(Instant now, QueryId query) {
  RunningLookup& running = *find(query);
  if (!config_->express) return;
  const bool asked = ask_by_express(now, running, ExpressWay::near);
  running.hedge_at = now + express_time_.hedge();
  if (!asked || running.hedge_at <= now) (void)hedge(now, running);
  if (running.express_open > 0) running.iterate_at = now + express_time_.patience();
}

/// Sends a query, if there is somebody to ask who has not been asked.
bool DhtCore::ask_by_express(Instant now, RunningLookup& running, ExpressWay way) {
  const DhtKey target = running.lookup.target();
  const PeerHandle next = express_hop(target, way, running.express_asked);
  if (next == no_peer || !budget_.has_one(now)) return false;
  budget_.spend(now, false);
  running.express_asked = next;
  const auto hops =
      static_cast<std::uint8_t>(express_hops_max - rng_.below(express_hops_spread + 1U));
  ++running.express_open;
  ++counters_.express_begun;
  const bool node = running.options.until_named;
  send_express(now, {.next = next,
                     .query = running.query,
                     .asked = {.target = target,
                               .want = node ? ExpressWant::node : ExpressWant::value,
                               .way = way,
                               .hops_left = hops}});
  return true;
}

/// The second query, if it has not gone yet.
bool DhtCore::hedge(Instant now, RunningLookup& running) {
  if (std::exchange(running.hedge_at, never) == never) return false;
  return ask_by_express(now, running, ExpressWay::far);
}

void DhtCore::hedge_overdue(Instant now) {
  for (RunningLookup& running : lookups_) {
    if (running.hedge_at <= now) (void)hedge(now, running);
  }
}

void DhtCore::send_express(Instant now, ExpressEntry entry) {
  entry.number = requests_.next_number();
  entry.asked_at = now;
  entry.expires = now + ExpressTable::lifetime;
  links_.used(now, entry.next);
  send(entry.next, entry.number, entry.asked);
  express_.add(std::move(entry));
}

void DhtCore::on_own_express(Instant now, const ExpressEntry& entry, const ExpressAnswer& answer) {
  RunningLookup* running = find(entry.query);
  if (running == nullptr) return;
  --running->express_open;
  const bool wins = answer.node != no_peer || answer.bytes;
  express_time_.on_outcome(wins);
  if (!wins) {
    if (hedge(now, *running)) return;
    if (running->express_open == 0 && running->iterate_at != never) iterate(now, *running);
    return;
  }
  express_time_.add_sample(now - entry.asked_at);
  ++counters_.express_won;
  running->by_express = true;
  if (answer.bytes) {
    const auto checked = check(now, ValueKind::immutable, entry.asked.target, *answer.bytes);
    if (checked) take_best(*running, entry.next, *checked, *answer.bytes);
  } else {
    running->lookup.add(answer.node, tier_of(answer.node));
  }
  tell(*running, LookupEnd::found);
  end(now, entry.query);
}

void DhtCore::iterate(Instant now, RunningLookup& running) {
  running.iterate_at = never;
  running.hedge_at = never;
  proceed(now, running.query);
}

void DhtCore::iterate_overdue(Instant now) {
  const auto overdue = [&] {
    return std::ranges::find_if(lookups_,
                                [&](const RunningLookup& one) { return one.iterate_at <= now; });
  };
  for (auto found = overdue(); found != lookups_.end(); found = overdue())
    iterate(now, *found);
}

// Those of others.

void DhtCore::on_express(Instant now, PeerHandle from, std::uint32_t number, const Express& asked) {
  ExpressAnswer answer;
  if (asked.want == ExpressWant::node) {
    answer.node = known_node(asked.target);
  } else if (const HeldValue* held = store_.find(now, asked.target, ValueKind::immutable)) {
    answer.bytes = held->bytes;
  }
  if (answer.node != no_peer || answer.bytes) {
    ++counters_.express_answered;
    send(from, number, std::move(answer));
    return;
  }
  const bool may = server_ && config_->express && asked.hops_left > 0 &&
                   express_.has_room_for(from) && forwards_.take(now);
  if (!may) {
    ++counters_.express_refused;
    send(from, number, ExpressAnswer{});
    return;
  }
  const PeerHandle next = express_hop(asked.target, asked.way, from);
  if (next == no_peer) {
    ++counters_.express_dead_ends;
    send(from, number, ExpressAnswer{});
    return;
  }
  ++counters_.express_passed_on;
  Express on = asked;
  on.hops_left = static_cast<std::uint8_t>(std::min(asked.hops_left, express_hops_max) - 1);
  send_express(now, {.next = next, .previous = from, .previous_number = number, .asked = on});
}

/// Nobody passes on what is not right: a liar is the last on the way to be believed.
bool DhtCore::is_right(const ExpressEntry& entry, const ExpressAnswer& answer) const {
  if (entry.asked.want == ExpressWant::node) {
    return answer.node != no_peer && !answer.bytes &&
           DhtKey::of(book_->id(answer.node)) == entry.asked.target && has_record(answer.node);
  }
  return answer.node == no_peer && answer.bytes && answer.bytes->size() <= value_max &&
         immutable_key(*answer.bytes) == entry.asked.target;
}

void DhtCore::on_express_answer(Instant now, const ExpressEntry& entry,
                                const ExpressAnswer& answer) {
  const bool empty = answer.node == no_peer && !answer.bytes;
  const bool right = !empty && is_right(entry, answer);
  if (!empty && !right) ++counters_.express_false;
  if (entry.previous == no_peer) {
    on_own_express(now, entry, right ? answer : ExpressAnswer{});
  } else {
    send(entry.previous, entry.previous_number, right ? answer : ExpressAnswer{});
  }
}

/// `gone` is not connected any more: what it was asked has come to a dead end.
void DhtCore::end_express(Instant now, PeerHandle gone) {
  express_.forget_previous(gone);
  while (const auto entry = express_.take_waiting_for(gone))
    on_express_answer(now, *entry, {});
}

}  // namespace quicmesh::dht
