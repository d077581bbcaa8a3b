// Whole nodes with the DHT in virtual time (issue 4): given one contact and nothing else, they find
// each other. Below the DHT everything is the real thing: QUIC, records, codec, streams.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "crypto/seeded_rng.hpp"
#include "node/dht_host.hpp"
#include "sim/mesh_node.hpp"

namespace quicmesh::sim {
namespace {

struct Member {
  std::unique_ptr<MeshNode> node;
  InterfaceId interface{};
  DhtHost* dht = nullptr;  // of the node's services
  std::vector<DhtNews> news;
};

/// Hosts in one network, each with an address of its own; the first is whom the others begin with.
struct DhtWorld {
  explicit DhtWorld(std::uint64_t seed)
      : simulation({.seed = seed, .replay = "DhtNode"}),
        secure_rng(std::make_unique<SeededRng>(seed, "dht")) {}

  Member& add(const IpAddress& ip, DhtHostConfig config = {}, RealmId realm = internet) {
    Network& network = simulation.network();
    Member& member = members.emplace_back();
    const HostId host = network.add_host("n" + std::to_string(members.size())).value();
    AccessConfig access;
    access.up.delay = access.down.delay = 5ms;
    member.interface = network.add_interface(host, {"eth", realm, ip, access}).value();
    member.node = std::make_unique<MeshNode>(simulation, host);
    member.node->announce();
    if (members.size() > 1 && config.bootstrap.empty()) {
      const Member& first = members.front();
      config.bootstrap.push_back({first.node->id(), {first.node->address(first.interface)}});
    }
    member.node->command([&](NodeCore& core, Instant now) {
      auto dht = std::make_unique<DhtHost>(now, std::move(config), core.id(), *secure_rng);
      member.dht = dht.get();
      core.add_service(std::move(dht));
    });
    return member;
  }

  /// Public addresses, as laboratories have them, each of a prefix of its own.
  static IpAddress public_address(unsigned number) {
    return IpAddress::v4({198, 18, static_cast<std::uint8_t>(number), 1});
  }
  static IpAddress private_address(unsigned number) {
    return IpAddress::v4({10, 0, 0, static_cast<std::uint8_t>(number)});
  }

  bool run_until(const std::function<bool()>& predicate, Duration limit) {
    const auto result = simulation.run_until(predicate, simulation.elapsed() + limit);
    return bool(result);
  }
  void run_for(Duration time) { EXPECT_TRUE(simulation.run_for(time)); }

  /// Gives `begin` to the node's DHT, and waits for what comes of it.
  template <class T, class Begin>
  std::optional<T> ask(Member& member, Begin begin) {
    const auto ticket = member.node->command(
        [&](NodeCore& core, Instant now) { return begin(now, core, *member.dht); });
    if (!ticket) return std::nullopt;
    std::optional<T> result;
    (void)run_until(
        [&] {
          while (auto news = member.dht->poll_news()) {
            const auto* outcome = std::get_if<DhtOutcome>(&*news);
            if (outcome != nullptr && outcome->ticket == *ticket) {
              result = std::get<T>(outcome->result);
            } else {
              member.news.push_back(std::move(*news));
            }
          }
          return result.has_value();
        },
        30s);
    return result;
  }

  /// Dials by NodeId alone.
  bool dial(Member& from, const Member& to) {
    const NodeId id = to.node->id();
    EXPECT_TRUE(from.node->command(
        [&](NodeCore& core, Instant now) { return from.dht->dial(now, core, id); }));
    return run_until([&] { return connected(from, to); }, 20s);
  }
  static bool connected(const Member& a, const Member& b) {
    return a.node->core().connectivity().connected(b.node->id());
  }

