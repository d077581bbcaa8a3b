#include "sim/dht_world.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace quicmesh::sim {
namespace {

// In seconds since 1970: some day in 2026.
constexpr std::int64_t first_day = 1'790'000'000;

constexpr std::uint32_t nowhere = ~std::uint32_t{0};

// Enough for the nodes that a churn of many rounds brings.
constexpr std::size_t ids_per_node = 32;
constexpr std::size_t ids_min = 1'000'000;

std::size_t index(PeerHandle peer) {
  return static_cast<std::size_t>(peer);
}

// The first 64 bits: a million random ids differ in them, but for one chance in ten million.
std::uint64_t prefix_of(const NodeId& id) {
  std::uint64_t prefix = 0;
  for (std::size_t i = 0; i < 8; ++i)
    prefix = prefix << 8U | id.bytes[i];
  return prefix;
}

std::uint64_t key_of(PeerHandle origin, dht::QueryId query) {
  return std::uint64_t{static_cast<std::uint32_t>(origin)} << 32U |
         static_cast<std::uint32_t>(query);
}

}  // namespace

DhtWorld::DhtWorld(const DhtWorldConfig& config, LatencyModel model)
    : config_(config),
      rng_(Rng(config.seed).fork("world")),
      churn_rng_(rng_.fork("churn")),
      book_(std::make_unique<PeerBook>(std::max(ids_min, ids_per_node * config.nodes),
                                       rng_.fork("salt").next())),
      fabric_({.seed = config.seed,
               .loss = config.loss,
               .tier_period = config.tier_period,
               .threads = config.threads,
               .worth_threads = config.worth_threads},
              std::move(model)) {
  config_.dht.records_needed = false;
  client_config_ = config_.dht;
  client_config_.server = false;
}

DhtWorld::~DhtWorld() = default;

PeerHandle DhtWorld::join_by(const std::vector<PeerHandle>& known) {
  const PeerHandle peer = add_peer();
  restart(peer, known);
  return peer;
}

void DhtWorld::restart(PeerHandle peer, const std::vector<PeerHandle>& known) {
  if (fabric_.runs(peer)) stop_node(peer, Departure::silent);
  start_node(peer);
  fabric_.command(peer, [&](DhtActor& actor, Instant now) { actor.dht().bootstrap(now, known); });
}

PeerHandle DhtWorld::add_peer(bool hostile) {
  NodeId id;
  rng_.fill(id.bytes);
  const PeerHandle peer = book_->intern(id);
  place_peer(peer, hostile);
  return peer;
}

/// Shares so many bits with the key under attack that no honest node does.
PeerHandle DhtWorld::add_ground_peer() {
  constexpr std::size_t ground_bytes = 3;
  NodeId id;
  rng_.fill(id.bytes);
  std::copy_n(config_.key_under_attack.bytes.begin(), ground_bytes, id.bytes.begin());
  const PeerHandle peer = book_->intern(id);
  place_peer(peer, true);
  return peer;
}

void DhtWorld::place_peer(PeerHandle peer, bool hostile) {
  QM_ASSERT(peer != no_peer && index(peer) == clients_.size());
  // Honest nodes share a network with nobody, but the limits are kept.
  std::uint32_t group = static_cast<std::uint32_t>(peer) + 1;
  if (hostile && config_.hostile_groups > 0) {
    constexpr std::uint32_t first_of_hostile = 1U << 31U;
    group = first_of_hostile + static_cast<std::uint32_t>(hostile_count_ % config_.hostile_groups);
  }
  book_->set_group(peer, DiversityGroup{group});
  const bool client = !hostile && happens(rng_, config_.clients);
  DrawnSide side;
  while (client && side.nats.empty())
    side = draw_side(rng_);
  PeerPlace place = fabric_.network().draw_place(rng_);
  if (hostile && config_.hostile_everywhere) place = {PeerPlace::everywhere, 0};
  fabric_.network().add(peer, place, nat_class(side));
  clients_.push_back(client);
  hostile_.push_back(hostile);
  live_at_.push_back(nowhere);
  if (!hostile) return;
  ++hostile_count_;
  if (!config_.name_the_dead) conspiracy_.named.push_back(peer);
}

