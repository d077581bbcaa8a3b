// What a node says about its own decisions, after they were taken in a simulated world (pains U1 to
// U4: a connection that stays relayed must say why, and what would help).
#include <algorithm>

#include "sim/traversal_world.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {
namespace {

using World = TraversalWorld;

const DecisionReport* last_of(const Explanation& why, std::string_view kind) {
  const auto found =
      std::ranges::find(why.decisions.rbegin(), why.decisions.rend(), kind, &DecisionReport::kind);
  return found == why.decisions.rend() ? nullptr : &*found;
}

template <class T>
std::optional<T> field(const DecisionReport* report, std::string_view name) {
  if (report == nullptr) return std::nullopt;
  const auto found = std::ranges::find(report->fields, name, &DecisionField::name);
  if (found == report->fields.end()) return std::nullopt;
  const T* value = std::get_if<T>(&found->value);
  return value == nullptr ? std::nullopt : std::optional<T>(*value);
}

std::optional<std::string> text_field(const DecisionReport* report, std::string_view name) {
  return field<std::string>(report, name);
}

Explanation why(const World& world, const MeshNode& node, const MeshNode& peer) {
  return node.core().explain(world.simulation.now(), peer.id());
}

bool goes_direct(World& world) {
  const auto both = [&] {
    return !is_relayed(*world.a->core().connectivity().current_path(world.b->id())) &&
           !is_relayed(*world.b->core().connectivity().current_path(world.a->id()));
  };
  return bool(world.simulation.run_until(both, world.simulation.elapsed() + 30s));
}

TEST(Explain, a_punched_path_names_its_technique_and_its_rule) {
  World world(1, port_restricted, sequential);
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(goes_direct(world));
  for (const auto& [node, peer] : {std::pair{&world.a, &world.b}, std::pair{&world.b, &world.a}}) {
    const Explanation told = why(world, **node, **peer);
    EXPECT_TRUE(told.connected);
    EXPECT_FALSE(told.relay);
    EXPECT_EQ(told.technique, "predict");
    EXPECT_EQ(told.plan, "predict");
    EXPECT_EQ(told.remedy, "");
    const auto* plan = last_of(told, "plan");
    EXPECT_EQ(text_field(plan, "reason"), std::string(to_sentence(PunchReason::ports_follow)));
    const auto* punch = last_of(told, "punch_ended");
    EXPECT_EQ(text_field(punch, "outcome"), "direct");
    EXPECT_EQ(text_field(punch, "technique"), "predict");
    const auto* move = last_of(told, "moved");
    ASSERT_NE(move, nullptr);
    EXPECT_TRUE(text_field(move, "from_relay"));
    EXPECT_FALSE(text_field(move, "to_relay"));
    EXPECT_EQ(text_field(move, "to"), told.remote->to_string());
  }
  // The dialler knows what it compared: a relayed path of 40 ms costs 100 ms.
  const Explanation dialler = why(world, *world.a, *world.b);
  const auto* move = last_of(dialler, "moved");
  EXPECT_EQ(text_field(move, "rule"), "cheaper");
  EXPECT_GE(field<std::int64_t>(move, "cost_from_us").value_or(0), 100'000);
  EXPECT_LE(field<std::int64_t>(move, "cost_to_us").value_or(0), 60'000);
  EXPECT_NE(dialler.rule.find(" instead of "), std::string::npos) << dialler.rule;
  const Explanation acceptor = why(world, *world.b, *world.a);
  EXPECT_EQ(text_field(last_of(acceptor, "moved"), "rule"), "followed");
}

TEST(Explain, a_path_that_needed_no_punch_is_plain) {
  World world(2, full_cone, port_restricted);
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(goes_direct(world));
  ASSERT_TRUE(world.simulation.run_for(5s));
  const Explanation told = why(world, *world.a, *world.b);
  EXPECT_EQ(told.technique, "plain");
  EXPECT_EQ(last_of(told, "punch_ended"), nullptr);
}

// U13.
TEST(Explain, two_random_nats_say_relay_and_what_would_help) {
  World world(7, symmetric, symmetric);
  ASSERT_TRUE(world.dial());
  ASSERT_TRUE(world.simulation.run_for(10s));
  for (const auto& [node, peer] : {std::pair{&world.a, &world.b}, std::pair{&world.b, &world.a}}) {
    const Explanation told = why(world, **node, **peer);
    EXPECT_EQ(told.relay, world.relay->id());
    EXPECT_EQ(told.technique, "relay");
    EXPECT_EQ(told.plan, "relay");
    EXPECT_EQ(told.nat_here, ClassicNatType::symmetric);
    EXPECT_EQ(told.nat_there, ClassicNatType::symmetric);
    EXPECT_EQ(told.reason, std::string(to_sentence(PunchReason::both_dependent)));
    EXPECT_EQ(told.remedy, std::string(to_sentence(PunchRemedy::map_port_either)));
    EXPECT_NE(last_of(told, "relay_session"), nullptr);
    EXPECT_NE(last_of(told, "connected"), nullptr);
  }
  const Explanation account = why(world, *world.a, *world.b);
  const auto* dialled = last_of(account, "dialled");
  ASSERT_NE(dialled, nullptr);
  EXPECT_EQ(field<bool>(dialled, "relays_asked"), true);
}

TEST(Explain, relay_only_says_that_it_is_the_policy) {
  World world(1, full_cone, full_cone);
  ASSERT_TRUE(world.dial(PathPolicy::relay_only));
  ASSERT_TRUE(world.simulation.run_for(5s));
  const Explanation told = why(world, *world.a, *world.b);
  EXPECT_EQ(told.technique, "relay");
  EXPECT_NE(told.remedy.find("relay-only"), std::string::npos) << told.remedy;
}

TEST(Explain, a_peer_that_no_relay_has_says_so) {
  World world(1, full_cone, full_cone);
  ASSERT_TRUE(world.simulation.run_until([&] { return world.relays_up >= 2; }, 5s));
  NodeId nobody;
  nobody.bytes.fill(7);
  ASSERT_TRUE(world.a->command([&](NodeCore& core, Instant now) {
    return core.connect(now, nobody, std::span<const NetworkPath>{});
  }));
  ASSERT_TRUE(world.simulation.run_until([&] { return bool(world.unreachable); }, 15s));
  const Explanation told = world.a->core().explain(world.simulation.now(), nobody);
  EXPECT_FALSE(told.connected);
  EXPECT_EQ(told.technique, "");
  EXPECT_EQ(told.reason, make_error_code(RelayErrc::not_here).message());
  EXPECT_EQ(told.remedy, hint(make_error_code(RelayErrc::not_here)));
  EXPECT_NE(last_of(told, "no_relay_has_peer"), nullptr);
  EXPECT_NE(last_of(told, "unreachable"), nullptr);
}

TEST(Explain, nothing_is_known_of_a_stranger) {
  const World world(1, full_cone, full_cone);
  const Explanation told = world.a->core().explain(world.simulation.now(), world.b->id());
  EXPECT_FALSE(told.connected);
  EXPECT_TRUE(told.decisions.empty());
}

// A claim that is not probed is written down once, however often it is made.
TEST(Explain, refused_candidates_are_named_with_their_rule) {
  World world(3, std::nullopt, std::nullopt);
  ASSERT_TRUE(world.dial());
  for (std::uint16_t round = 0; round < 5; ++round) {
    CandidatesMessage message;
    message.candidates = {{CandidateKind::host, SocketAddress::parse("10.1.2.3:4433").value()},
                          {CandidateKind::host, SocketAddress::parse("192.0.2.77:53").value()},
                          {CandidateKind::mapped, SocketAddress::parse("127.0.0.1:5000").value()},
                          {CandidateKind::host, {IpAddress::v4({203, 0, 113, 50}), round}}};
    world.b->command(
        [&](NodeCore& core, Instant) { core.connectivity().set_candidates(std::move(message)); });
    ASSERT_TRUE(world.simulation.run_for(100ms));
  }
  const Explanation told = why(world, *world.a, *world.b);
  std::map<std::string, std::string> rules;
  for (const DecisionReport& report : told.decisions) {
    if (report.kind != "candidate_refused") continue;
    rules[*text_field(&report, "address")] = *text_field(&report, "rule");
    if (text_field(&report, "address") == "10.1.2.3:4433") {
      EXPECT_EQ(report.times, 5u);
    }
  }
  EXPECT_EQ(rules["10.1.2.3:4433"], "other_network");
  EXPECT_EQ(rules["192.0.2.77:53"], "system_port");
  EXPECT_EQ(rules["127.0.0.1:5000"], "loopback");
}

// S1.47: what `paths` shows after a transfer that began on the relay and ended on a direct path.
TEST(Explain, paths_have_kinds_states_and_bytes) {
  World world(5, port_restricted, sequential);
  ASSERT_TRUE(world.dial());
  VerifiedTransfer transfer(*world.a, *world.b, 3'000'000, 1);
  ASSERT_TRUE(world.simulation.run_until(
      [&] { return transfer.finished() && world.direct_at.has_value(); }, 60s));
  ASSERT_TRUE(world.simulation.run_for(30s));
  const auto paths = world.a->core().paths(world.simulation.now(), world.b->id());
  ASSERT_GE(paths.size(), 2u);
  EXPECT_TRUE(paths[0].current);
  EXPECT_EQ(paths[0].state, PathState::current);
  EXPECT_FALSE(paths[0].relay);
  EXPECT_EQ(std::ranges::count(paths, true, &PathStatus::current), 1);
  const auto relayed = std::ranges::find(paths, PathKind::relay, &PathStatus::kind);
  ASSERT_NE(relayed, paths.end());
  EXPECT_EQ(relayed->relay, world.relay->id());
  EXPECT_EQ(relayed->state, PathState::standby);
  EXPECT_GT(relayed->bytes_sent, 0u);
  EXPECT_GT(relayed->bytes_received, 0u);
  EXPECT_GT(relayed->probes_sent, 0u);
  EXPECT_EQ(relayed->probes_answered, relayed->probes_sent) << "nothing is lost in this world";
  EXPECT_GE(paths[0].bytes_sent + relayed->bytes_sent, 3'000'000u);
  // The peer's main socket is behind a NAT that takes another port for us.
  const auto told = std::ranges::find(paths, PathKind::server_reflexive, &PathStatus::kind);
  ASSERT_NE(told, paths.end());
  EXPECT_FALSE(told->rtt);
  EXPECT_NE(told->state, PathState::standby);
  EXPECT_GT(told->probes_sent, 0u);
  EXPECT_EQ(told->probes_answered, 0u);
}

}  // namespace
}  // namespace quicmesh::sim
