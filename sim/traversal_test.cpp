// Two whole nodes behind NATs with a relay in common: connected at once, direct where NATs allow
// it, in the same connection (S1.31, S1.39, S1.43, S1.45, S1.46).
#include <gtest/gtest.h>

#include "base/tunnel_path.hpp"
#include "sim/traversal_world.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {
namespace {

using World = TraversalWorld;

// How often the relay was asked where an end of a session is.
std::uint64_t attestations(World& world) {
  const auto rows = world.relay->core().relay_server()->table(world.simulation.now());
  return std::ranges::find(rows, "attestations", &RelayTableRow::name)->value;
}

// Port prediction and birthday (S1.37 to S1.40, N2, N4): seeds differ in ports and identities.
struct PunchedPair {
  const char* name;
  NatConfig left;
  NatConfig right;
  Duration bar;
};

class PunchedTraversal : public testing::TestWithParam<PunchedPair> {};

// S1.72, S1.78, S1.R2, S1.R6: candidates, checks and the choice of a path, with nothing above them.
TEST_P(PunchedTraversal, goes_direct) {
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const bool swapped = seed % 2 == 0;
    const PunchedPair& pair = GetParam();
    World world(seed, swapped ? pair.right : pair.left, swapped ? pair.left : pair.right);
    ASSERT_TRUE(world.dial());
    VerifiedTransfer transfer(*world.a, *world.b, 5'000'000, 1);
    const auto done = [&] { return transfer.finished() && world.direct_at; };
    const auto result = world.simulation.run_until(done, world.simulation.elapsed() + 60s);
    ASSERT_TRUE(result) << result.message << transfer.trouble() << " seed " << seed;
    EXPECT_EQ(transfer.wrong_bytes(), 0u);
    const Duration took = *world.direct_at - world.dialled_at;
    EXPECT_LE(took, pair.bar) << "seed " << seed;
    std::printf("%s seed %d: direct after %.0f ms\n", pair.name, static_cast<int>(seed),
                static_cast<double>(took.count()) / 1e6);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, PunchedTraversal,
    testing::Values(PunchedPair{"port_restricted_sequential", port_restricted, sequential, 2s},
                    PunchedPair{"sequential_twice", sequential, sequential, 4s},
                    PunchedPair{"port_restricted_symmetric", port_restricted, symmetric, 10s}),
    [](const auto& one) { return std::string(one.param.name); });

struct Pair {
  const char* name;
  std::optional<NatConfig> left;
  std::optional<NatConfig> right;
  bool direct;
};

class Traversal : public testing::TestWithParam<Pair> {};

TEST_P(Traversal, is_connected_at_once_and_direct_where_theory_allows) {
  for (const bool swapped : {false, true}) {
    const Pair& pair = GetParam();
    World world(7, swapped ? pair.right : pair.left, swapped ? pair.left : pair.right);
    ASSERT_TRUE(world.dial());
    const Duration first = world.simulation.now() - world.dialled_at;
    EXPECT_LE(first, 170ms);
    VerifiedTransfer transfer(*world.a, *world.b, 20'000'000, 1);
    const auto result = world.simulation.run_until([&] { return transfer.finished(); }, 60s);
    EXPECT_TRUE(result) << result.message << transfer.trouble();
    EXPECT_EQ(transfer.wrong_bytes(), 0u);
    EXPECT_EQ(!world.relayed(), pair.direct) << "swapped " << swapped;
    EXPECT_EQ(world.direct_at.has_value(), pair.direct);
    if (pair.direct && world.direct_at) {
      EXPECT_LE(*world.direct_at - world.dialled_at, 400ms);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Pairs, Traversal,
    testing::Values(Pair{"none_none", {}, {}, true},
                    Pair{"none_port_restricted", {}, port_restricted, true},
                    Pair{"none_symmetric", {}, symmetric, true},
                    Pair{"full_full", full_cone, full_cone, true},
                    Pair{"full_port_restricted", full_cone, port_restricted, true},
                    Pair{"full_symmetric", full_cone, symmetric, true},
                    Pair{"restricted_restricted", restricted_cone, restricted_cone, true},
                    Pair{"restricted_symmetric", restricted_cone, symmetric, true},
                    Pair{"port_restricted_twice", port_restricted, port_restricted, true},
                    Pair{"symmetric_twice", symmetric, symmetric, false}),
    [](const auto& one) { return std::string(one.param.name); });

// S1.31 to S1.37: by its relay a node knows its NAT, and its peer is told.
TEST(TraversalNat, a_node_finds_out_what_its_nat_does) {
  World world(2, port_restricted, symmetric);
  ASSERT_TRUE(world.dial());
  const auto known = [&] { return world.a->core().nat() && world.b->core().nat(); };
  ASSERT_TRUE(world.simulation.run_until(known, world.simulation.elapsed() + 5s));
  EXPECT_EQ(classic_type(world.a->core().nat()->profile), ClassicNatType::port_restricted_cone);
  EXPECT_EQ(classic_type(world.b->core().nat()->profile), ClassicNatType::symmetric);
  (void)world.simulation.run_for(100ms);
  EXPECT_GT(attestations(world), 0u);
  EXPECT_EQ(world.simulation.host(world.a->host()).open_sockets(), 1u) << "sockets are given back";
}

// A firewall stops UDP at one end, sender or receiver, of a connection that is relayed or direct.
TEST(TraversalTunnel, is_wanted_at_once_when_udp_stops_in_mid_transfer) {
  for (const bool relayed : {true, false}) {
    for (const bool sender_is_cut : {true, false}) {
      const NatConfig& nat = relayed ? symmetric : full_cone;
      World world(1, nat, nat);
      ASSERT_TRUE(world.dial());
      VerifiedTransfer transfer(*world.a, *world.b, 100'000'000, 1);
      ASSERT_TRUE(world.simulation.run_for(2s));
      ASSERT_EQ(world.relayed(), relayed);
      ASSERT_FALSE(transfer.finished());
      MeshNode& cut = sender_is_cut ? *world.a : *world.b;
      const auto wanted = [&] {
        return cut.command([](NodeCore& core, Instant) { return core.poll_tunnel_request(); });
      };
      ASSERT_FALSE(wanted());
      Network& network = world.simulation.network();
      const InterfaceId interface = network.interfaces_of(cut.host())[0];
      const Network::Links links = network.access_links(network.attachment_of(interface));
      network.set_link_state(links.up, LinkState::blackhole);
      network.set_link_state(links.down, LinkState::blackhole);
      ASSERT_TRUE(world.simulation.run_for(RelayClient::doubt_after));
      EXPECT_FALSE(wanted()) << "a pause is no proof";
      ASSERT_TRUE(world.simulation.run_for(500ms));
      const auto request = wanted();
      ASSERT_TRUE(request) << "relayed " << relayed << ", sender " << sender_is_cut;
      EXPECT_EQ(std::get<OpenTunnel>(*request).remote.port, relay_tls_port);
    }
  }
}

TEST(TraversalTunnel, leaves_no_path_behind_when_udp_was_only_away) {
  World world(1, symmetric, symmetric);
  ASSERT_TRUE(world.dial());
  MeshNode& node = *world.a;
  const NodeId relay = world.relay->id();
  const auto request = [&] {
    return node.command([](NodeCore& core, Instant) { return core.poll_tunnel_request(); });
  };
  const auto is_known = [&](const NetworkPath& tunnel) {
    const auto paths = node.core().connectivity().paths(relay);
    return std::ranges::find(paths, tunnel, &PathReport::path) != paths.end();
  };
  Network& network = world.simulation.network();
  const InterfaceId interface = network.interfaces_of(node.host())[0];
  const LinkId up = network.access_links(network.attachment_of(interface)).up;
  VerifiedTransfer transfer(node, *world.b, 20'000'000, 1);
  ASSERT_TRUE(world.simulation.run_for(200ms));
  network.set_link_state(up, LinkState::blackhole);
  ASSERT_TRUE(world.simulation.run_for(2s));
  network.set_link_state(up, LinkState::carrying);
  const auto open = request();
  ASSERT_TRUE(open);
  const auto& wanted = std::get<OpenTunnel>(*open);
  const NetworkPath tunnel{first_tunnel_socket, {}, wanted.remote};
  node.command(
      [&](NodeCore& core, Instant now) { core.handle_tunnel_opened(now, wanted.id, tunnel); });
  EXPECT_TRUE(is_known(tunnel));
  ASSERT_TRUE(world.simulation.run_for(RelayTunnels::unused_max));
  const auto close = request();
  ASSERT_TRUE(close);
  EXPECT_EQ(std::get<CloseTunnel>(*close).socket, tunnel.socket);
  EXPECT_FALSE(is_known(tunnel));
}

TEST(TraversalPolicy, relay_only_stays_relayed) {
  World world(1, full_cone, full_cone);
  ASSERT_TRUE(world.dial(PathPolicy::relay_only));
  (void)world.simulation.run_for(10s);
  EXPECT_TRUE(world.relayed());
  // Neither knows a direct way to the other: the caller's addresses were not told, and it heeds
  // none.
  for (const auto& [node, peer] : {std::pair{&world.a, &world.b}, std::pair{&world.b, &world.a}}) {
    for (const PathReport& path : (*node)->core().connectivity().paths((*peer)->id()))
      EXPECT_TRUE(is_relayed(path.path)) << path.path.remote.to_string();
  }
  // Whoever asks the relay where the other end is may be asked about.
  ASSERT_TRUE(world.b->core().nat()) << "what the caller would ask about";
  EXPECT_EQ(attestations(world), 0u);
}

// A peer may say of any address that a TURN server relays for it there.
TEST(TraversalPolicy, relay_only_goes_to_no_address_that_the_peer_calls_relayed) {
  World world(1, full_cone, full_cone);
  ASSERT_TRUE(world.dial(PathPolicy::relay_only));
  world.b->command([](NodeCore& core, Instant) {
    CandidatesMessage told;
    told.candidates.push_back(
        {CandidateKind::relayed, SocketAddress::parse("203.0.113.2:4433").value()});
    core.connectivity().set_candidates(std::move(told));
  });
  (void)world.simulation.run_for(10s);
  EXPECT_TRUE(world.relayed());
  for (const PathReport& path : world.a->core().connectivity().paths(world.b->id()))
    EXPECT_TRUE(is_relayed(path.path)) << path.path.remote.to_string();
}

TEST(TraversalPolicy, a_relay_does_not_wait_for_an_address_that_is_silent) {
  World world(5, full_cone, full_cone);
  ASSERT_TRUE(world.simulation.run_until([&] { return world.relays_up >= 2; }, 5s));
  const InterfaceId own = world.simulation.network().interfaces_of(world.a->host())[0];
  const NetworkPath nobody = world.a->path(own, SocketAddress::parse("203.0.113.99:4433").value());
  ASSERT_TRUE(world.a->command([&](NodeCore& core, Instant now) {
    return core.connect(now, world.b->id(), std::span(&nobody, 1));
  }));
  EXPECT_TRUE(world.simulation.run_until([&] { return world.connected(); },
                                         world.simulation.elapsed() + 1s));
}

TEST(TraversalPolicy, a_goodbye_is_heard_over_the_relay) {
  World world(6, symmetric, symmetric);
  ASSERT_TRUE(world.dial());
  (void)world.simulation.run_for(2s);
  ASSERT_TRUE(world.relayed());
  world.a->command([](NodeCore& core, Instant now) { core.begin_close(now); });
  (void)world.simulation.run_for(500ms);
  EXPECT_FALSE(world.b->core().connectivity().connected(world.a->id()));
}

TEST(TraversalPolicy, a_peer_is_dialled_again_over_the_relay) {
  World world(3, symmetric, symmetric);
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(world.dial()) << round;
    (void)world.simulation.run_for(2s);
    world.a->command(
        [&](NodeCore& core, Instant now) { core.disconnect(now, world.b->id(), "round over"); });
    (void)world.simulation.run_for(100ms);
    EXPECT_FALSE(world.b->core().connectivity().connected(world.a->id()));
  }
}

// The peer's own words would aim this node's probes at anybody: S1.42 within THREATS TQ9.
TEST(TraversalPolicy, a_peer_that_names_address_after_address_gets_few_probes) {
  World world(4, std::nullopt, std::nullopt);
  ASSERT_TRUE(world.dial());
  for (int round = 0; round < 15; ++round) {
    CandidatesMessage message;
    for (std::size_t i = 0; i < candidates_told_max; ++i) {
      const auto last = static_cast<std::uint8_t>(i + 1);
      const auto third = static_cast<std::uint8_t>(round);
      message.candidates.push_back(
          {CandidateKind::host, {IpAddress::v4({198, 18, third, last}), 4433}});
    }
    world.b->command(
        [&](NodeCore& core, Instant) { core.connectivity().set_candidates(std::move(message)); });
    (void)world.simulation.run_for(50ms);
  }
  const auto& counters = world.a->core().connectivity().counters();
  EXPECT_GE(counters.paths_refused, 15 * candidates_told_max - PathAllowance::burst - 5);
  EXPECT_GE(counters.targets_dropped, PathAllowance::burst - PathProber::targets_max);
}

// On lines that lose much, each may have another connection for a while, and take itself for the
// dialler, or for the acceptor. A leader refuses what another leader says.
TEST(TraversalPolicy, of_two_that_dial_each_other_one_leads_the_punch) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    World world(seed, port_restricted, port_restricted);
    const auto ready = [&] {
      return world.relays_up >= 2 && world.a->core().nat() && world.b->core().nat();
    };
    ASSERT_TRUE(world.simulation.run_until(ready, 10s));
    for (const auto* node : {&world.a, &world.b}) {
      Network& network = world.simulation.network();
      const InterfaceId interface = network.interfaces_of((*node)->host())[0];
      const Network::Links links = network.access_links(network.attachment_of(interface));
      for (const LinkId link : {links.up, links.down}) {
        LinkConfig lossy = network.link(link).config();
        lossy.loss = Loss::independent({1, 5});
        EXPECT_TRUE(network.set_link(world.simulation.now(), link, lossy));
      }
    }
    const auto dial = [](MeshNode& from, const MeshNode& to) {
      EXPECT_TRUE(from.command([&](NodeCore& core, Instant now) {
        return core.connect(now, to.id(), std::span<const NetworkPath>{});
      }));
    };
    dial(*world.a, *world.b);
    ASSERT_TRUE(world.simulation.run_for(1ms * seed));
    dial(*world.b, *world.a);
    ASSERT_TRUE(world.simulation.run_for(20s));
    for (const auto* node : {&world.a, &world.b}) {
      const PuncherCounters& counters = (*node)->core().punching().puncher().counters();
      EXPECT_GT(counters.started, 0u) << "seed " << seed;
      EXPECT_EQ(counters.messages_refused, 0u) << "seed " << seed;
    }
  }
}

TEST(TraversalPolicy, a_peer_that_no_relay_knows_is_unreachable) {
  World world(1, full_cone, full_cone);
  ASSERT_TRUE(world.simulation.run_until([&] { return world.relays_up >= 2; }, 5s));
  NodeId nobody;
  nobody.bytes.fill(7);
  ASSERT_TRUE(world.a->command([&](NodeCore& core, Instant now) {
    return core.connect(now, nobody, std::span<const NetworkPath>{});
  }));
  ASSERT_TRUE(world.simulation.run_until([&] { return bool(world.unreachable); }, 15s));
  EXPECT_EQ(world.unreachable, RelayErrc::not_here);
}

}  // namespace
}  // namespace quicmesh::sim