bool DhtWorld::is_client(PeerHandle peer) const {
  return clients_[index(peer)];
}

void DhtWorld::start_node(PeerHandle peer) {
  live_at_[index(peer)] = static_cast<std::uint32_t>(live_.size());
  live_.push_back(peer);
  auto actor = std::make_unique<DhtActor>(
      fabric_.now(), is_client(peer) ? client_config_ : config_.dht, *book_, peer,
      rng_.fork("core " + std::to_string(index(peer))), is_hostile(peer) ? &conspiracy_ : nullptr);
  actor->dht().set_wall_time(fabric_.now(), wall_time());
  fabric_.start_core(peer, std::move(actor));
}

void DhtWorld::stop_node(PeerHandle peer, Departure departure) {
  const std::uint32_t at = std::exchange(live_at_[index(peer)], nowhere);
  QM_ASSERT(at != nowhere);
  live_[at] = live_.back();
  live_.pop_back();
  if (at < live_.size()) live_at_[index(live_[at])] = at;
  fabric_.stop_core(peer, departure);
  for (MeasuredLookup& lookup : measured_) {
    if (lookup.taken || lookup.is_void || (lookup.origin != peer && lookup.target != peer))
      continue;
    if (lookup.begun == Instant{}) continue;
    lookup.is_void = true;
    by_origin_.erase(lookup.origin);
    by_target_.erase(lookup.target);
    --open_;
  }
}

WallTime DhtWorld::wall_time() const {
  return WallTime{first_day + fabric_.now().time_since_epoch() / 1s};
}

PeerHandle DhtWorld::random_live() {
  return live_[rng_.below(live_.size())];
}

PeerHandle DhtWorld::random_honest() {
  PeerHandle peer = random_live();
  while (is_hostile(peer))
    peer = random_live();
  return peer;
}

void DhtWorld::make_full() {
  std::vector<std::pair<std::uint64_t, PeerHandle>> sorted;
  const std::size_t all = config_.nodes + config_.ground_ids;
  for (std::size_t i = 0; i < all; ++i) {
    const bool hostile = !config_.hostile.is_zero() && happens(rng_, config_.hostile);
    const PeerHandle peer = i < config_.nodes ? add_peer(hostile) : add_ground_peer();
    if (!is_client(peer)) sorted.emplace_back(prefix_of(book_->id(peer)), peer);
    start_node(peer);
  }
  if (config_.name_the_dead) {
    // Ids in the book of peers that never run.
    for (std::size_t i = 0; i < hostile_count_; ++i)
      conspiracy_.named.push_back(add_peer());
  }
  conspiracy_.hostility = config_.hostility;
  conspiracy_.sort(*book_);
  std::ranges::sort(sorted);
  for (const PeerHandle peer : live_)
    fill_table(peer, sorted);
}

void DhtWorld::fill_table(PeerHandle peer,
                          const std::vector<std::pair<std::uint64_t, PeerHandle>>& sorted) {
  const std::uint64_t own = prefix_of(book_->id(peer));
  const auto first_of = [&](std::uint64_t prefix) {
    return static_cast<std::size_t>(
        std::ranges::lower_bound(sorted, std::pair(prefix, PeerHandle{0})) - sorted.begin());
  };
  std::vector<PeerHandle> met;
  std::size_t low = 0;  // of those that share `bit` bits with us
  std::size_t high = sorted.size();
  for (unsigned bit = 0; bit < 63 && high - low > 1; ++bit) {
    const std::uint64_t half = std::uint64_t{1} << (63U - bit);
    const std::size_t middle = first_of((own & ~(2 * half - 1)) | half);
    const bool upper = (own & half) != 0;
    const std::size_t from = upper ? low : middle;
    const std::size_t to = upper ? middle : high;
    const std::size_t members = to - from;
    for (std::size_t i = 0; i < std::min(members, config_.met_per_bucket); ++i) {
      // Of few all, of many as many random ones as are met.
      const std::size_t which = members <= config_.met_per_bucket ? i : rng_.below(members);
      met.push_back(sorted[from + which].second);
    }
    (upper ? low : high) = middle;
  }
  fabric_.command(peer, [&](DhtActor& actor, Instant now) {
    for (const PeerHandle other : met)
      if (other != peer) actor.dht().adopt(now, other, fabric_.network().rtt(peer, other));
  });
  const auto contacts = fabric_.core(peer).dht().table().contacts();
  const std::size_t stride = contacts.size() / 64 + 1;
  for (std::size_t i = 0; i < contacts.size(); i += stride)
    fabric_.observe_rtt(peer, fabric_.network().rtt(peer, contacts[i].peer));
  if (config_.dht.tiers) fabric_.cluster_now(peer);
}

