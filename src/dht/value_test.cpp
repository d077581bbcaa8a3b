#include "dht/value.hpp"

#include <gtest/gtest.h>

#include <set>

#include <limits>
#include <string>

#include "dht/network_for_tests.hpp"
#include "dht/value_store.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh::dht {
namespace {

constexpr WallTime today{1'800'000'000};
constexpr Instant start_of_day{50h};

WallTime later(WallTime time, Duration by) {
  return WallTime{std::to_underlying(time) + by / 1s};
}

Keypair owner(std::uint8_t seed = 1) {
  return Keypair::from_seed({seed});
}

Bytes signed_bytes(std::uint64_t sequence, std::string_view text, WallTime expiry,
                   const Keypair& by, std::string_view salt = "") {
  auto record = make_signed_value(
      by,
      {.sequence = sequence, .expiry = expiry, .salt = as_bytes(salt), .value = as_bytes(text)});
  EXPECT_TRUE(record);
  return *record;
}
Bytes signed_bytes(std::uint64_t sequence, std::string_view text) {
  return signed_bytes(sequence, text, later(today, 1h), owner());
}
DhtKey owners_key(std::string_view salt = "") {
  return signed_key(owner().public_key(), as_bytes(salt));
}

Result<CheckedValue> judge(const DhtKey& key, ByteView bytes, std::optional<WallTime> now = today) {
  DirectVerifier verifier;
  return check_value(verifier, now, ValueKind::signed_value, key, bytes);
}

// Values by themselves.

TEST(DhtValue, an_immutable_value_stands_under_its_hash_and_nowhere_else) {
  DirectVerifier verifier;
  const Bytes value = to_bytes("some bytes");
  DhtKey key = immutable_key(value);
  EXPECT_TRUE(check_value(verifier, {}, ValueKind::immutable, key, value));
  EXPECT_TRUE(check_value(verifier, {}, ValueKind::immutable, immutable_key(Bytes()), Bytes()));
  key.bytes[31] ^= 1;
  EXPECT_EQ(check_value(verifier, {}, ValueKind::immutable, key, value).error(),
            DhtErrc::wrong_key);
  const Bytes large(value_max + 1);
  EXPECT_EQ(check_value(verifier, {}, ValueKind::immutable, immutable_key(large), large).error(),
            DhtErrc::value_too_long);
}

TEST(DhtValue, a_signed_value_says_what_its_owner_wrote) {
  const Bytes bytes = signed_bytes(7, "hello", later(today, 1h), owner(), "salt");
  const auto checked = judge(owners_key("salt"), bytes);
  ASSERT_TRUE(checked);
  EXPECT_EQ(as_text(checked->value), "hello");
  EXPECT_EQ(checked->sequence, 7U);
  EXPECT_GE(checked->lifetime, 1h);
}

// S1.67
TEST(DhtValue, a_signed_value_that_was_changed_or_stands_elsewhere_is_refused) {
  Bytes bytes = signed_bytes(7, "hello");
  EXPECT_EQ(judge(owners_key("other"), bytes).error(), DhtErrc::wrong_key);
  EXPECT_EQ(judge(signed_key(owner(2).public_key(), {}), bytes).error(), DhtErrc::wrong_key);
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x10;
    EXPECT_FALSE(judge(owners_key(), bytes)) << i;
    EXPECT_FALSE(judge(owners_key(), ByteView(bytes).first(i))) << i;
    bytes[i] ^= 0x10;
  }
  EXPECT_TRUE(judge(owners_key(), bytes));
  bytes.back() ^= 1;
  EXPECT_EQ(judge(owners_key(), bytes).error(), IdentityErrc::record_signature);
}

TEST(DhtValue, a_record_of_another_kind_is_no_value) {
  const auto short_payload = sign_record(owner(), SignatureDomain::dht_value, Bytes{1, 2, 3});
  EXPECT_EQ(judge(owners_key(), *short_payload).error(), DhtErrc::malformed_value);
  const Bytes value = signed_bytes(7, "hello");
  const auto other_domain = sign_record(owner(), SignatureDomain::endpoint_record,
                                        ByteView(value).subspan(signed_record_overhead));
  EXPECT_EQ(judge(owners_key(), *other_domain).error(), IdentityErrc::record_signature);
}

TEST(DhtValue, values_and_salts_have_a_length_they_may_not_exceed) {
  const std::string text(value_max, 'x');
  EXPECT_TRUE(judge(owners_key(), signed_bytes(7, text)));
  EXPECT_EQ(make_signed_value(owner(), {.value = as_bytes(text + "x")}).error(),
            DhtErrc::value_too_long);
  const std::string salt(salt_max + 1, 's');
  EXPECT_EQ(make_signed_value(owner(), {.salt = as_bytes(salt)}).error(), DhtErrc::value_too_long);
  EXPECT_EQ(judge(owners_key(), Bytes(stored_value_max + 1)).error(), DhtErrc::value_too_long);
  // What its owner signed although it is too long.
  Bytes payload(17 + value_max + 1);
  payload[12] = 0x6b;  // expiry 1,800,003,584, an hour from now
  payload[13] = 0x49;
  payload[14] = 0xe0;
  const auto record = sign_record(owner(), SignatureDomain::dht_value, payload);
  EXPECT_EQ(judge(owners_key(), *record).error(), DhtErrc::value_too_long);
}

// TD6, TD7
TEST(DhtValue, clocks_may_be_five_minutes_apart_and_no_more) {
  const auto expiring = [](Duration after) {
    return judge(owners_key(), signed_bytes(7, "v", later(today, after), owner()));
  };
  EXPECT_TRUE(expiring(-4min));
  EXPECT_EQ(expiring(-6min).error(), DhtErrc::value_expired);
  EXPECT_TRUE(expiring(2h + 4min));
  EXPECT_EQ(expiring(2h + 6min).error(), DhtErrc::value_from_the_future);
  EXPECT_LE(expiring(2h + 4min)->lifetime, signed_lifetime_max);
  const auto numbered = [](std::uint64_t sequence) {
    return judge(owners_key(), signed_bytes(sequence, "v"));
  };
  EXPECT_TRUE(numbered(sequence_of(later(today, 4min))));
  EXPECT_EQ(numbered(sequence_of(later(today, 6min))).error(), DhtErrc::value_from_the_future);
  EXPECT_EQ(numbered(std::numeric_limits<std::uint64_t>::max()).error(),
            DhtErrc::value_from_the_future);
  EXPECT_EQ(judge(owners_key(), signed_bytes(7, "v"), std::nullopt).error(), DhtErrc::no_wall_time);
}

// The store.

struct Keeper {
  ValueStore store;
  Rng rng{3};
  Instant now = start_of_day;

