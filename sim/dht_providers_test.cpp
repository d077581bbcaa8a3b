// Providers of one popular key in a DHT of simulated nodes: where their records come to lie, that
// they are found, and who cannot hinder it.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <set>
#include <vector>

#include "base/checked.hpp"
#include "dht/provider_record.hpp"
#include "sim/dht_actor.hpp"
#include "sim/peer_fabric.hpp"

namespace quicmesh::sim {
namespace {

constexpr WallTime first_day{1'790'000'000};

Keypair keypair(std::uint32_t number) {
  return Keypair::from_seed(
      {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8), 0x71});
}

struct Search {
  std::set<NodeId> met;
  bool over = false;
  dht::FindProvidersDone done;
};

/// Nodes with keys and full tables, in the cities of the world. The last ones are hostile, and
/// their ids may be ground around a key.
class ProviderWorld {
 public:
  ProviderWorld(std::size_t nodes, std::size_t hostile, Hostility hostility, bool sloppy = true,
                std::optional<DhtKey> ground_around = {})
      : rng_(29),
        fabric_({.seed = 29}, LatencyModel::cities(),
                [this](PeerHandle peer, dht::Event event) { on_event(peer, event); }) {
    config_.records_needed = false;
    config_.sloppy = sloppy;
    conspiracy_.hostility = hostility;
    for (std::size_t i = 0; i < nodes; ++i) {
      const auto number = static_cast<std::uint32_t>(i);
      NodeId id = keypair(number).node_id();
      if (i >= nodes - hostile && ground_around) {
        std::copy_n(ground_around->bytes.begin(), 3, id.bytes.begin());
      }
      const PeerHandle peer = book_.intern(id);
      book_.set_group(peer, DiversityGroup{number + 1});
      fabric_.network().add(peer, fabric_.network().draw_place(rng_), NatClass{});
      if (i >= nodes - hostile) conspiracy_.named.push_back(peer);
    }
    conspiracy_.sort(book_);
    for (std::size_t i = 0; i < nodes; ++i) {
      const PeerHandle peer = peer_number(i);
      auto actor = std::make_unique<DhtActor>(fabric_.now(), config_, book_, peer,
                                              rng_.fork("core " + std::to_string(i)),
                                              i >= nodes - hostile ? &conspiracy_ : nullptr);
      actor->dht().set_wall_time(fabric_.now(), first_day);
      fabric_.start_core(peer, std::move(actor));
    }
    for (std::size_t i = 0; i < nodes; ++i)
      fill_table(peer_number(i), nodes);
  }

  static PeerHandle peer_number(std::size_t number) {
    return PeerHandle{static_cast<std::uint32_t>(number)};
  }
  [[nodiscard]] const dht::DhtCore& core(std::size_t number) const {
    return fabric_.core(peer_number(number)).dht();
  }
  [[nodiscard]] std::size_t size() const { return book_.size(); }
  [[nodiscard]] PeerHandle find(const NodeId& id) const { return book_.find(id); }

  /// Each of these provides the key, one after the other.
  void provide(std::size_t first, std::size_t count, const DhtKey& key, Duration apart = 300ms) {
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t number = first + i;
      fabric_.after(apart * static_cast<std::int64_t>(i),
                    [this, number, key] { provide_now(number, key); });
    }
    run(apart * static_cast<std::int64_t>(count) + 30s);
  }
  void provide_now(std::size_t number, const DhtKey& key) {
    const auto seconds = (fabric_.now() - PeerFabric<DhtActor>::start) / 1s;
    const WallTime expiry{saturating_add(std::to_underlying(first_day), seconds + 3 * 3600)};
    const auto record =
        dht::make_provider_record(keypair(static_cast<std::uint32_t>(number)),
                                  {.key = key, .sequence = ++sequence_, .expiry = expiry});
    const auto query = fabric_.command(peer_number(number), [&](DhtActor& actor, Instant now) {
      return actor.dht().provide(now, record);
    });
    EXPECT_TRUE(query);
  }

  Search search(std::size_t number, const DhtKey& key, std::size_t wanted) {
    search_ = {};
    searcher_ = peer_number(number);
    EXPECT_TRUE(fabric_.command(searcher_, [&](DhtActor& actor, Instant now) {
      return actor.dht().find_providers(now, key, wanted);
    }));
    (void)fabric_.run_until([&] { return search_.over; }, fabric_.now() + 60s);
    EXPECT_TRUE(search_.over);
    return search_;
  }

  void run(Duration span) {
    (void)fabric_.run_until([] { return false; }, fabric_.now() + span);
  }

  /// How many records of `key` each of the `count` nodes nearest to it has.
  std::vector<std::size_t> load(const DhtKey& key, std::size_t count) const {
    std::vector<std::size_t> numbers(size());
    std::iota(numbers.begin(), numbers.end(), 0);
    std::ranges::sort(numbers, {}, [&](std::size_t number) {
      return distance(key, DhtKey::of(book_.id(peer_number(number))));
    });
    numbers.resize(std::min(count, numbers.size()));
    std::vector<std::size_t> records;
    for (const std::size_t number : numbers)
      records.push_back(core(number).providers().size_of(key));
    return records;
  }

  unsigned provided = 0;  // and kept by somebody
  unsigned nowhere = 0;   // kept by nobody