  Simulation simulation;
  std::unique_ptr<SeededRng> secure_rng;
  std::deque<Member> members;
};

/// Nodes that keep few connections, so that most others have to be dialled anew.
DhtHostConfig with_few_links() {
  DhtHostConfig config;
  config.core.links_server = 3;
  config.core.links_client = 3;
  return config;
}

/// Every node dials a few others whose addresses nobody has told it.
void expect_all_find_each_other(DhtWorld& world) {
  Rng rng(7);
  unsigned cold = 0;
  for (Member& from : world.members) {
    for (int i = 0; i < 3; ++i) {
      const Member& to = world.members[rng.below(world.members.size())];
      if (&from == &to) continue;
      cold += DhtWorld::connected(from, to) ? 0 : 1;
      EXPECT_TRUE(world.dial(from, to))
          << from.node->id().prefix() << " to " << to.node->id().prefix();
    }
  }
  EXPECT_GE(cold, world.members.size());
}

TEST(DhtNode, given_one_contact_and_nothing_else_all_find_each_other) {
  DhtWorld world(1);
  for (unsigned i = 1; i <= 24; ++i) {
    world.add(DhtWorld::public_address(i), with_few_links());
    world.run_for(100ms);
  }
  world.run_for(60s);
  for (const Member& member : world.members) {
    EXPECT_TRUE(member.dht->core().is_server());
    EXPECT_GE(member.dht->core().table().contacts().size(), 15u);
    EXPECT_EQ(member.dht->status().messages_malformed, 0u);
  }
  expect_all_find_each_other(world);
}

TEST(DhtNode, a_mesh_of_private_addresses_alone_works_in_full) {
  DhtWorld world(2);
  for (unsigned i = 1; i <= 16; ++i)
    world.add(DhtWorld::private_address(i), with_few_links());
  world.run_for(60s);
  for (const Member& member : world.members)
    EXPECT_TRUE(member.dht->core().is_server());
  expect_all_find_each_other(world);
}

// A node that only asks stands in nobody's table; it is found by who asks for exactly its id.
TEST(DhtNode, a_node_that_only_asks_is_found_by_its_id) {
  DhtWorld world(3);
  for (unsigned i = 1; i <= 12; ++i)
    world.add(DhtWorld::public_address(i));
  DhtHostConfig client;
  client.role = DhtRole::client;
  Member& asks = world.add(DhtWorld::public_address(100), client);
  Member& other = world.add(DhtWorld::public_address(101), client);
  world.run_for(30s);
  EXPECT_FALSE(asks.dht->core().is_server());
  for (const Member& member : world.members) {
    for (const DhtPeer& peer : member.dht->peers())
      EXPECT_NE(peer.node, asks.node->id());
  }
  const auto resolved =
      world.ask<ResolvedNode>(other, [&](Instant now, NodeCore& core, DhtHost& dht) {
        return dht.resolve(now, core, asks.node->id());
      });
  ASSERT_TRUE(resolved && resolved->found);
  EXPECT_EQ(resolved->addresses, std::vector<SocketAddress>(1, asks.node->address(asks.interface)));
  EXPECT_TRUE(world.dial(other, asks));
}

TEST(DhtNode, values_are_found_from_anywhere_and_replaced_by_their_owner) {
  DhtWorld world(4);
  for (unsigned i = 1; i <= 8; ++i)
    world.add(DhtWorld::public_address(i));
  world.run_for(20s);
  Member& owner = world.members[3];
  Member& reader = world.members[6];
  const auto put = [&](std::string_view text) {
    return world.ask<StoredValue>(owner, [&](Instant now, NodeCore& core, DhtHost& dht) {
      return dht.put(now, core, "greeting", to_bytes(text));
    });
  };
  const auto get = [&](const ValueKey& key) {
    return world.ask<FoundValue>(
        reader, [&](Instant now, NodeCore&, DhtHost& dht) { return dht.get(now, key); });
  };
  const auto first = put("hello");
  ASSERT_TRUE(first);
  EXPECT_GE(first->stored, 6u);
  auto found = get(first->key);
  ASSERT_TRUE(found && found->value);
  EXPECT_EQ(*found->value, to_bytes("hello"));
  // In the same second, too.
  ASSERT_TRUE(put("good evening"));
  found = get(first->key);
  ASSERT_TRUE(found && found->value);
  EXPECT_EQ(*found->value, to_bytes("good evening"));

  const auto immutable =
      world.ask<StoredValue>(owner, [&](Instant now, NodeCore& core, DhtHost& dht) {
        return dht.put(now, core, to_bytes("for ever"));
      });
  ASSERT_TRUE(immutable);
  found = get(immutable->key);
  ASSERT_TRUE(found && found->value);
  EXPECT_EQ(*found->value, to_bytes("for ever"));
  // Its owner puts it again before it expires, and nobody else has to ask.
  world.run_for(125min);
  found = get(first->key);
  ASSERT_TRUE(found && found->value);
  EXPECT_EQ(*found->value, to_bytes("good evening"));

  ValueKey nowhere = immutable->key;
  nowhere.bytes[0] ^= 1;
  found = get(nowhere);
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->value);
}

// What the DHT opens for itself is bounded, and what the application uses is none of that.
TEST(DhtNode, warm_connections_are_bounded_and_the_application_keeps_its_own) {
  DhtWorld world(5);
  DhtHostConfig small;
  small.core.links_server = 4;
  for (unsigned i = 1; i <= 24; ++i)
    world.add(DhtWorld::public_address(i), i == 6 ? small : DhtHostConfig());
  Member& subject = world.members[5];
  world.run_for(5s);
  for (const unsigned peer : {10u, 11u, 12u, 13u, 14u, 15u})
    EXPECT_TRUE(world.dial(subject, world.members[peer]));
  for (unsigned i = 0; i < 20; ++i) {
    NodeId target;
    target.bytes[0] = static_cast<std::uint8_t>(i * 13);
    (void)world.ask<FoundNodes>(
        subject, [&](Instant now, NodeCore&, DhtHost& dht) { return dht.find(now, target); });
  }
  world.run_for(30s);
  for (const unsigned peer : {10u, 11u, 12u, 13u, 14u, 15u})
    EXPECT_TRUE(DhtWorld::connected(subject, world.members[peer]));
  EXPECT_GT(subject.dht->core().counters().links_closed, 0u);
  std::size_t dialled = 0;
  const Connectivity& connectivity = subject.node->core().connectivity();
  for (const NodeId& peer : connectivity.peers())
    dialled += connectivity.dialled(peer) ? 1 : 0;
  EXPECT_LE(dialled, 4u + 6u + 2u);
}

// The record follows the node: who asks after a change of address hears of the new one.
TEST(DhtNode, a_node_that_moves_is_found_at_its_new_address) {
  DhtWorld world(6);
  for (unsigned i = 1; i <= 12; ++i)
    world.add(DhtWorld::public_address(i));
  world.run_for(20s);
  Member& mover = world.members[7];
  const SocketAddress before = mover.node->address(mover.interface);
  ASSERT_TRUE(
      world.simulation.network().change_address(mover.interface, DhtWorld::public_address(200)));
  mover.node->network_changed();
  world.run_for(60s);
  const SocketAddress after = mover.node->address(mover.interface);
  ASSERT_NE(before, after);
  Member& late = world.add(DhtWorld::public_address(201));
  world.run_for(20s);
  const auto resolved =
      world.ask<ResolvedNode>(late, [&](Instant now, NodeCore& core, DhtHost& dht) {
        return dht.resolve(now, core, mover.node->id());
      });
  ASSERT_TRUE(resolved && resolved->found);
  EXPECT_EQ(resolved->addresses, std::vector<SocketAddress>(1, after));
  EXPECT_TRUE(world.dial(late, mover));
}

// Behind a NAT that lets in only who was spoken to: a client, found by its id and met at its relay,
// which the one who dials knows from the record alone.
TEST(DhtNode, a_node_behind_a_nat_is_met_at_its_relay) {
  DhtWorld world(9);
  for (unsigned i = 1; i <= 10; ++i)
    world.add(DhtWorld::public_address(i));
  const Member& relay = world.members[3];
  relay.node->serve_as_relay();
  Network& network = world.simulation.network();
  const NatId nat =
      network.add_nat({.name = "nat", .addresses = {DhtWorld::public_address(90)}}).value();
  Member& behind = world.add(DhtWorld::private_address(2), with_few_links(), network.inside(nat));
  behind.node->use_relay(*relay.node);
  world.run_for(60s);
  EXPECT_FALSE(behind.dht->core().is_server());
  // The NAT has never seen this one.
  DhtHostConfig client;
  client.role = DhtRole::client;
  Member& from = world.add(DhtWorld::public_address(60), client);
  world.run_for(5s);
  ASSERT_FALSE(DhtWorld::connected(from, behind));
  const auto resolved =
      world.ask<ResolvedNode>(from, [&](Instant now, NodeCore& core, DhtHost& dht) {
        return dht.resolve(now, core, behind.node->id());
      });
  ASSERT_TRUE(resolved && resolved->found);
  for (const SocketAddress& address : resolved->addresses)
    EXPECT_EQ(address.ip, DhtWorld::public_address(90));  // nothing of the network behind it
  ASSERT_EQ(resolved->relays.size(), 1u);
  EXPECT_EQ(resolved->relays.front().id, relay.node->id());
  EXPECT_TRUE(world.dial(from, behind));
  // What was good for that is not where this node is to be found from now on.
  EXPECT_FALSE(from.node->core().relays().choice().home);
  world.run_for(60s);
  const auto own = world.ask<ResolvedNode>(behind, [&](Instant now, NodeCore& core, DhtHost& dht) {
    return dht.resolve(now, core, from.node->id());
  });
  ASSERT_TRUE(own && own->found);
  EXPECT_TRUE(own->relays.empty());
  for (const RelayReport& one : from.node->core().relays().relays())
    EXPECT_GT(one.sessions, 0u) << "it is forgotten when it has served";
}

// TD4: who shows only a relay shares the relay's group with all who do.
TEST(DhtNode, many_keys_over_one_relay_get_the_places_of_one_network) {
  DhtWorld world(11);
  Member& relay = world.add(DhtWorld::public_address(1));
  relay.node->serve_as_relay();
  Member& node = world.add(DhtWorld::public_address(2));
  node.node->use_relay(*relay.node);
  world.run_for(2s);
  DhtHostConfig server;
  server.role = DhtRole::server;
  for (unsigned i = 10; i < 34; ++i) {
    Member& hidden = world.add(DhtWorld::public_address(i), server);
    hidden.node->command([](NodeCore& core, Instant) { core.set_policy(PathPolicy::relay_only); });
    hidden.node->use_relay(*relay.node);
    world.run_for(1s);
    hidden.node->command(
        [&](NodeCore& core, Instant now) { return core.connect(now, node.node->id(), {}); });
  }
  world.run_for(120s);
  EXPECT_GT(node.node->core().connectivity().peers().size(), 20u);
  // The relay itself is of the group, too.
  EXPECT_LE(node.dht->core().table().contacts().size(), dht::RoutingTable::group_in_table_max);
  EXPECT_GE(node.dht->core().table().contacts().size(), 4u);
}

// A network of one house with a relay in it: whom one meets there was not met on the internet.
TEST(DhtNode, a_relay_in_a_private_mesh_makes_nobody_a_client) {
  DhtWorld world(13);
  Member& relay = world.add(DhtWorld::private_address(1));
  relay.node->serve_as_relay();
  for (unsigned i = 2; i <= 8; ++i) {
    Member& member = world.add(DhtWorld::private_address(i));
    if (i <= 4) {
      member.node->command(
          [](NodeCore& core, Instant) { core.set_policy(PathPolicy::relay_only); });
    }
    member.node->use_relay(*relay.node);
    world.run_for(1s);
  }
  Member& node = world.members[6];
  for (const unsigned hidden : {1u, 2u, 3u}) {
    node.node->command([&](NodeCore& core, Instant now) {
      return core.connect(now, world.members[hidden].node->id(), {});
    });
  }
  world.run_for(60s);
  for (const unsigned hidden : {1u, 2u, 3u})
    EXPECT_TRUE(DhtWorld::connected(node, world.members[hidden]));
  for (const unsigned open : {0u, 4u, 5u, 6u, 7u})
    EXPECT_TRUE(world.members[open].dht->core().is_server()) << open;
}

// TD6: what a machine signed before it slept, or before its clock was set, nobody takes.
TEST(DhtNode, a_node_whose_clock_is_set_signs_its_records_anew) {
  DhtWorld world(14);
  for (unsigned i = 1; i <= 6; ++i)
    world.add(DhtWorld::public_address(i));
  world.run_for(20s);
  Member& late = world.members[3];
  const auto set_back = [&](std::int64_t seconds) {
    late.node->command([&](NodeCore& core, Instant now) {
      core.set_wall_time(now, WallTime{std::to_underlying(core.wall_time(now)) - seconds});
    });
  };
  set_back(86'400);
  world.run_for(30s);
  const std::uint64_t yesterday = late.dht->status().records_signed;
  set_back(-86'400);
  world.run_for(30s);
  EXPECT_GT(late.dht->status().records_signed, yesterday);
  Member& reader = world.add(DhtWorld::public_address(20));
  world.run_for(10s);
  const auto resolved =
      world.ask<ResolvedNode>(reader, [&](Instant now, NodeCore& core, DhtHost& dht) {
        return dht.resolve(now, core, late.node->id());
      });
  ASSERT_TRUE(resolved && resolved->found);
}

// Who could come to the network where we were says nothing of the one where we are.
TEST(DhtNode, a_server_that_moves_behind_a_nat_serves_no_more) {
  DhtWorld world(12);
  for (unsigned i = 1; i <= 8; ++i)
    world.add(DhtWorld::public_address(i));
  Network& network = world.simulation.network();
  Member& mover = world.members[3];
  const NatId nat =
      network.add_nat({.name = "nat", .addresses = {DhtWorld::public_address(90)}}).value();
  const InterfaceId inside =
      network
          .add_interface(mover.node->host(),
                         {"wlan", network.inside(nat), DhtWorld::private_address(2), {}})
          .value();
  network.set_interface_state(inside, InterfaceState::down);
  mover.node->network_changed();
  world.run_for(40s);
  EXPECT_TRUE(mover.dht->core().is_server());
  network.set_interface_state(mover.interface, InterfaceState::down);
  network.set_interface_state(inside, InterfaceState::up);
  mover.node->network_changed();
  world.run_for(60s);
  EXPECT_GT(mover.dht->core().links_up(), 0u);
  EXPECT_FALSE(mover.dht->core().is_server());
}

TEST(DhtNode, two_that_begin_with_each_other_end_with_one_connection) {
  for (std::uint64_t seed = 1; seed <= 8; ++seed) {
    DhtWorld world(seed);
    Member& a = world.add(DhtWorld::public_address(1));
    Member& b = world.add(DhtWorld::public_address(2));
    const auto dial = [](Member& from, const Member& to) {
      const NetworkPath path = from.node->path(from.interface, to.node->address(to.interface));
      (void)from.node->command([&](NodeCore& core, Instant now) {
        return core.connect(now, to.node->id(), std::span(&path, 1));
      });
    };
    dial(a, b);
    world.run_for(std::chrono::milliseconds(seed * 3));
    dial(b, a);
    world.run_for(30s);
    // Messages went over both; nothing of the DHT keeps the loser open.
    for (const Member* one : {&a, &b}) {
      EXPECT_EQ(one->node->core().connectivity().quic().connections(), 1u) << "seed " << seed;
      EXPECT_EQ(one->dht->core().table().contacts().size(), 1u) << "seed " << seed;
    }
  }
}

// Who says what no node would say is not listened to; all else goes on.
TEST(DhtNode, garbage_ends_the_part_of_the_peer_who_sends_it_and_nothing_else) {
  const Bytes too_long{0xff, 0xff, 0xff, 0xff, 1, 2, 3};
  const Bytes no_message{0, 0, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8};
  const Bytes empty{0, 0, 0, 0};
  for (const Bytes& garbage : {too_long, no_message, empty}) {
    DhtWorld world(10);
    for (unsigned i = 1; i <= 6; ++i)
      world.add(DhtWorld::public_address(i));
    world.run_for(20s);
    Member& victim = world.members[1];
    Member& hostile = world.members[2];
    ASSERT_TRUE(world.dial(hostile, victim));
    hostile.node->command([&](NodeCore& core, Instant now) {
      Connectivity& connectivity = core.connectivity();
      const auto stream = connectivity.open_stream(now, victim.node->id(),
                                                   {StreamKind::stream, dht::protocol}, false);
      ASSERT_TRUE(stream);
      Bytes bytes = garbage;
      ASSERT_TRUE(connectivity.write(*stream, bytes, false));
    });
    world.run_for(5s);
    EXPECT_EQ(victim.dht->status().messages_malformed, 1u);
    EXPECT_TRUE(world.dial(victim, world.members[4]));
    const auto found = world.ask<FoundNodes>(victim, [&](Instant now, NodeCore&, DhtHost& dht) {
      return dht.find(now, world.members[5].node->id());
    });
    ASSERT_TRUE(found && !found->nodes.empty());
    EXPECT_EQ(found->nodes.front(), world.members[5].node->id());
  }
}

// Between the proof of the peer and the connection: what was asked in the last flight of the
// handshake comes to nothing, and everything goes on.

/// Two nodes, of which the second begins with the first.
struct EarlyWorld : DhtWorld {
  explicit EarlyWorld(std::uint64_t seed)
      : DhtWorld(seed), first(add(public_address(1))), node(add(public_address(2))) {}

  [[nodiscard]] bool is_early() const {
    const Connectivity& connectivity = node.node->core().connectivity();
    return connectivity.is_proved(first.node->id()) && !connected(node, first) &&
           node.dht->core().links_up() > 0;
  }
  void expect_nothing_is_left() {
    EXPECT_EQ(node.dht->core().links_up(), 0u);
    EXPECT_EQ(node.node->core().connectivity().quic().connections(), 0u);
    for (const DhtPeer& peer : node.dht->peers())
      EXPECT_FALSE(peer.connected);
    const DhtStatus status = node.dht->status();
    EXPECT_GT(status.requests_sent, 0u);
    EXPECT_EQ(status.requests_answered, 0u);
    EXPECT_EQ(status.requests_failed, status.requests_sent);
  }
  std::optional<FoundNodes> find_first() {
    return ask<FoundNodes>(node, [&](Instant now, NodeCore&, DhtHost& dht) {
      return dht.find(now, first.node->id());
    });
  }

  Member& first;
  Member& node;
};

TEST(DhtNode, who_is_refused_after_he_was_heard_asks_again_another_time) {
  EarlyWorld world(15);
  bool refuses = true;
  unsigned refused = 0;
  world.first.node->listen([&](Instant, const NodeEvent& event) {
    if (!refuses || !std::holds_alternative<PeerConnected>(event)) return;
    ++refused;
    world.first.node->command([&](NodeCore& core, Instant now) {
      core.disconnect(now, world.node.node->id(), "not today");
    });
  });
  ASSERT_TRUE(world.run_until([&] { return world.is_early(); }, 10s));
  world.run_for(20s);
  EXPECT_GE(refused, 2u);
  world.expect_nothing_is_left();
  const auto found = world.find_first();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->nodes.empty());
  refuses = false;
  EXPECT_TRUE(
      world.run_until([&] { return world.node.dht->core().table().contacts().size() == 1; }, 100s));
}

TEST(DhtNode, a_dial_given_up_while_it_is_early_leaves_nothing_behind) {
  EarlyWorld world(16);
  ASSERT_TRUE(world.run_until([&] { return world.is_early(); }, 10s));
  world.node.node->command([&](NodeCore& core, Instant now) {
    core.disconnect(now, world.first.node->id(), "never mind");
  });
  world.run_for(500ms);
  world.expect_nothing_is_left();
  EXPECT_TRUE(
      world.run_until([&] { return world.node.dht->core().table().contacts().size() == 1; }, 60s));
}

TEST(DhtNode, who_dies_while_it_is_early_is_missed) {
  EarlyWorld world(17);
  ASSERT_TRUE(world.run_until([&] { return world.is_early(); }, 10s));
  world.simulation.host(world.first.node->host()).stop();
  world.run_for(90s);
  world.expect_nothing_is_left();
  const auto found = world.find_first();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->nodes.empty());
}

// It takes the stream on which it was asked, and says nothing.
TEST(DhtNode, nobody_waits_for_who_takes_an_early_question_and_is_silent) {
  DhtWorld world(18);
  const HostId host = world.simulation.network().add_host("deaf").value();
  AccessConfig access;
  access.up.delay = access.down.delay = 5ms;
  const InterfaceId interface =
      world.simulation.network()
          .add_interface(host, {"eth", internet, DhtWorld::public_address(70), access})
          .value();
  MeshNode deaf(world.simulation, host);
  world.add(DhtWorld::public_address(1));
  DhtHostConfig config;
  config.bootstrap.push_back({deaf.id(), {deaf.address(interface)}});
  Member& node = world.add(DhtWorld::public_address(2), config);
  const auto& connectivity = node.node->core().connectivity();
  ASSERT_TRUE(world.run_until(
      [&] { return connectivity.is_proved(deaf.id()) && node.dht->core().links_up() > 0; }, 10s));
  EXPECT_FALSE(connectivity.connected(deaf.id()));
  ASSERT_TRUE(world.run_until([&] { return connectivity.connected(deaf.id()); }, 1s));
  world.run_for(10s);
  EXPECT_GT(node.dht->status().requests_failed, 0u);
  EXPECT_EQ(node.dht->status().requests_answered, 0u);
  const auto found = world.ask<FoundNodes>(
      node, [&](Instant now, NodeCore&, DhtHost& dht) { return dht.find(now, deaf.id()); });
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->nodes.empty());
  EXPECT_EQ(node.dht->status().messages_dropped, 0u);
  // With somebody else all is well.
  const Member& other = world.members.front();
  const NetworkPath path = node.node->path(node.interface, other.node->address(other.interface));
  EXPECT_TRUE(node.node->command([&](NodeCore& core, Instant now) {
    return core.connect(now, other.node->id(), std::span(&path, 1));
  }));
  EXPECT_TRUE(
      world.run_until([&] { return node.dht->core().table().contacts().size() == 1; }, 60s));
}

