#include "nat/punch_plan.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace quicmesh {
namespace {

struct Allocation {
  PortAllocation kind;
  std::int16_t delta;
  std::uint8_t confidence;
  bool foretold;
};
constexpr Allocation allocations[] = {
    {PortAllocation::unknown, 0, 0, false},     {PortAllocation::preserved, 0, 100, true},
    {PortAllocation::sequential, 1, 100, true}, {PortAllocation::sequential, -3, 50, true},
    {PortAllocation::sequential, 2, 25, false}, {PortAllocation::random, 0, 100, false},
};
constexpr NatBehaviour behaviours[] = {NatBehaviour::unknown, NatBehaviour::endpoint_independent,
                                       NatBehaviour::address_dependent,
                                       NatBehaviour::address_and_port_dependent};

struct Side {
  NatProfile profile;
  bool cone;      // one external port for everybody
  bool strict;    // lets in only whom it sent to, port included
  bool foretold;  // its next port
};

std::vector<Side> sides() {
  std::vector<Side> all;
  for (const NatBehaviour mapping : behaviours) {
    for (const NatBehaviour filtering : behaviours) {
      for (const Allocation& allocation : allocations) {
        NatProfile profile{.mapping = mapping,
                           .filtering = filtering,
                           .port_allocation = allocation.kind,
                           .port_delta = allocation.delta,
                           .port_confidence = allocation.confidence,
                           .port_samples = 5,
                           .udp_blocked = Finding::no};
        all.push_back({profile, mapping == NatBehaviour::endpoint_independent,
                       filtering != NatBehaviour::endpoint_independent &&
                           filtering != NatBehaviour::address_dependent,
                       allocation.foretold});
      }
    }
  }
  return all;
}

// The rule of docs/protocols/punch.md, written as a table of what each pair is, not as a decision
// tree.
PunchTechnique expected(const Side& a, const Side& b) {
  const int cones = a.cone + b.cone;
  if (cones == 2) {
    return a.strict && b.strict ? PunchTechnique::synchronised : PunchTechnique::plain;
  }
  if (cones == 0) return a.foretold && b.foretold ? PunchTechnique::predict : PunchTechnique::relay;
  const Side& cone = a.cone ? a : b;
  const Side& other = a.cone ? b : a;
  if (!cone.strict) return PunchTechnique::plain;
  return other.foretold ? PunchTechnique::predict : PunchTechnique::birthday;
}

TEST(PunchPlan, follows_the_rule_for_every_pair) {
  const std::vector<Side> all = sides();
  std::set<PunchTechnique> seen;
  for (const Side& a : all) {
    for (const Side& b : all) {
      const PunchPlan plan = plan_punch(a.profile, b.profile);
      ASSERT_EQ(to_string(plan.technique), to_string(expected(a, b)));
      seen.insert(plan.technique);
      switch (plan.technique) {
        case PunchTechnique::birthday:
          ASSERT_EQ(plan.role, a.cone ? PunchRole::random_ports : PunchRole::many_sockets);
          break;
        case PunchTechnique::predict:
          ASSERT_EQ(plan.role, a.cone   ? PunchRole::predicting
                               : b.cone ? PunchRole::predicted
                                        : PunchRole::same);
          break;
        default:
          ASSERT_EQ(plan.role, PunchRole::same);
      }
    }
  }
  EXPECT_EQ(seen.size(), 5u);
}

TEST(PunchPlan, gives_both_ends_matching_halves) {
  const std::vector<Side> all = sides();
  for (const Side& a : all) {
    for (const Side& b : all) {
      const PunchPlan here = plan_punch(a.profile, b.profile);
      const PunchPlan there = plan_punch(b.profile, a.profile);
      ASSERT_EQ(here.technique, there.technique);
      ASSERT_EQ(here.reason, there.reason);
      ASSERT_EQ(here.role, opposite(there.role));
    }
  }
}

// The laboratory and scripts read these, in events as in `why`.
TEST(PunchPlan, techniques_have_stable_names) {
  EXPECT_EQ(to_string(PunchTechnique::plain), "plain");
  EXPECT_EQ(to_string(PunchTechnique::synchronised), "synchronised");
  EXPECT_EQ(to_string(PunchTechnique::predict), "predict");
  EXPECT_EQ(to_string(PunchTechnique::birthday), "birthday");
  EXPECT_EQ(to_string(PunchTechnique::relay), "relay");
}

// The seed's pairs S1.37, S1.38, S1.39, and those of N1 that only prediction or guessing opens.
TEST(PunchPlan, names_the_technique_of_the_classic_pairs) {
  const NatProfile full{.mapping = NatBehaviour::endpoint_independent,
                        .filtering = NatBehaviour::endpoint_independent};
  const NatProfile restricted{.mapping = NatBehaviour::endpoint_independent,
                              .filtering = NatBehaviour::address_dependent};
  const NatProfile port_restricted{.mapping = NatBehaviour::endpoint_independent,
                                   .filtering = NatBehaviour::address_and_port_dependent};
  const NatProfile random{.mapping = NatBehaviour::address_and_port_dependent,
                          .filtering = NatBehaviour::address_and_port_dependent,
                          .port_allocation = PortAllocation::random,
                          .port_confidence = 100};
  NatProfile sequential = random;
  sequential.port_allocation = PortAllocation::sequential;
  sequential.port_delta = 1;
  const auto technique = [](const NatProfile& a, const NatProfile& b) {
    return plan_punch(a, b).technique;
  };
  EXPECT_EQ(technique(full, full), PunchTechnique::plain);
  EXPECT_EQ(technique(full, port_restricted), PunchTechnique::plain);
  EXPECT_EQ(technique(restricted, restricted), PunchTechnique::plain);
  EXPECT_EQ(technique(restricted, random), PunchTechnique::plain);
  EXPECT_EQ(technique(port_restricted, port_restricted), PunchTechnique::synchronised);
  EXPECT_EQ(technique(port_restricted, sequential), PunchTechnique::predict);
  EXPECT_EQ(technique(sequential, sequential), PunchTechnique::predict);
  EXPECT_EQ(technique(port_restricted, random), PunchTechnique::birthday);
  EXPECT_EQ(technique(sequential, random), PunchTechnique::relay);
  EXPECT_EQ(technique(random, random), PunchTechnique::relay);
}

TEST(PunchPlan, is_plain_where_nothing_is_known_and_relay_where_udp_is_blocked) {
  const NatProfile known{.mapping = NatBehaviour::address_and_port_dependent};
  EXPECT_EQ(plan_punch({}, known).technique, PunchTechnique::plain);
  EXPECT_EQ(plan_punch(known, {}).reason, PunchReason::no_profile);
  const NatProfile blocked{.udp_blocked = Finding::yes};
  EXPECT_EQ(plan_punch(blocked, known).technique, PunchTechnique::relay);
  EXPECT_EQ(plan_punch(blocked, known).remedy, PunchRemedy::allow_udp_here);
  EXPECT_EQ(plan_punch({}, blocked).technique, PunchTechnique::relay);
  EXPECT_EQ(plan_punch({}, blocked).remedy, PunchRemedy::allow_udp_there);
}

TEST(PunchPlan, does_not_foretell_ports_of_addresses_that_change) {
  const NatProfile strict{.mapping = NatBehaviour::endpoint_independent};
  NatProfile pooled{.mapping = NatBehaviour::address_dependent,
                    .port_allocation = PortAllocation::sequential,
                    .port_delta = 1,
                    .port_confidence = 100};
  EXPECT_EQ(plan_punch(pooled, strict).technique, PunchTechnique::predict);
  pooled.pooled = Finding::yes;
  EXPECT_EQ(plan_punch(pooled, strict).technique, PunchTechnique::birthday);
}

TEST(PunchPlan, says_what_would_help_and_who_can_do_it) {
  NatProfile a{.mapping = NatBehaviour::address_and_port_dependent};
  NatProfile b = a;
  EXPECT_EQ(plan_punch(a, b).remedy, PunchRemedy::map_port_either);
  a.cgnat = Finding::yes;
  EXPECT_EQ(plan_punch(a, b).remedy, PunchRemedy::map_port_there);
  EXPECT_EQ(plan_punch(b, a).remedy, PunchRemedy::map_port_here);
  b.cgnat = Finding::yes;
  EXPECT_EQ(plan_punch(a, b).remedy, PunchRemedy::public_address_here);
  b.mapping = NatBehaviour::endpoint_independent;
  EXPECT_EQ(plan_punch(b, a).remedy, PunchRemedy::public_address_there);
  EXPECT_EQ(plan_punch({}, a).remedy, PunchRemedy::learn_profile);
}

TEST(PunchPlan, has_a_sentence_of_its_own_for_everything) {
  std::set<std::string_view> sentences;
  for (int i = 0; i <= static_cast<int>(PunchReason::udp_blocked); ++i)
    sentences.insert(to_sentence(static_cast<PunchReason>(i)));
  EXPECT_EQ(sentences.size(), static_cast<std::size_t>(PunchReason::udp_blocked) + 1);
  sentences.clear();
  for (int i = 0; i <= static_cast<int>(PunchRemedy::allow_udp_there); ++i)
    sentences.insert(to_sentence(static_cast<PunchRemedy>(i)));
  EXPECT_EQ(sentences.size(), static_cast<std::size_t>(PunchRemedy::allow_udp_there) + 1);
  EXPECT_TRUE(to_sentence(PunchRemedy::nothing).empty());
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(PunchTechnique::relay); ++i)
    names.insert(to_string(static_cast<PunchTechnique>(i)));
  for (int i = 0; i <= static_cast<int>(PunchRole::random_ports); ++i)
    names.insert(to_string(static_cast<PunchRole>(i)));
  EXPECT_EQ(names.size(), 10u);
}

}  // namespace
}  // namespace quicmesh
