// Provider records by themselves, the store, and a network of nodes that provide and look.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "dht/network_for_tests.hpp"
#include "dht/provider_record.hpp"
#include "dht/provider_store.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh::dht {
namespace {

constexpr WallTime today{1'800'000'000};
constexpr Instant start_of_day{50h};

WallTime later(WallTime time, Duration by) {
  return WallTime{std::to_underlying(time) + by / 1s};
}

Keypair keypair(std::uint32_t number) {
  return Keypair::from_seed(
      {static_cast<std::uint8_t>(number), static_cast<std::uint8_t>(number >> 8), 0x9b});
}

DhtKey some_key(std::string_view name = "content") {
  return provider_key(as_bytes(name));
}

ProviderRecord record_of(std::uint32_t number, const DhtKey& key, Duration lifetime = 3h,
                         std::uint64_t sequence = 1) {
  return make_provider_record(keypair(number),
                              {.key = key, .sequence = sequence, .expiry = later(today, lifetime)});
}

Result<CheckedProvider> judge(ByteView record, std::optional<WallTime> now = today) {
  DirectVerifier verifier;
  return check_provider(verifier, now, record);
}

// Records.

TEST(ProviderRecord, says_who_provides_what_and_for_how_long) {
  const auto record = record_of(1, some_key(), 3h, 77);
  const auto checked = judge(record);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->key, some_key());
  EXPECT_EQ(checked->provider, keypair(1).node_id());
  EXPECT_EQ(checked->sequence, 77U);
  EXPECT_GE(checked->lifetime, 3h);
  EXPECT_LE(checked->lifetime, 3h + clock_tolerance);
  EXPECT_EQ(provider_of(record), keypair(1).node_id());
}

// S1.67
TEST(ProviderRecord, one_that_was_changed_is_refused) {
  auto record = record_of(1, some_key());
  for (std::size_t i = 0; i < record.size(); ++i) {
    record[i] ^= 0x10;
    EXPECT_FALSE(judge(record)) << i;
    record[i] ^= 0x10;
  }
  EXPECT_TRUE(judge(record));
  EXPECT_EQ(judge(ByteView(record).first(record.size() - 1)).error(), DhtErrc::malformed_provider);
  Bytes longer = to_bytes(record);
  longer.push_back(0);
  EXPECT_EQ(judge(longer).error(), DhtErrc::malformed_provider);
  const auto other_domain = sign_record(keypair(1), SignatureDomain::dht_value,
                                        ByteView(record).subspan(signed_record_overhead));
  EXPECT_EQ(judge(*other_domain).error(), IdentityErrc::record_signature);
}

// TD6, TD7
TEST(ProviderRecord, clocks_may_be_five_minutes_apart_and_no_more) {
  EXPECT_TRUE(judge(record_of(1, some_key(), -4min)));
  EXPECT_EQ(judge(record_of(1, some_key(), -6min)).error(), DhtErrc::provider_expired);
  EXPECT_TRUE(judge(record_of(1, some_key(), 24h + 4min)));
  EXPECT_EQ(judge(record_of(1, some_key(), 24h + 4min))->lifetime, provider_lifetime_max);
  EXPECT_EQ(judge(record_of(1, some_key(), 24h + 6min)).error(), DhtErrc::provider_from_the_future);
  EXPECT_TRUE(judge(record_of(1, some_key(), 1h, sequence_of(later(today, 4min)))));
  EXPECT_EQ(judge(record_of(1, some_key(), 1h, sequence_of(later(today, 6min)))).error(),
            DhtErrc::provider_from_the_future);
  EXPECT_EQ(judge(record_of(1, some_key()), std::nullopt).error(), DhtErrc::no_wall_time);
}

// TD12
TEST(ProviderRecord, stands_under_a_hash_of_what_is_provided) {
  const Bytes content(32, 7);
  EXPECT_NE(to_bytes(provider_key(content).bytes), content);
  EXPECT_NE(provider_key(content), provider_key(Bytes(32, 8)));
}

// The store, which trusts what was checked before.

struct Keeper {
  ProviderStore store;
  Rng rng{5};
  Instant now = start_of_day;