void DhtWorld::join(PeerHandle peer, std::size_t contacts) {
  std::vector<PeerHandle> known;
  for (std::size_t tries = 0; tries < 8 * contacts && known.size() < contacts; ++tries) {
    const PeerHandle other = random_live();
    if (!is_client(other) && other != peer) known.push_back(other);
  }
  start_node(peer);
  fabric_.command(peer, [&](DhtActor& actor, Instant now) { actor.dht().bootstrap(now, known); });
}

void DhtWorld::make_by_joining(Duration span) {
  start_node(add_peer());
  for (std::size_t i = 1; i < config_.nodes; ++i) {
    const auto step = static_cast<std::int64_t>(i);
    fabric_.after(span * step / static_cast<std::int64_t>(config_.nodes),
                  [this] { join(add_peer(), 1); });
  }
  fabric_.run_for(span);
}

void DhtWorld::warm_up(std::size_t lookups, Duration span) {
  const std::size_t count = lookups * live_.size();
  const Instant begin = fabric_.now();
  // One action at a time: a million planned ones would be a gigabyte of closures.
  for (std::size_t i = 0; i < count; ++i) {
    const auto step = static_cast<std::int64_t>(i);
    // By whole milliseconds, as actions are.
    fabric_.run_until(begin + span / static_cast<std::int64_t>(count) * step / 1ms * 1ms);
    if (live_.size() < 2) return;
    const PeerHandle origin = live_[i % live_.size()];
    const PeerHandle target = random_live();
    if (is_client(target)) continue;
    fabric_.command(origin,
                    [&](DhtActor& actor, Instant now) { return ask(actor.dht(), now, target); });
  }
  fabric_.run_for(10s);
}

void DhtWorld::plan_end(PeerHandle peer, Duration session) {
  fabric_.after(session, [this, peer] {
    if (!fabric_.runs(peer)) return;
    stop_node(peer, departure_);
    const PeerHandle next = add_peer();
    join(next, 4);
    plan_end(next, lengths_->draw(churn_rng_));
  });
}

void DhtWorld::churn(const SessionLengths& lengths, Departure departure) {
  lengths_ = lengths;
  departure_ = departure;
  for (const PeerHandle peer : live_)
    plan_end(peer, lengths.residual(churn_rng_));
}

void DhtWorld::kill(Ratio share) {
  const std::vector<PeerHandle> all = live_;
  for (const PeerHandle peer : all)
    if (happens(churn_rng_, share)) stop_node(peer, Departure::silent);
}

bool DhtWorld::is_known(PeerHandle origin, PeerHandle target) const {
  const auto is_target = [&](const PeerEnd& end) { return end.peer == target; };
  return std::ranges::any_of(fabric_.ends(origin), is_target) ||
         fabric_.core(origin).dht().table().find(target) != nullptr;
}

Result<dht::QueryId> DhtWorld::ask(dht::DhtCore& core, Instant now, PeerHandle target) const {
  const NodeId& id = book_->id(target);
  if (config_.ask == Ask::record) return core.resolve(now, id);
  return core.find_node(now, DhtKey::of(id), {.until_found = true});
}

