#include "sim/dht_world.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace quicmesh::sim {
namespace {

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
      client_config_(config.dht),
      rng_(Rng(config.seed).fork("world")),
      churn_rng_(rng_.fork("churn")),
      book_(std::make_unique<PeerBook>(std::max(ids_min, ids_per_node * config.nodes),
                                       rng_.fork("salt").next())),
      fabric_({.seed = config.seed, .loss = config.loss, .tier_period = config.tier_period},
              std::move(model),
              [this](PeerHandle peer, dht::Event event) { on_event(peer, std::move(event)); }) {
  client_config_.server = false;
}

DhtWorld::~DhtWorld() = default;

PeerHandle DhtWorld::add_peer() {
  NodeId id;
  rng_.fill(id.bytes);
  const PeerHandle peer = book_->intern(id);
  QM_ASSERT(peer != no_peer && index(peer) == clients_.size());
  // Nobody shares a network with anybody, but the limits are kept.
  book_->set_group(peer, DiversityGroup{static_cast<std::uint32_t>(peer) + 1});
  const bool client = happens(rng_, config_.clients);
  DrawnSide side;
  while (client && side.nats.empty())
    side = draw_side(rng_);
  fabric_.network().add(peer, fabric_.network().draw_place(rng_), nat_class(side));
  clients_.push_back(client);
  live_at_.push_back(nowhere);
  return peer;
}

bool DhtWorld::is_client(PeerHandle peer) const {
  return clients_[index(peer)];
}

void DhtWorld::start_node(PeerHandle peer) {
  live_at_[index(peer)] = static_cast<std::uint32_t>(live_.size());
  live_.push_back(peer);
  fabric_.start_core(peer, std::make_unique<dht::DhtCore>(
                               fabric_.now(), is_client(peer) ? client_config_ : config_.dht,
                               *book_, peer, rng_.fork("core " + std::to_string(index(peer)))));
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
    --open_;
  }
}

PeerHandle DhtWorld::random_live() {
  return live_[rng_.below(live_.size())];
}

void DhtWorld::make_full() {
  std::vector<std::pair<std::uint64_t, PeerHandle>> sorted;
  for (std::size_t i = 0; i < config_.nodes; ++i) {
    const PeerHandle peer = add_peer();
    if (!is_client(peer)) sorted.emplace_back(prefix_of(book_->id(peer)), peer);
    start_node(peer);
  }
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
  fabric_.command(peer, [&](dht::DhtCore& core, Instant now) {
    for (const PeerHandle other : met)
      if (other != peer) core.adopt(now, other, fabric_.network().rtt(peer, other));
  });
  const auto contacts = fabric_.core(peer).table().contacts();
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
  fabric_.command(peer, [&](dht::DhtCore& core, Instant now) { core.bootstrap(now, known); });
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
    fabric_.run_until(begin + span / static_cast<std::int64_t>(count) * step);
    if (live_.size() < 2) return;
    const PeerHandle origin = live_[i % live_.size()];
    const PeerHandle target = random_live();
    if (is_client(target)) continue;
    fabric_.command(origin, [&](dht::DhtCore& core, Instant now) {
      return core.find_node(now, DhtKey::of(book_->id(target)), {.until_found = true});
    });
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

void DhtWorld::begin_lookup(std::size_t index_of_lookup) {
  MeasuredLookup& lookup = measured_[index_of_lookup];
  if (live_.size() < 2) return;
  const auto is_connected = [&](PeerHandle origin, PeerHandle target) {
    return std::ranges::any_of(fabric_.ends(origin),
                               [&](const PeerEnd& end) { return end.peer == target; });
  };
  do {
    lookup.origin = random_live();
    lookup.target = random_live();
  } while (lookup.origin == lookup.target || is_client(lookup.target) ||
           is_connected(lookup.origin, lookup.target));
  lookup.begun = fabric_.now();
  lookup.direct = fabric_.network().rtt(lookup.origin, lookup.target);
  const PeerHandle origin = lookup.origin;
  fabric_.command(origin, [&](dht::DhtCore& core, Instant now) {
    const auto query = core.find_node(now, DhtKey::of(book_->id(measured_[index_of_lookup].target)),
                                      {.until_found = true});
    if (query) running_[key_of(origin, *query)] = index_of_lookup;
    if (!query) {
      measured_[index_of_lookup].taken = Duration{};
      --open_;
    }
  });
}

std::vector<MeasuredLookup> DhtWorld::measure(std::size_t count, Duration span) {
  measured_.assign(count, {});
  running_.clear();
  open_ = count;
  for (std::size_t i = 0; i < count; ++i) {
    fabric_.after(span * static_cast<std::int64_t>(i) / static_cast<std::int64_t>(count),
                  [this, i] { begin_lookup(i); });
  }
  const Duration patience = span + 3 * config_.dht.lookup_deadline;
  (void)fabric_.run_until([&] { return open_ == 0; }, fabric_.now() + patience);
  return std::exchange(measured_, {});
}

void DhtWorld::on_event(PeerHandle peer, dht::Event event) {
  const auto* done = std::get_if<dht::FindNodeDone>(&event);
  if (done == nullptr) return;
  const auto running = running_.find(key_of(peer, done->query));
  if (running == running_.end()) return;
  const std::size_t which = running->second;
  running_.erase(running);
  if (which >= measured_.size()) return;
  MeasuredLookup& lookup = measured_[which];
  if (lookup.taken || lookup.is_void) return;
  lookup.taken = fabric_.now() - lookup.begun;
  lookup.found = done->end == dht::LookupEnd::found;
  lookup.cost = done->cost;
  --open_;
}

DhtWorld::Census DhtWorld::census() const {
  Census sum;
  for (const PeerHandle peer : live_) {
    const dht::DhtCore& core = fabric_.core(peer);
    sum.contacts += static_cast<double>(core.table().live_count());
    for (const dht::Contact& contact : core.table().contacts())
      sum.dead_contacts += fabric_.runs(contact.peer) ? 0 : 1;
    sum.connections += static_cast<double>(fabric_.ends(peer).size());
    sum.tiers += core.tiers().count;
    sum.core_bytes += static_cast<double>(sizeof(dht::DhtCore) + core.memory());
  }
  const double nodes = static_cast<double>(std::max<std::size_t>(1, live_.size()));
  sum.contacts /= nodes;
  sum.dead_contacts /= nodes;
  sum.connections /= nodes;
  sum.tiers /= nodes;
  sum.core_bytes /= nodes;
  sum.fabric_bytes = static_cast<double>(fabric_.memory()) / nodes;
  return sum;
}

}  // namespace quicmesh::sim