  static NodeId id(std::uint32_t number) {
    NodeId id;
    for (std::size_t i = 0; i < 4; ++i)
      id.bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
    return id;
  }
  static DhtKey key(std::uint32_t number) { return DhtKey::of(id(number)); }

  PutStatus put(const DhtKey& key, std::uint32_t provider, std::uint32_t group = 0,
                Duration lifetime = 3h, std::uint64_t sequence = 1) {
    ProviderRecord record{};
    std::ranges::copy(id(provider).bytes, record.begin());
    return store.put(now, {.checked = {key, id(provider), sequence, lifetime},
                           .record = record,
                           .group = DiversityGroup{group}});
  }
  std::set<Bytes> all(const DhtKey& key, const NodeId& asker = {}) {
    const auto records = store.some(now, key, 1000, asker, rng);
    return {records.begin(), records.end()};
  }
  bool has(const DhtKey& key, std::uint32_t provider) {
    return std::ranges::any_of(all(key), [&](const Bytes& record) {
      return std::ranges::equal(id(provider).bytes, ByteView(record).first(NodeId::size));
    });
  }
};

// What needs no signature's check to be judged: each check costs the reader more than the sender.
TEST(ProviderStore, knows_what_it_holds_and_whose_share_is_gone) {
  Keeper keeper;
  const Bytes held = to_bytes(record_of(1, Keeper::key(9)));
  const CheckedProvider checked{Keeper::key(9), provider_of(held), 1, 3h};
  constexpr DiversityGroup none = DiversityGroup::not_public;
  EXPECT_EQ(keeper.store.put_unchecked(keeper.now, held, none), std::nullopt);
  EXPECT_EQ(keeper.store.put(keeper.now, {.checked = checked, .record = held}), PutStatus::stored);
  EXPECT_EQ(keeper.store.put_unchecked(keeper.now, held, none), PutStatus::stored);
  Bytes forged = held;
  forged.back() ^= 1;
  EXPECT_EQ(keeper.store.put_unchecked(keeper.now, forged, none), std::nullopt) << "to be checked";
  EXPECT_EQ(keeper.store.put_unchecked(keeper.now + 4h, held, none), std::nullopt);
  constexpr std::uint32_t group = 7;
  for (std::uint32_t i = 0; i < ProviderStore::records_of_group_max; ++i)
    EXPECT_EQ(keeper.put(Keeper::key(100 + i), 100 + i, group), PutStatus::stored);
  const Bytes another = to_bytes(record_of(2, Keeper::key(9)));
  EXPECT_EQ(keeper.store.put_unchecked(keeper.now, another, DiversityGroup{group}),
            PutStatus::over_quota);
  EXPECT_EQ(keeper.store.put_unchecked(keeper.now, another, DiversityGroup{8}), std::nullopt);
}

TEST(ProviderStore, gives_some_at_random_and_nobody_himself) {
  Keeper keeper;
  for (std::uint32_t provider = 1; provider <= 40; ++provider)
    EXPECT_EQ(keeper.put(Keeper::key(9), provider), PutStatus::stored);
  std::set<Bytes> seen;
  for (int i = 0; i < 60; ++i) {
    const auto some = keeper.store.some(keeper.now, Keeper::key(9), 8, Keeper::id(7), keeper.rng);
    EXPECT_EQ(some.size(), 8U);
    EXPECT_EQ(std::set(some.begin(), some.end()).size(), 8U);
    seen.insert(some.begin(), some.end());
  }
  EXPECT_EQ(seen.size(), 39U);
  EXPECT_TRUE(keeper.has(Keeper::key(9), 7));
  EXPECT_TRUE(keeper.all(Keeper::key(8)).empty());
}

// TD8
TEST(ProviderStore, a_key_has_its_bound_and_so_have_a_provider_and_a_network) {
  Keeper keeper;
  for (std::uint32_t provider = 1; provider <= ProviderStore::records_of_key_max; ++provider) {
    EXPECT_FALSE(keeper.store.is_full(keeper.now, Keeper::key(1)));
    EXPECT_EQ(keeper.put(Keeper::key(1), provider), PutStatus::stored);
  }
  EXPECT_TRUE(keeper.store.is_full(keeper.now, Keeper::key(1)));
  EXPECT_EQ(keeper.put(Keeper::key(1), 999), PutStatus::full);
  EXPECT_EQ(keeper.put(Keeper::key(1), 1, 0, 3h, 2), PutStatus::stored);  // renewed

  std::uint32_t stored = 0;
  for (std::uint32_t key = 100; key < 1300; ++key)
    stored += keeper.put(Keeper::key(key), 5000) == PutStatus::stored ? 1U : 0U;
  EXPECT_EQ(stored, ProviderStore::records_of_provider_max);
  EXPECT_EQ(keeper.put(Keeper::key(1299), 5000), PutStatus::over_quota);

  stored = 0;
  for (std::uint32_t i = 0; i < 5000; ++i)
    stored += keeper.put(Keeper::key(10'000 + i), 6000 + i / 10, 77) == PutStatus::stored ? 1U : 0U;
  EXPECT_EQ(stored, ProviderStore::records_of_group_max);
  EXPECT_EQ(keeper.store.refused(), 1U + 201U + 1000U);
  EXPECT_EQ(keeper.store.size(), ProviderStore::records_of_key_max + 1000U + 4000U);
  // What has expired frees its owners' shares.
  keeper.now += 4h;
  keeper.store.handle_timeout(keeper.now);
  EXPECT_EQ(keeper.store.size(), 0U);
  EXPECT_EQ(keeper.store.poll_timeout(), never);
  EXPECT_EQ(keeper.put(Keeper::key(1299), 5000, 77), PutStatus::stored);
}

TEST(ProviderStore, who_does_not_come_again_gives_way_to_a_newcomer) {
  Keeper keeper;
  for (std::uint32_t provider = 1; provider <= 64; ++provider)
    keeper.put(Keeper::key(1), provider);
  keeper.now += 80min;
  EXPECT_EQ(keeper.put(Keeper::key(1), 100), PutStatus::full);
  for (std::uint32_t provider = 1; provider <= 63; ++provider)
    EXPECT_EQ(keeper.put(Keeper::key(1), provider, 0, 3h, 2), PutStatus::stored);
  keeper.now += 20min;
  EXPECT_EQ(keeper.put(Keeper::key(1), 100), PutStatus::stored);
  EXPECT_FALSE(keeper.has(Keeper::key(1), 64));
  // However long a newcomer would stay.
  EXPECT_EQ(keeper.put(Keeper::key(1), 101, 0, 24h), PutStatus::full);
  EXPECT_EQ(keeper.store.replaced(), 1U);
}

// TD8
TEST(ProviderStore, one_network_does_not_fill_a_key) {
  Keeper keeper;
  for (std::uint32_t provider = 1; provider <= 60; ++provider)
    keeper.put(Keeper::key(1), provider, 7, provider == 33 ? 2h : 3h);
  for (std::uint32_t provider = 61; provider <= 64; ++provider)
    keeper.put(Keeper::key(1), provider, provider);
  EXPECT_EQ(keeper.put(Keeper::key(1), 100, 100), PutStatus::stored);
  EXPECT_FALSE(keeper.has(Keeper::key(1), 33));  // the first to expire of those
  EXPECT_EQ(keeper.put(Keeper::key(1), 101, 7), PutStatus::full);
  unsigned others = 0;
  for (std::uint32_t provider = 200; provider < 400; ++provider)
    others += keeper.put(Keeper::key(1), provider, provider) == PutStatus::stored ? 1U : 0U;
  EXPECT_EQ(others, 58U);  // all but one of group 7 have given way
  EXPECT_TRUE(keeper.has(Keeper::key(1), 61));
  EXPECT_EQ(keeper.store.size(), 64U);
}

// TD6
TEST(ProviderStore, an_older_record_never_comes_back) {
  Keeper keeper;
  EXPECT_EQ(keeper.put(Keeper::key(1), 1, 0, 1h, 10), PutStatus::stored);
  EXPECT_EQ(keeper.put(Keeper::key(1), 1, 0, 3h, 9), PutStatus::older);
  EXPECT_EQ(keeper.put(Keeper::key(1), 1, 0, 3h, 10), PutStatus::stored);  // changes nothing
  keeper.now += 61min;
  EXPECT_TRUE(keeper.all(Keeper::key(1)).empty());
}

// A network of nodes with keys, each of a network of its own.

struct ProviderNetwork : TestNetwork {
  // No refreshing: hours pass, and tables are full.
  explicit ProviderNetwork(std::uint64_t seed, std::size_t nodes = 150, bool sloppy = true)
      : TestNetwork(seed, {.express = false, .sloppy = sloppy, .refresh_interval = 1000h}) {
    for (std::uint32_t number = 0; number < nodes; ++number) {
      add(keypair(number).node_id(), &config);
      book.set_group(peer(number), DiversityGroup{number + 1});
    }
    fill_tables(20);
    for (std::size_t node = 0; node < size(); ++node)
      core(node).set_wall_time(now(), today);
    born = now();
  }
  Instant born;

  ProvideDone provide(std::size_t node, const DhtKey& key) {
    const auto record = record_of(static_cast<std::uint32_t>(node), key, now() - born + 3h);
    EXPECT_TRUE(command(node, [&](DhtCore& c) { return c.provide(now(), record); }));
    return wait_for<ProvideDone>(node);
  }

  struct Search {
    std::vector<NodeId> met;
    FindProvidersDone done;
  };
  Search search(std::size_t node, const DhtKey& key, std::size_t wanted) {
    EXPECT_TRUE(command(node, [&](DhtCore& c) { return c.find_providers(now(), key, wanted); }));
    Search search;
    for (;;) {
      const Instant until = now() + 60s;
      while (events(node).empty() && step(until)) {
      }
      if (events(node).empty()) {
        ADD_FAILURE() << "no event";
        return search;
      }
      const Event event = events(node).front();
      events(node).erase(events(node).begin());
      if (const auto* one = std::get_if<ProviderFound>(&event)) {
        search.met.push_back(one->provider);
      } else {
        search.done = std::get<FindProvidersDone>(event);
        EXPECT_EQ(search.done.found, search.met.size());
        EXPECT_EQ(std::set(search.met.begin(), search.met.end()).size(), search.met.size());
        return search;
      }
    }
  }

  std::size_t holders(const DhtKey& key) {
    std::size_t count = 0;
    for (std::size_t node = 0; node < size(); ++node)
      count += core(node).providers().size_of(key) > 0 ? 1 : 0;
    return count;
  }
  std::uint64_t false_records() {
    std::uint64_t count = 0;
    for (std::size_t node = 0; node < size(); ++node)
      count += core(node).counters().provider_records_false;
    return count;
  }
};

TEST(DhtCore, a_provider_is_found_by_all_at_the_k_nearest) {
  ProviderNetwork net(61);
  const auto done = net.provide(0, some_key());
  EXPECT_GE(done.stored, 20U);
  EXPECT_EQ(done.refused, 0U);
  for (const PeerHandle nearest : net.truly_nearest(some_key(), 15, 0))
    EXPECT_EQ(net.core(std::to_underlying(nearest)).providers().size_of(some_key()), 1U);
  for (std::size_t node = 1; node < net.size(); node += 7) {
    const auto search = net.search(node, some_key(), 4);
    EXPECT_EQ(search.met, std::vector{keypair(0).node_id()});
    EXPECT_EQ(search.done.end, LookupEnd::converged);
  }
  EXPECT_TRUE(net.search(3, some_key("another"), 4).met.empty());
  EXPECT_TRUE(net.search(0, some_key(), 4).met.empty());  // oneself
  EXPECT_EQ(net.false_records(), 0U);
}

TEST(DhtCore, a_search_ends_early_with_as_many_as_it_wants) {
  ProviderNetwork net(62);
  for (std::size_t node = 0; node < 30; ++node)
    net.provide(node, some_key());
  unsigned queries = 0;
  for (std::size_t node = 100; node < 110; ++node) {
    const auto search = net.search(node, some_key(), 6);
    EXPECT_EQ(search.done.end, LookupEnd::found);
    EXPECT_EQ(search.met.size(), 6U);
    queries += search.done.cost.queries;
  }
  EXPECT_LT(queries, 10U * 15U);
  // As many as there are, though nobody tells more than a few.
  EXPECT_EQ(net.search(120, some_key(), 256).met.size(), 30U);
}

// What providers say lasts as long as they say it again.
TEST(DhtCore, who_does_not_provide_again_is_forgotten) {
  ProviderNetwork net(63);
  net.provide(0, some_key());
  net.run_for(2h);
  net.provide(1, some_key());
  EXPECT_EQ(net.search(9, some_key(), 8).met.size(), 2U);
  net.run_for(70min);
  EXPECT_EQ(net.search(9, some_key(), 8).met, std::vector{keypair(1).node_id()});
  net.run_for(3h);
  EXPECT_TRUE(net.search(9, some_key(), 8).met.empty());
  EXPECT_EQ(net.holders(some_key()), 0U);
}

// Sloppy storage: the nearest keep 64 each, the others' records lie farther out.
TEST(DhtCore, what_the_nearest_have_no_room_for_lies_farther_out) {
  const auto run = [](bool sloppy) {
    auto net = std::make_unique<ProviderNetwork>(64, 300, sloppy);
    std::size_t somewhere = 0;
    for (std::size_t node = 0; node < 220; ++node) {
      somewhere += net->provide(node, some_key()).stored > 0 ? 1 : 0;
    }
    return std::pair(std::move(net), somewhere);
  };
  auto [net, somewhere] = run(true);
  EXPECT_GE(somewhere, 218U);
  EXPECT_GT(net->holders(some_key()), 25U);
  std::size_t most = 0;
  for (std::size_t node = 0; node < net->size(); ++node)
    most = std::max(most, net->core(node).providers().size_of(some_key()));
  EXPECT_EQ(most, 64U);
  std::size_t met = 0;
  for (std::size_t node = 250; node < 260; ++node) {
    EXPECT_EQ(net->search(node, some_key(), 16).done.end, LookupEnd::found);
    met += net->search(node, some_key(), 256).met.size();
  }
  EXPECT_GT(met, 10U * 80U);
  // Without it the nearest refuse.
  auto [strict, kept] = run(false);
  EXPECT_LT(kept, 110U);
  std::size_t met_strict = 0;
  for (std::size_t node = 250; node < 260; ++node)
    met_strict += strict->search(node, some_key(), 256).met.size();
  EXPECT_LT(met_strict, met * 3 / 4);
}

// So many of the nearest say that they are full, of `groups` networks; four others keep a record,
// which is fewer than there should be, and the rest is unwilling.
struct FullOnes {
  std::size_t asked = 0;
  std::size_t holders = 0;
  std::size_t met = 0;
  unsigned queries = 0;
};
FullOnes with_full_ones(std::size_t count, std::size_t groups) {
  ProviderNetwork net(65, 300);
  const auto nearest = net.truly_nearest(some_key(), count + 4, 0);
  const auto place = [&](std::size_t from) {
    return static_cast<std::size_t>(std::ranges::find(nearest, net.peer(from)) - nearest.begin());
  };
  for (std::size_t i = 0; i < count; ++i)
    net.book.set_group(nearest[i], DiversityGroup{static_cast<std::uint32_t>(9000 + i % groups)});
  net.twist = [&](std::size_t from, Message& message) {
    const std::size_t at = place(from);
    if (auto* answer = std::get_if<PutAnswer>(&message.body); answer != nullptr) {
      if (at < count) answer->status = PutStatus::full;
      if (at == nearest.size()) answer->status = PutStatus::unwilling;
    }
    if (auto* told = std::get_if<Providers>(&message.body)) told->full = at < count;
  };
  const auto done = net.provide(0, some_key());
  EXPECT_EQ(done.stored, 4U) << "they keep nothing from the others";
  const auto search = net.search(200, some_key(), 8);
  return {.asked = done.stored + done.refused,
          .holders = net.holders(some_key()),
          .met = search.met.size(),
          .queries = search.done.cost.queries};
}

TEST(DhtCore, one_who_always_says_full_changes_nothing) {
  const FullOnes none = with_full_ones(0, 1);
  EXPECT_EQ(none.met, 1U);
  // Two of them send nobody far away, nor do many of one network.
  for (const auto& [count, groups] : {std::pair{2U, 2U}, std::pair{8U, 2U}}) {
    const FullOnes some = with_full_ones(count, groups);
    EXPECT_LE(some.asked, none.asked) << count;
    EXPECT_LE(some.holders, none.holders) << count;
    EXPECT_EQ(some.met, 1U) << count;
    EXPECT_LE(some.queries, none.queries + 5) << count;
  }
  const FullOnes quorum = with_full_ones(3, 3);
  EXPECT_GT(quorum.asked, none.asked + 5);
  EXPECT_GT(quorum.holders, none.holders + 5);
  EXPECT_EQ(quorum.met, 1U);
  EXPECT_GT(quorum.queries, none.queries + 5);
}

// TD2
TEST(DhtCore, forged_providers_are_seen_through) {
  ProviderNetwork net(66);
  for (std::size_t node = 1; node <= 6; ++node)
    net.provide(node, some_key());
  const auto forged = [&](std::uint32_t number) {
    auto record = record_of(number, some_key());
    record.back() ^= 1;  // of the expiry
    return to_bytes(record);
  };
  net.twist = [&](std::size_t from, Message& message) {
    auto* told = std::get_if<Providers>(&message.body);
    if (told == nullptr || from % 3 != 0) return;
    told->records.clear();
    for (std::uint32_t number = 0; number < 8; ++number)
      told->records.push_back(forged(1000 + number));
  };
  unsigned lies = 0;
  for (std::size_t node = 20; node < 60; ++node) {
    const auto search = net.search(node, some_key(), 6);
    EXPECT_EQ(search.met.size(), 6U);
    for (const NodeId& id : search.met)
      EXPECT_NE(net.book.find(id), no_peer) << "a forged one";
    lies += search.done.false_records;
  }
  EXPECT_GT(lies, 0U);
}

// TD2: records that are right, of identities made for it, and more of them than are asked for.
TEST(DhtCore, one_who_stuffs_the_result_gets_his_share_alone) {
  ProviderNetwork net(67);
  for (std::size_t node = 0; node < 12; ++node)
    net.provide(node, some_key());
  const std::size_t liar = std::to_underlying(net.truly_nearest(some_key(), 1, 140)[0]);
  net.twist = [&](std::size_t from, Message& message) {
    auto* told = std::get_if<Providers>(&message.body);
    if (told == nullptr || from != liar) return;
    told->records.clear();
    for (std::uint32_t number = 0; number < 50; ++number)
      told->records.push_back(to_bytes(record_of(1000 + number, some_key())));
  };
  std::size_t stuffed = 0;
  for (std::size_t node = 100; node < 130; ++node) {
    const auto search = net.search(node, some_key(), 9);
    EXPECT_EQ(search.met.size(), 9U);
    const auto false_ones = static_cast<std::size_t>(std::ranges::count_if(
        search.met, [&](const NodeId& id) { return net.book.find(id) == no_peer; }));
    EXPECT_LE(false_ones, 3U);
    stuffed += false_ones;
  }
  EXPECT_GT(stuffed, 0U);
}

// As many as stand near the key, of one network: their share is that of one.
TEST(DhtCore, many_of_one_network_who_stuff_the_result_get_one_share) {
  ProviderNetwork net(68);
  const auto liars = net.truly_nearest(some_key(), 4, 140);
  for (std::size_t i = 0; i < liars.size(); ++i)
    net.book.set_group(liars[i], DiversityGroup{i < 2 ? 9001U : 9002U});
  for (std::size_t node = 0; node < 12; ++node)
    net.provide(node, some_key());
  net.twist = [&](std::size_t from, Message& message) {
    auto* told = std::get_if<Providers>(&message.body);
    if (told == nullptr || std::ranges::count(liars, net.peer(from)) == 0) return;
    told->records.clear();
    for (std::uint32_t number = 0; number < 20; ++number)
      told->records.push_back(
          to_bytes(record_of(1000 + 20 * static_cast<std::uint32_t>(from) + number, some_key())));
  };
  std::size_t stuffed = 0;
  for (std::size_t node = 100; node < 115; ++node) {
    const auto search = net.search(node, some_key(), 9);
    const auto false_ones = static_cast<std::size_t>(std::ranges::count_if(
        search.met, [&](const NodeId& id) { return net.book.find(id) == no_peer; }));
    EXPECT_LE(false_ones, 6U) << "two networks' share";
    EXPECT_EQ(search.met.size(), 9U);
    stuffed = std::max(stuffed, false_ones);
  }
  EXPECT_GT(stuffed, 3U);
}

std::optional<PutStatus> offer(ProviderNetwork& net, std::size_t from, std::size_t to,
                               ByteView record) {
  net.core(to).handle(
      net.now(), peer::Received<Message>{net.peer(from), {9, true, Provide{to_bytes(record)}}});
  std::optional<PutStatus> status;
  while (auto output = net.core(to).poll_output()) {
    const auto* sent = std::get_if<peer::Send<Message>>(&*output);
    const auto* answer = sent == nullptr ? nullptr : std::get_if<PutAnswer>(&sent->message.body);
    if (answer != nullptr) status = answer->status;
  }
  return status;
}

// TD8: of one's own account alone.
TEST(DhtCore, a_record_is_taken_of_its_provider_alone) {
  ProviderNetwork net(68, 10);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  EXPECT_EQ(offer(net, 1, 0, record_of(2, some_key())), PutStatus::invalid);
  auto forged = record_of(1, some_key());
  forged[60] ^= 1;
  EXPECT_EQ(offer(net, 1, 0, forged), PutStatus::invalid);
  EXPECT_EQ(offer(net, 1, 0, Bytes{1, 2, 3}), PutStatus::invalid);
  EXPECT_EQ(net.core(0).counters().provider_records_false, 3U);
  EXPECT_EQ(offer(net, 1, 0, record_of(1, some_key())), PutStatus::stored);
  net.core(0).set_server(false);
  EXPECT_EQ(offer(net, 1, 0, record_of(1, some_key())), PutStatus::unwilling);
  EXPECT_EQ(net.core(0).provide(net.now(), record_of(1, some_key())).error(),
            DhtErrc::not_the_provider);
}

// TD8
TEST(DhtCore, one_who_floods_with_records_fills_his_quota_alone) {
  ProviderNetwork net(69, 10);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  std::size_t stored = 0;
  for (int i = 0; i < 1'100; ++i) {
    net.run_for(20ms);  // no faster than he is served
    const auto status = offer(net, 1, 0, record_of(1, some_key("flood " + std::to_string(i))));
    stored += status == PutStatus::stored ? 1 : 0;
  }
  EXPECT_EQ(stored, ProviderStore::records_of_provider_max);
  net.tell(0, peer::Up{net.peer(2), 10ms});
  EXPECT_EQ(offer(net, 2, 0, record_of(2, some_key())), PutStatus::stored);
}

TEST(DhtCore, endpoint_records_of_providers_outlive_a_sweep) {
  ProviderNetwork net(70, 10);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  const PeerHandle stranger = net.book.intern(keypair(5000).node_id());
  const PeerHandle provider = net.book.intern(keypair(5001).node_id());
  net.tell(0, peer::Up{provider, 10ms});
  net.core(0).handle(net.now(),
                     peer::Received<Message>{
                         provider, {9, false, Provide{to_bytes(record_of(5001, some_key()))}}});
  while (net.core(0).poll_output()) {
  }
  net.core(0).handle(net.now(), peer::Down{provider});
  PeerBook::Sweep sweep(net.book);
  net.core(0).mark(sweep);
  (void)sweep.finish();
  EXPECT_EQ(net.book.find(keypair(5001).node_id()), provider);
  EXPECT_EQ(net.book.find(keypair(5000).node_id()), no_peer) << std::to_underlying(stranger);
}

}  // namespace
}  // namespace quicmesh::dht