void DhtWorld::begin_lookup(std::size_t index_of_lookup) {
  MeasuredLookup& lookup = measured_[index_of_lookup];
  lookup.begun = fabric_.now();
  // In a small world few nodes are strangers to each other.
  for (int tries = 0; tries < 1000 && live_.size() >= 2; ++tries) {
    const PeerHandle origin = random_honest();
    const PeerHandle target = random_honest();
    if (origin == target || is_client(target) || is_known(origin, target)) continue;
    if (by_origin_.contains(origin) || by_target_.contains(target)) continue;
    lookup.origin = origin;
    lookup.target = target;
    break;
  }
  if (lookup.origin == no_peer) {
    lookup.is_void = true;
    --open_;
    return;
  }
  const PeerHandle origin = lookup.origin;
  const PeerHandle target = lookup.target;
  lookup.direct = fabric_.network().rtt(origin, target);
  by_origin_[origin] = by_target_[target] = index_of_lookup;
  fabric_.command(origin, [&](DhtActor& actor, Instant now) {
    const auto query = ask(actor.dht(), now, target);
    if (query) {
      running_[key_of(origin, *query)] = index_of_lookup;
    } else {
      close_lookup(index_of_lookup);
    }
  });
}

void DhtWorld::close_lookup(std::size_t index_of_lookup) {
  MeasuredLookup& lookup = measured_[index_of_lookup];
  if (!lookup.taken) lookup.taken = fabric_.now() - lookup.begun;
  by_origin_.erase(lookup.origin);
  by_target_.erase(lookup.target);
  --open_;
}

std::vector<MeasuredLookup> DhtWorld::measure(std::size_t count, Duration span) {
  measured_.assign(count, {});
  running_.clear();
  carried_.clear();
  by_origin_.clear();
  by_target_.clear();
  open_ = count;
  look_on();
  for (std::size_t i = 0; i < count; ++i) {
    fabric_.after(span * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(count),
                  [this, i] { begin_lookup(i); });
  }
  const Duration patience = span + 3 * config_.dht.lookup_deadline;
  (void)fabric_.run_until([&] { return open_ == 0; }, fabric_.now() + patience);
  look_away();
  return std::exchange(measured_, {});
}

void DhtWorld::put_all(const std::vector<MeasuredValue>& values, Duration span) {
  getting_.clear();
  open_ = values.size();
  look_on();
  for (std::size_t i = 0; i < values.size(); ++i) {
    fabric_.after(span * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(values.size()),
                  [this, i, &values] {
                    const PeerHandle origin = random_honest();
                    const MeasuredValue& value = values[i];
                    const auto query = fabric_.command(origin, [&](DhtActor& actor, Instant now) {
                      return actor.dht().put(now, value.kind, value.key, value.bytes);
                    });
                    if (query) getting_[key_of(origin, *query)] = i;
                    if (!query) --open_;
                  });
  }
  const Duration patience = span + 4 * config_.dht.lookup_deadline;
  (void)fabric_.run_until([&] { return open_ == 0; }, fabric_.now() + patience);
  look_away();
  getting_.clear();
}

void DhtWorld::get_all(std::vector<MeasuredValue>& values, Duration span) {
  getting_.clear();
  open_ = values.size();
  look_on();
  values_ = &values;
  for (std::size_t i = 0; i < values.size(); ++i) {
    fabric_.after(span * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(values.size()),
                  [this, i, &values] {
                    values[i].origin = random_honest();
                    beginning_ = i;
                    const auto query =
                        fabric_.command(values[i].origin, [&](DhtActor& actor, Instant now) {
                          return actor.dht().get(now, values[i].kind, values[i].key);
                        });
                    if (!query) --open_;
                    if (query && beginning_) getting_[key_of(values[i].origin, *query)] = i;
                    beginning_.reset();
                  });
  }
  const Duration patience = span + 4 * config_.dht.lookup_deadline;
  (void)fabric_.run_until([&] { return open_ == 0; }, fabric_.now() + patience);
  look_away();
  values_ = nullptr;
  getting_.clear();
}

void DhtWorld::look_on() {
  fabric_.set_sink([this](PeerHandle peer, dht::Event event) { on_event(peer, std::move(event)); });
  fabric_.set_tap([this](PeerHandle from, PeerHandle to,
                         const dht::Message& message) { on_message(from, to, message); },
                  [this](PeerHandle, PeerHandle to, const dht::Message& message) {
                    return concerns_measured(to, message);
                  });
}