TEST(DhtNode, whom_nobody_knows_cannot_be_dialled) {
  DhtWorld world(7);
  for (unsigned i = 1; i <= 6; ++i)
    world.add(DhtWorld::public_address(i));
  world.run_for(10s);
  Member& from = world.members[2];
  const NodeId nobody{{1, 2, 3}};
  ASSERT_TRUE(from.node->command(
      [&](NodeCore& core, Instant now) { return from.dht->dial(now, core, nobody); }));
  std::optional<DhtDialFailed> failed;
  EXPECT_TRUE(world.run_until(
      [&] {
        while (auto news = from.dht->poll_news()) {
          if (auto* one = std::get_if<DhtDialFailed>(&*news)) failed = std::move(*one);
        }
        return failed.has_value();
      },
      30s));
  ASSERT_TRUE(failed);
  EXPECT_EQ(failed->peer, nobody);
}

// The first contact is gone when the others come back: they know more than one by then.
TEST(DhtNode, nodes_come_back_by_those_they_remember) {
  DhtWorld world(8);
  for (unsigned i = 1; i <= 8; ++i)
    world.add(DhtWorld::public_address(i));
  world.run_for(20s);
  Member& remembers = world.members[4];
  DhtHostConfig config;
  config.bootstrap = remembers.node->command(
      [&](NodeCore& core, Instant now) { return remembers.dht->contacts_to_keep(now, core); });
  EXPECT_GE(config.bootstrap.size(), 5u);
  world.simulation.host(world.members.front().node->host()).stop();
  Member& again = world.add(DhtWorld::public_address(50), config);
  EXPECT_TRUE(
      world.run_until([&] { return again.dht->core().table().contacts().size() >= 5; }, 60s));
}

}  // namespace
}  // namespace quicmesh::sim