 private:
  void fill_table(PeerHandle peer, std::size_t nodes) {
    fabric_.command(peer, [&](DhtActor& actor, Instant now) {
      for (std::size_t i = 0; i < nodes; ++i) {
        const PeerHandle other = peer_number(rng_.below(nodes));
        if (other != peer) actor.dht().adopt(now, other, fabric_.network().rtt(peer, other));
      }
    });
  }

  void on_event(PeerHandle peer, const dht::Event& event) {
    if (const auto* done = std::get_if<dht::ProvideDone>(&event)) {
      ++(done->stored > 0 ? provided : nowhere);
    }
    if (peer != searcher_) return;
    if (const auto* met = std::get_if<dht::ProviderFound>(&event)) {
      search_.met.insert(met->provider);
    }
    if (const auto* done = std::get_if<dht::FindProvidersDone>(&event)) {
      search_.done = *done;
      search_.over = true;
    }
  }

  dht::Config config_;
  Rng rng_;
  PeerBook book_{10'000, 3};
  Conspiracy conspiracy_;
  PeerFabric<DhtActor> fabric_;
  std::uint64_t sequence_ = 0;
  Search search_;
  PeerHandle searcher_ = no_peer;
};

DhtKey some_key() {
  return dht::provider_key(as_bytes("a popular thing"));
}

// TD8: the nearest bear what they can, the others the rest, and nobody is lost.
TEST(DhtProviders, of_a_popular_key_spread_outwards) {
  constexpr std::size_t providers = 300;
  ProviderWorld sloppy(600, 0, Hostility::none);
  sloppy.provide(0, providers, some_key());
  EXPECT_EQ(sloppy.provided + sloppy.nowhere, providers);
  EXPECT_LE(sloppy.nowhere, providers / 50);
  const auto loads = sloppy.load(some_key(), 600);
  EXPECT_EQ(*std::ranges::max_element(loads), dht::ProviderStore::records_of_key_max);
  EXPECT_GE(std::accumulate(loads.begin() + 20, loads.end(), std::size_t{0}), providers);
  std::size_t met = 0;
  for (std::size_t reader = 400; reader < 420; ++reader) {
    const Search some = sloppy.search(reader, some_key(), 12);
    EXPECT_EQ(some.done.end, dht::LookupEnd::found);
    met += sloppy.search(reader, some_key(), 256).met.size();
  }
  EXPECT_GT(met, 20U * 90U);

  // Without it most find no room, and less is found.
  ProviderWorld strict(600, 0, Hostility::none, false);
  strict.provide(0, providers, some_key());
  EXPECT_GT(strict.nowhere, providers / 2);
  std::size_t met_strict = 0;
  for (std::size_t reader = 400; reader < 420; ++reader)
    met_strict += strict.search(reader, some_key(), 256).met.size();
  EXPECT_LT(met_strict, met);
}

// One node in ten says that it is full, or lies about everything, or tells forged providers; and
// the control, in which all do.
TEST(DhtProviders, are_found_though_a_tenth_of_all_is_hostile) {
  for (const Hostility hostility :
       {Hostility::always_full, Hostility::lying, Hostility::forging, Hostility::silent}) {
    ProviderWorld world(400, 40, hostility);
    world.provide(0, 6, some_key());
    EXPECT_EQ(world.provided, 6U);
    unsigned all = 0;
    unsigned lies = 0;
    for (std::size_t reader = 100; reader < 120; ++reader) {
      const Search search = world.search(reader, some_key(), 6);
      all += search.met.size() == 6 ? 1 : 0;
      lies += search.done.false_records;
      for (const NodeId& id : search.met)
        EXPECT_LT(std::to_underlying(world.find(id)), 6U);
    }
    EXPECT_GE(all, 19U) << int(hostility);
    EXPECT_EQ(lies > 0, hostility == Hostility::forging) << int(hostility);
  }
  ProviderWorld lost(400, 390, Hostility::lying);
  lost.provide(0, 6, some_key());
  unsigned all = 0;
  for (std::size_t reader = 6; reader < 10; ++reader)
    all += lost.search(reader, some_key(), 6).met.size() == 6 ? 1 : 0;
  EXPECT_LT(all, 4U);
}

// TD1, TD2: whoever lies swears to keep records, and knows none.
TEST(DhtProviders, are_found_though_ids_were_ground_around_their_key) {
  for (const Hostility hostility : {Hostility::lying, Hostility::silent}) {
    ProviderWorld world(600, 45, hostility, true, some_key());
    world.provide(0, 6, some_key());
    unsigned all = 0;
    for (std::size_t reader = 100; reader < 120; ++reader)
      all += world.search(reader, some_key(), 6).met.size() == 6 ? 1 : 0;
    EXPECT_GE(all, 19U) << int(hostility);
  }
}

// TD8
TEST(DhtProviders, one_who_floods_keeps_nobody_from_providing) {
  ProviderWorld world(20, 0, Hostility::none);
  for (int i = 0; i < 1'200; ++i) {
    world.provide_now(0, dht::provider_key(as_bytes("flood " + std::to_string(i))));
    world.run(400ms);
  }
  world.run(60s);
  std::uint64_t refused = 0;
  for (std::size_t number = 0; number < world.size(); ++number) {
    EXPECT_LE(world.core(number).providers().size(), dht::ProviderStore::records_of_provider_max);
    refused += world.core(number).providers().refused();
  }
  EXPECT_GT(refused, 0U);
  world.provide(1, 1, some_key());
  EXPECT_EQ(world.search(5, some_key(), 3).met, std::set{keypair(1).node_id()});
}

}  // namespace
}  // namespace quicmesh::sim