void DhtWorld::look_away() {
  fabric_.set_sink({});
  fabric_.set_tap({});
}

/// Whether `on_message` may have to do with it. Asked by several threads at once.
bool DhtWorld::concerns_measured(PeerHandle to, const dht::Message& message) const {
  if (const auto* found = std::get_if<dht::Found>(&message.body)) {
    return values_ != nullptr && found->bytes;
  }
  if (const auto* answer = std::get_if<dht::ExpressAnswer>(&message.body)) {
    return by_origin_.contains(to) || by_target_.contains(answer->node);
  }
  return std::holds_alternative<dht::Nodes>(message.body) && by_origin_.contains(to);
}

void DhtWorld::on_value(PeerHandle peer, const dht::Event& event) {
  const auto* put = std::get_if<dht::PutFinished>(&event);
  const auto* got = std::get_if<dht::GetDone>(&event);
  if (put == nullptr && got == nullptr) return;
  const auto getting = getting_.find(key_of(peer, put != nullptr ? put->query : got->query));
  std::size_t which = 0;
  if (getting != getting_.end()) {
    which = getting->second;
    getting_.erase(getting);
  } else if (got != nullptr && beginning_ && (*values_)[*beginning_].origin == peer) {
    which = *beginning_;  // the asker had it
    beginning_.reset();
  } else {
    return;
  }
  --open_;
  if (got == nullptr || values_ == nullptr) return;
  MeasuredValue& value = (*values_)[which];
  value.over = true;
  value.found = got->bytes && *got->bytes == value.bytes;
  value.holders = got->holders;
  value.false_values = got->false_values;
  value.cost = got->cost;
}

void DhtWorld::on_event(PeerHandle peer, dht::Event event) {
  on_value(peer, event);
  const auto* done = std::get_if<dht::FindNodeDone>(&event);
  const auto* resolved = std::get_if<dht::Resolved>(&event);
  if (done == nullptr && resolved == nullptr) return;
  const auto running = running_.find(key_of(peer, done != nullptr ? done->query : resolved->query));
  if (running == running_.end()) return;
  const std::size_t which = running->second;
  running_.erase(running);
  MeasuredLookup& lookup = measured_[which];
  if (lookup.taken || lookup.is_void) return;
  lookup.found = (done != nullptr ? done->end : resolved->end) == dht::LookupEnd::found &&
                 (resolved == nullptr || resolved->node == lookup.target);
  lookup.cost = done != nullptr ? done->cost : resolved->cost;
  lookup.by_express = resolved != nullptr && resolved->by_express;
  if (lookup.answerer != no_peer) {
    lookup.to_answerer = fabric_.network().rtt(lookup.origin, lookup.answerer);
  }
  close_lookup(which);
}

/// Which version of a value its reader hears first.
void DhtWorld::on_value_message(PeerHandle to, const dht::Message& message) {
  const auto* found = std::get_if<dht::Found>(&message.body);
  if (found == nullptr || !found->bytes) return;
  for (MeasuredValue& value : *values_) {
    if (value.origin != to || value.over || value.first_was_older) continue;
    if (*found->bytes == value.bytes) value.first_was_older = false;
    if (*found->bytes == value.older) value.first_was_older = true;
  }
}