  PutStatus put(const DhtKey& key, std::uint64_t sequence, std::string_view text,
                SourceId source = SourceId{1}, DiversityGroup group = {}) {
    return store.put(now,
                     {.key = key,
                      .kind = ValueKind::signed_value,
                      .bytes = as_bytes(text),
                      .sequence = sequence,
                      .lifetime = 2h,
                      .source = source,
                      .group = group},
                     rng);
  }
  std::string get(const DhtKey& key) {
    const HeldValue* held = store.find(now, key, ValueKind::signed_value);
    return held == nullptr ? "" : std::string(as_text(held->bytes));
  }
  static DhtKey key(std::uint32_t number) {
    DhtKey key;
    for (int i = 0; i < 4; ++i)
      key.bytes[std::size_t(i)] = static_cast<std::uint8_t>(number >> (8 * i));
    return key;
  }
};

// TD6
TEST(ValueStore, sequence_numbers_never_go_back) {
  Keeper keeper;
  const DhtKey key = Keeper::key(1);
  EXPECT_EQ(keeper.put(key, 10, "ten"), PutStatus::stored);
  EXPECT_EQ(keeper.put(key, 9, "nine"), PutStatus::older);
  EXPECT_EQ(keeper.put(key, 10, "other"), PutStatus::older);
  EXPECT_EQ(keeper.put(key, 10, "ten"), PutStatus::stored);
  EXPECT_EQ(keeper.get(key), "ten");
  EXPECT_EQ(keeper.put(key, 11, "eleven"), PutStatus::stored);
  EXPECT_EQ(keeper.put(key, 10, "ten"), PutStatus::older);
  EXPECT_EQ(keeper.get(key), "eleven");
  EXPECT_EQ(keeper.store.find(keeper.now, key, ValueKind::immutable), nullptr);
}

TEST(ValueStore, values_expire_and_are_forgotten) {
  Keeper keeper;
  keeper.put(Keeper::key(1), 1, "one");
  keeper.now += 2h - 1s;
  EXPECT_EQ(keeper.get(Keeper::key(1)), "one");
  keeper.now += 1s;
  EXPECT_EQ(keeper.get(Keeper::key(1)), "");
  while (keeper.store.handle_timeout(keeper.now, keeper.rng))
    keeper.now += 1s;
  EXPECT_EQ(keeper.store.size(), 0U);
  EXPECT_EQ(keeper.store.poll_timeout(), never);
}

// TD8
TEST(ValueStore, one_source_and_one_prefix_have_their_share) {
  Keeper keeper;
  std::uint32_t number = 0;
  for (std::uint32_t i = 0; i < ValueStore::values_of_source_max; ++i)
    EXPECT_EQ(keeper.put(Keeper::key(++number), 1, "v"), PutStatus::stored);
  EXPECT_EQ(keeper.put(Keeper::key(++number), 1, "v"), PutStatus::full);
  // Its own values it may still change; others put theirs.
  EXPECT_EQ(keeper.put(Keeper::key(1), 2, "w"), PutStatus::stored);
  EXPECT_EQ(keeper.put(Keeper::key(number), 1, "v", SourceId{2}), PutStatus::stored);
  constexpr DiversityGroup group{9};
  std::size_t stored = 0;
  for (std::uint32_t peer = 100; peer < 110; ++peer) {
    for (int i = 0; i < 500; ++i) {
      if (keeper.put(Keeper::key(++number), 1, "v", SourceId{peer}, group) == PutStatus::stored) {
        ++stored;
      }
    }
  }
  EXPECT_EQ(stored, ValueStore::values_of_group_max);
  EXPECT_EQ(keeper.store.refused(), 1U + 1000U);
  // What has expired frees its owner's share.
  keeper.now += 3h;
  (void)keeper.store.handle_timeout(keeper.now, keeper.rng);
  EXPECT_EQ(keeper.put(Keeper::key(1), 1, "v"), PutStatus::stored);
}

TEST(ValueStore, values_are_put_again_about_every_hour_unless_somebody_just_did) {
  Keeper keeper;
  keeper.put(Keeper::key(1), 1, "one");
  keeper.put(Keeper::key(2), 1, "two");
  int again = 0;
  const Instant until = keeper.now + 75min;
  while (keeper.now < until) {
    keeper.now += 60s;
    keeper.put(Keeper::key(2), 1, "two");
    if (const auto due = keeper.store.handle_timeout(keeper.now, keeper.rng)) {
      EXPECT_EQ(due->key, Keeper::key(1));
      EXPECT_GE(keeper.now, start_of_day + 48min);
      ++again;
    }
  }
  EXPECT_EQ(again, 1);
}

// Whoever grinds low keys does not keep others' values from being put again.
TEST(ValueStore, of_many_that_are_due_the_longest_waiting_is_first) {
  Keeper keeper;
  for (std::uint32_t number = 0; number < 300; ++number)
    keeper.put(Keeper::key(number), 1, "v");
  keeper.now += 73min;  // all are due
  std::set<DhtKey> again;
  for (int i = 0; i < 300; ++i) {
    const auto due = keeper.store.handle_timeout(keeper.now, keeper.rng);
    ASSERT_TRUE(due) << i;
    EXPECT_TRUE(again.insert(due->key).second) << "twice before others once";
    EXPECT_EQ(keeper.store.poll_timeout(), keeper.now + ValueStore::republish_pause);
    keeper.now += ValueStore::republish_pause;
  }
  EXPECT_FALSE(keeper.store.handle_timeout(keeper.now, keeper.rng));
}

// A network of nodes that know the time.

struct ValueNetwork : TestNetwork {
  explicit ValueNetwork(std::uint64_t seed, std::span<const NodeId> others = {})
      : TestNetwork(seed) {
    add_all(150);
    for (const NodeId& id : others)
      add(id, &config);
    fill_tables(20);
    for (std::size_t node = 0; node < size(); ++node)
      core(node).set_wall_time(now(), today);
  }
  PutFinished put(std::size_t node, ValueKind kind, const DhtKey& key, const Bytes& bytes) {
    EXPECT_TRUE(command(node, [&](DhtCore& c) { return c.put(now(), kind, key, bytes); }));
    return wait_for<PutFinished>(node);
  }
  GetDone get(std::size_t node, ValueKind kind, const DhtKey& key) {
    EXPECT_TRUE(command(node, [&](DhtCore& c) { return c.get(now(), kind, key); }));
    return wait_for<GetDone>(node);
  }
  std::vector<std::size_t> holders(const DhtKey& key, ValueKind kind) {
    std::vector<std::size_t> nodes;
    for (std::size_t node = 0; node < size(); ++node) {
      if (core(node).store().find(now(), key, kind) != nullptr) nodes.push_back(node);
    }
    return nodes;
  }
};

TEST(DhtCore, a_value_put_by_one_is_got_by_all_from_the_k_nearest) {
  ValueNetwork net(41);
  const Bytes value = to_bytes("a value");
  const DhtKey key = immutable_key(value);
  const auto put = net.put(0, ValueKind::immutable, key, value);
  EXPECT_EQ(put.stored, 20U);
  EXPECT_EQ(put.refused, 0U);
  for (const std::size_t holder : net.holders(key, ValueKind::immutable)) {
    const auto nearest = net.truly_nearest(key, 20, net.size());
    EXPECT_EQ(std::ranges::count(nearest, net.peer(holder)), 1) << holder;
  }
  for (std::size_t node = 0; node < net.size(); node += 7) {
    const auto got = net.get(node, ValueKind::immutable, key);
    EXPECT_EQ(got.end, LookupEnd::found);
    EXPECT_EQ(got.bytes, value);
  }
  const auto missing = net.get(3, ValueKind::immutable, immutable_key(to_bytes("another")));
  EXPECT_EQ(missing.end, LookupEnd::converged);
  EXPECT_FALSE(missing.bytes);
}

// Ids are ground around a key. Who holds them answers to all but values, so that a put meets them
// as the nearest; what makes a value outlive it is that it is put to the region besides.
TEST(DhtCore, a_silent_siege_keeps_a_value_from_nobody) {
  const Bytes value = to_bytes("besieged");
  const DhtKey key = immutable_key(value);
  std::vector<NodeId> besiegers;
  for (std::uint8_t i = 0; i < 25; ++i) {
    besiegers.push_back(NodeId{key.bytes});
    besiegers.back().bytes[2] ^= static_cast<std::uint8_t>(i + 1);
  }
  ValueNetwork net(51, besiegers);
  constexpr std::size_t honest = 150;
  net.lose = [](std::size_t, std::size_t to, const Message& message) {
    return to >= honest &&
           (std::holds_alternative<Put>(message.body) || std::holds_alternative<Get>(message.body));
  };
  const auto nearest = net.truly_nearest(key, 20, net.size());
  EXPECT_TRUE(std::ranges::all_of(
      nearest, [](PeerHandle peer) { return std::to_underlying(peer) >= honest; }));
  const auto put = net.put(0, ValueKind::immutable, key, value);
  EXPECT_GE(put.stored, 5U);
  EXPECT_GE(net.core(0).counters().regions, 1U);
  for (std::size_t node = 10; node < honest; node += 20) {
    const auto got = net.get(node, ValueKind::immutable, key);
    EXPECT_EQ(got.end, LookupEnd::found) << node;
    EXPECT_EQ(got.bytes, value) << node;
  }
}

// A client may keep fewer connections than a put asks peers.
TEST(DhtCore, a_put_stores_over_the_connections_of_its_lookup) {
  ValueNetwork net(47);
  net.rtt = [](std::size_t, std::size_t) { return 5ms; };
  net.core(0).set_server(false);
  for (int i = 0; i < 30; ++i) {
    const Bytes value = to_bytes("value " + std::to_string(i));
    const std::size_t before = net.dials(0);
    const auto put = net.put(0, ValueKind::immutable, immutable_key(value), value);
    EXPECT_GE(put.stored, 20U);
    EXPECT_LE(net.dials(0) - before, put.cost.queries);
    EXPECT_LE(net.core(0).links_up(), net.config.links_client + LinkPool::lookup_room);
  }
}

TEST(DhtCore, puts_over_connections_that_stand_wait_for_no_budget) {
  TestNetwork net(48);
  net.rtt = [](std::size_t, std::size_t) { return 1ms; };
  net.add_all(50);
  net.fill_tables(20);
  for (int i = 0; i < 60; ++i) {
    const Bytes value = to_bytes("value " + std::to_string(i));
    ASSERT_TRUE(net.command(0, [&](DhtCore& core) {
      return core.put(net.now(), ValueKind::immutable, immutable_key(value), value);
    }));
    EXPECT_GE(net.wait_for<PutFinished>(0).stored, 20U);
  }
  // More than would be let go at once if each had to open a connection.
  EXPECT_GT(net.core(0).counters().requests_sent, 5U * net.config.requests_a_second);
  EXPECT_EQ(net.core(0).counters().out_of_budget, 0U);
}

TEST(DhtCore, a_value_survives_the_death_of_most_of_its_holders) {
  ValueNetwork net(42);
  const Bytes value = to_bytes("a value");
  const DhtKey key = immutable_key(value);
  (void)net.put(0, ValueKind::immutable, key, value);
  auto holders = net.holders(key, ValueKind::immutable);
  for (std::size_t i = 0; i < holders.size(); ++i) {
    if (i % 10 != 0 && holders[i] != 5) net.kill(holders[i]);
  }
  EXPECT_EQ(net.get(5, ValueKind::immutable, key).bytes, value);
  // In an hour those that are left have given it to the k nearest of today.
  net.run_for(80min);
  std::size_t living = 0;
  for (const std::size_t node : net.holders(key, ValueKind::immutable))
    living += net.alive(node) ? 1 : 0;
  EXPECT_GE(living, 15U);
}

// TD6
TEST(DhtCore, a_reader_takes_the_highest_of_four_and_mends_the_others) {
  ValueNetwork net(43);
  const DhtKey key = owners_key();
  const Bytes old_value = signed_bytes(1000, "old");
  const Bytes new_value = signed_bytes(2000, "new");
  EXPECT_GE(net.put(0, ValueKind::signed_value, key, old_value).stored, 20U);
  // Only every third of the nearest hears of the new one.
  net.lose = [&](std::size_t, std::size_t to, const Message& message) {
    return std::holds_alternative<Put>(message.body) && to % 3 != 0;
  };
  EXPECT_LT(net.put(0, ValueKind::signed_value, key, new_value).stored, 15U);
  net.lose = [](std::size_t, std::size_t, const Message&) { return false; };
  net.run_for(20s);
  int newest = 0;
  for (std::size_t node = 100; node < 120; ++node) {
    const auto got = net.get(node, ValueKind::signed_value, key);
    ASSERT_TRUE(got.bytes);
    EXPECT_TRUE(*got.bytes == old_value || *got.bytes == new_value);
    if (got.sequence == 2000) ++newest;
  }
  EXPECT_GE(newest, 16);
  // Putting the old one again brings nothing back.
  const auto replayed = net.put(140, ValueKind::signed_value, key, old_value);
  EXPECT_GT(replayed.refused, 5U);
  EXPECT_EQ(net.get(141, ValueKind::signed_value, key).sequence, 2000U);
}

// TD2: a false answer ends no lookup.
TEST(DhtCore, false_values_are_seen_through) {
  ValueNetwork net(44);
  const Bytes value = to_bytes("a value");
  const DhtKey key = immutable_key(value);
  (void)net.put(0, ValueKind::immutable, key, value);
  net.twist = [](std::size_t from, Message& message) {
    auto* found = std::get_if<Found>(&message.body);
    if (found != nullptr && from % 3 == 0) *found = Found{.bytes = to_bytes("a lie")};
  };
  unsigned lies = 0;
  for (std::size_t node = 1; node < 60; ++node) {
    const auto got = net.get(node, ValueKind::immutable, key);
    EXPECT_EQ(got.bytes, value);
    lies += got.false_values;
  }
  EXPECT_GT(lies, 0U);
}

TEST(DhtCore, values_that_are_not_right_are_neither_put_nor_kept) {
  ValueNetwork net(45);
  const Bytes value = to_bytes("a value");
  DhtKey wrong = immutable_key(value);
  wrong.bytes[0] ^= 1;
  EXPECT_EQ(net.core(0).put(net.now(), ValueKind::immutable, wrong, value).error(),
            DhtErrc::wrong_key);
  net.tell(0, peer::Up{net.peer(1), 10ms});
  const auto offer = [&](std::size_t to, const Put& put) {
    net.core(to).handle(net.now(), peer::Received<Message>{net.peer(1), {9, true, put}});
    std::optional<PutStatus> status;
    while (auto output = net.core(to).poll_output()) {
      const auto* sent = std::get_if<peer::Send<Message>>(&*output);
      const auto* answer = sent == nullptr ? nullptr : std::get_if<PutAnswer>(&sent->message.body);
      if (answer != nullptr) status = answer->status;
    }
    return status;
  };
  EXPECT_EQ(offer(0, {wrong, ValueKind::immutable, 3600, value}), PutStatus::invalid);
  const DhtKey right = immutable_key(value);
  EXPECT_EQ(offer(0, {right, ValueKind::immutable, 3600, value}), PutStatus::stored);
  net.core(0).set_server(false);
  EXPECT_EQ(offer(0, {right, ValueKind::immutable, 3600, value}), PutStatus::unwilling);
}

TEST(DhtCore, without_a_clock_no_signed_value_is_read) {
  TestNetwork net(46);
  net.add_all(2);
  EXPECT_EQ(net.core(0).get(net.now(), ValueKind::signed_value, owners_key()).error(),
            DhtErrc::no_wall_time);
  EXPECT_EQ(net.core(0)
                .put(net.now(), ValueKind::signed_value, owners_key(), signed_bytes(1, "v"))
                .error(),
            DhtErrc::no_wall_time);
}

/// Remembers what it found, as the simulator does.
class CountingVerifier final : public RecordVerifier {
 public:
  Result<SignedRecord> verify(SignatureDomain domain, ByteView record) override {
    ++calls;
    return verify_record(domain, record);
  }
  int calls = 0;
};

TEST(DhtCore, signatures_are_checked_by_the_port_it_was_given) {
  CountingVerifier verifier;
  const Config config;
  PeerBook book(10, 1);
  const PeerHandle self = book.intern(NodeId{{1}});
  DhtCore core(start_of_day, config, book, self, Rng(1), &verifier);
  core.set_wall_time(start_of_day, today);
  EXPECT_TRUE(core.put(start_of_day, ValueKind::signed_value, owners_key(), signed_bytes(1, "v")));
  EXPECT_GE(verifier.calls, 1);
}

}  // namespace
}  // namespace quicmesh::dht
