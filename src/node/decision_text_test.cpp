// Every kind of decision has words, and fields that scripts can read.
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "node/decision.hpp"
#include "quicmesh/path_status.hpp"
#include "relay/relay_errc.hpp"

namespace quicmesh {
namespace {

NodeId relay_id() {
  NodeId id;
  id.bytes.fill(5);
  return id;
}

const SocketAddress direct{IpAddress::v4({192, 0, 2, 1}), 4433};
const PathName direct_path{direct, std::nullopt};
const PathName relayed_path{{IpAddress::v4({198, 51, 100, 7}), 443}, relay_id()};

const PathName turn_path{direct, std::nullopt, true};

struct Case {
  Decision decision;
  std::string kind;
  std::string text;  // all of it
};

std::vector<Case> cases() {
  using namespace decision;
  const std::string relay = relay_id().prefix();
  const PunchPlan birthday{PunchTechnique::birthday, PunchRole::random_ports,
                           PunchReason::ports_random, PunchRemedy::map_port_here};
  const std::string not_here = make_error_code(RelayErrc::not_here).message();
  return {
      {Dialled{1, false, PathPolicy::any}, "dialled", "Dialled 1 address"},
      {Dialled{3, true, PathPolicy::any}, "dialled",
       "Dialled 3 addresses, and asked the relays for the peer"},
      {Dialled{0, true, PathPolicy::relay_only}, "dialled", "Asked the relays for the peer"},
      {Dialled{2, false, PathPolicy::direct_only}, "dialled",
       "Dialled 2 addresses; relays are not allowed"},
      {SessionUp{relay_id()}, "relay_session",
       "The relay " + relay + " has the peer: a session over it stands"},
      {SessionDown{relay_id(), RelayErrc::not_here}, "relay_session_over",
       "The session over the relay " + relay + " is over: " + not_here},
      {NoRelayHasPeer{RelayErrc::not_here}, "no_relay_has_peer",
       "No relay has the peer: " + not_here},
      {DirectFailed{RelayErrc::not_here, ""}, "direct_failed",
       "No address answered, the relays are still being asked: " + not_here},
      {Unreachable{RelayErrc::not_here, "go away"}, "unreachable",
       "Could not be reached: " + not_here + " (\"go away\")"},
      {FirstAnswered{direct_path, 1500us, true}, "connected",
       "Connected: the direct path to 192.0.2.1:4433 answered first, in 1.5 ms"},
      {FirstAnswered{relayed_path, 40ms, false}, "connected",
       "The peer connected: the relay " + relay +
           " at 198.51.100.7:443 answered first, in 40.0 ms"},
      {FirstAnswered{turn_path, 40ms, true}, "connected",
       "Connected: the path to 192.0.2.1:4433 over a TURN server answered first, in 40.0 ms"},
      {CandidateRefused{{CandidateKind::host, {IpAddress::v4({10, 0, 0, 1}), 4433}},
                        CandidateRule::other_network},
       "candidate_refused",
       "Did not probe 10.0.0.1:4433, which the peer named: a private address of another network"},
      {PlanMade{birthday, ClassicNatType::port_restricted_cone, ClassicNatType::symmetric}, "plan",
       "Plan: birthday. Here: " + std::string(to_string(ClassicNatType::port_restricted_cone)) +
           ", there: " + std::string(to_string(ClassicNatType::symmetric)) +
           ". One NAT takes another random external port for each peer: ports must be guessed"},
      {PunchOver{PunchTechnique::predict, PunchOutcome::direct, 12, 1, 230ms, {}}, "punch_ended",
       "Punching by predict made a way through, after 12 probes and 230.0 ms"},
      {PunchOver{PunchTechnique::birthday, PunchOutcome::silent_peer, 0, 1, 4s, 30s}, "punch_ended",
       "Punching by birthday failed: " + std::string(to_string(PunchOutcome::silent_peer)) +
           ", after 0 probes and 4000.0 ms; again in 30 s"},
      {Moved{relayed_path, direct_path, 20ms, {}, {MoveRule::cheaper, 100ms, 20ms}}, "moved",
       "Moved from the relay " + relay +
           " at 198.51.100.7:443 to the direct path to 192.0.2.1:4433: it costs 20.0 ms instead of "
           "100.0 ms, a round trip each, a relayed one counted twice with 20 ms more"},
      {HeldDown{direct_path, 4s}, "held_down",
       "Keeps off the direct path to 192.0.2.1:4433 for 4 s: it failed while it was in use"},
      {PathUnusable{direct_path, UnusableRule::too_narrow}, "path_unusable",
       "Did not move to the direct path to 192.0.2.1:4433: it answers small packets, but none of "
       "the 1,200 bytes that QUIC needs came back"},
      {PathUnusable{direct_path, UnusableRule::no_answer}, "path_unusable",
       "Did not move to the direct path to 192.0.2.1:4433: it does not answer any more"},
      {Disconnected{RelayErrc::not_here, "bye"}, "disconnected",
       "Disconnected: " + not_here + " (\"bye\")"},
  };
}

TEST(DecisionText, every_kind_has_its_words) {
  std::set<std::size_t> seen;
  for (const Case& one : cases()) {
    EXPECT_EQ(kind_of(one.decision), one.kind);
    EXPECT_EQ(to_text(one.decision), one.text);
    EXPECT_FALSE(fields_of(one.decision).empty()) << one.kind;
    seen.insert(one.decision.index());
  }
  EXPECT_EQ(seen.size(), std::variant_size_v<Decision>) << "a kind is missing in this test";
}

std::map<std::string_view, std::variant<bool, std::int64_t, std::string>> fields(
    const Decision& decision) {
  std::map<std::string_view, std::variant<bool, std::int64_t, std::string>> out;
  for (const DecisionField& field : fields_of(decision)) {
    EXPECT_TRUE(out.emplace(field.name, field.value).second) << field.name << " twice";
  }
  return out;
}

TEST(DecisionText, fields_have_what_the_sentence_says) {
  const auto move = fields(
      decision::Moved{relayed_path, direct_path, 20ms, {}, {MoveRule::cheaper, 100ms, 20ms}});
  EXPECT_EQ(std::get<std::string>(move.at("rule")), "cheaper");
  EXPECT_EQ(std::get<std::string>(move.at("from_relay")), relay_id().to_hex());
  EXPECT_EQ(std::get<std::string>(move.at("to")), "192.0.2.1:4433");
  EXPECT_FALSE(move.contains("to_relay"));
  EXPECT_EQ(std::get<std::int64_t>(move.at("cost_from_us")), 100'000);
  EXPECT_EQ(std::get<std::int64_t>(move.at("cost_to_us")), 20'000);
  const auto punch =
      fields(decision::PunchOver{PunchTechnique::predict, PunchOutcome::direct, 12, 1, 230ms, {}});
  EXPECT_EQ(std::get<std::string>(punch.at("technique")), "predict");
  EXPECT_EQ(std::get<std::int64_t>(punch.at("probes")), 12);
}

TEST(DecisionText, every_rule_of_a_move_has_its_own_sentence) {
  std::set<std::string> sentences;
  for (int rule = 0; rule <= static_cast<int>(MoveRule::overload); ++rule) {
    decision::Moved moved{direct_path, relayed_path, 1ms, 200ms, {}};
    moved.why.rule = static_cast<MoveRule>(rule);
    EXPECT_TRUE(sentences.insert(rule_text(moved)).second) << rule;
    EXPECT_TRUE(sentences.insert(std::get<std::string>(fields(moved).at("rule"))).second) << rule;
  }
  decision::Moved rescue{direct_path, relayed_path, 1ms, 200ms, {MoveRule::rescue, {}, {}}};
  EXPECT_EQ(rule_text(rescue), "the other path was silent for 200.0 ms, and this one answered");
}

TEST(DecisionText, every_rule_for_candidates_has_its_own_sentence) {
  std::set<std::string> sentences;
  for (int rule = 0; rule <= static_cast<int>(CandidateRule::told_twice); ++rule) {
    const decision::CandidateRefused refused{{CandidateKind::host, direct},
                                             static_cast<CandidateRule>(rule)};
    EXPECT_TRUE(sentences.insert(to_text(refused)).second) << rule;
    EXPECT_TRUE(sentences.insert(std::get<std::string>(fields(refused).at("rule"))).second) << rule;
  }
}

}  // namespace
}  // namespace quicmesh