/// Finds out who gave the answer that a lookup is about to end with.
void DhtWorld::on_message(PeerHandle from, PeerHandle to, const dht::Message& message) {
  if (values_ != nullptr) on_value_message(to, message);
  if (open_ == 0 || by_origin_.empty()) return;
  if (const auto* answer = std::get_if<dht::ExpressAnswer>(&message.body)) {
    if (const auto asker = by_origin_.find(to); asker != by_origin_.end()) {
      MeasuredLookup& lookup = measured_[asker->second];
      if (!lookup.first_express_false && answer->node != no_peer) {
        lookup.first_express_false = answer->node != lookup.target;
      }
    }
    const auto which = by_target_.find(answer->node);
    if (which == by_target_.end()) return;
    const auto key = [&](PeerHandle carrier) {
      return std::uint64_t{static_cast<std::uint32_t>(answer->node)} << 32U |
             static_cast<std::uint32_t>(carrier);
    };
    const auto carried = carried_.find(key(from));
    const PeerHandle answerer = carried == carried_.end() ? from : carried->second;
    if (to == measured_[which->second].origin) {
      measured_[which->second].answerer = answerer;
    } else {
      carried_[key(to)] = answerer;
    }
    return;
  }
  const auto which = by_origin_.find(to);
  if (which == by_origin_.end()) return;
  MeasuredLookup& lookup = measured_[which->second];
  const auto* nodes = std::get_if<dht::Nodes>(&message.body);
  if (nodes == nullptr) return;
  const bool ends = config_.ask == Ask::node ? from == lookup.target
                                             : std::ranges::count(nodes->nodes, lookup.target) != 0;
  if (ends) lookup.answerer = from;
}

DhtWorld::Census DhtWorld::census() const {
  Census sum;
  for (const PeerHandle peer : live_) {
    const dht::DhtCore& core = fabric_.core(peer).dht();
    sum.contacts += static_cast<double>(core.table().contacts().size());
    for (const dht::Contact& contact : core.table().contacts())
      sum.dead_contacts += fabric_.runs(contact.peer) ? 0 : 1;
    sum.connections += static_cast<double>(fabric_.ends(peer).size());
    sum.tiers += core.tiers().count;
    sum.k += core.adaptation().k();
    sum.alpha += core.adaptation().alpha();
    sum.core_bytes += static_cast<double>(sizeof(dht::DhtCore) + core.memory());
  }
  const double nodes = static_cast<double>(std::max<std::size_t>(1, live_.size()));
  sum.contacts /= nodes;
  sum.dead_contacts /= nodes;
  sum.connections /= nodes;
  sum.tiers /= nodes;
  sum.k /= nodes;
  sum.alpha /= nodes;
  sum.core_bytes /= nodes;
  sum.fabric_bytes = static_cast<double>(fabric_.memory()) / nodes;
  return sum;
}

void DhtWorld::add_captured(Captured& sum, PeerHandle peer) const {
  const dht::RoutingTable& table = fabric_.core(peer).dht().table();
  std::unordered_map<std::uint32_t, std::size_t> in_table;
  for (unsigned bucket = 0; bucket < table.bucket_count(); ++bucket) {
    std::unordered_map<std::uint32_t, std::size_t> in_bucket;
    for (const dht::Contact& contact : table.live(bucket)) {
      const bool hostile = is_hostile(contact.peer);
      sum.contacts += hostile ? 1 : 0;
      (contact.near_half != 0 ? sum.near_half : sum.random_half) += hostile ? 1 : 0;
      ++(contact.near_half != 0 ? sum.all_near : sum.all_random);
      if (!fabric_.runs(contact.peer)) ++sum.dead;
      const auto group = static_cast<std::uint32_t>(book_->group(contact.peer));
      sum.most_of_a_group_in_bucket = std::max(sum.most_of_a_group_in_bucket, ++in_bucket[group]);
      sum.most_of_a_group_in_table = std::max(sum.most_of_a_group_in_table, ++in_table[group]);
    }
  }
}

DhtWorld::Captured DhtWorld::shares(Captured sum) {
  const auto percent = [](double part, std::size_t all) {
    return 100 * part / static_cast<double>(std::max<std::size_t>(1, all));
  };
  sum.contacts = percent(sum.contacts, sum.all_near + sum.all_random);
  sum.near_half = percent(sum.near_half, sum.all_near);
  sum.random_half = percent(sum.random_half, sum.all_random);
  return sum;
}

DhtWorld::Captured DhtWorld::captured() const {
  Captured sum;
  for (const PeerHandle peer : live_)
    if (!is_hostile(peer)) add_captured(sum, peer);
  return shares(sum);
}

DhtWorld::Captured DhtWorld::captured(PeerHandle peer) const {
  Captured sum;
  add_captured(sum, peer);
  return shares(sum);
}

}  // namespace quicmesh::sim
