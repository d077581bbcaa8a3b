// What each kind of NAT is told to expect (issue: `quicmesh doctor`).
#include "nat/nat_prospects.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

using enum PunchTechnique;
constexpr auto independent = NatBehaviour::endpoint_independent;
constexpr auto strict = NatBehaviour::address_and_port_dependent;

NatProfile measured(NatBehaviour mapping, NatBehaviour filtering) {
  NatProfile profile;
  profile.mapping = mapping;
  profile.filtering = filtering;
  profile.translated = Finding::yes;
  profile.udp_blocked = Finding::no;
  profile.port_allocation = PortAllocation::random;
  profile.port_confidence = 100;
  return profile;
}

std::vector<PunchTechnique> techniques(const NatProfile& ours) {
  std::vector<PunchTechnique> out;
  for (const NatProspect& prospect : nat_prospects(ours))
    out.push_back(prospect.plan.technique);
  return out;
}

using List = std::vector<PunchTechnique>;

TEST(NatProspects, an_open_network_reaches_everybody_plainly) {
  const NatProfile ours = measured(independent, independent);
  EXPECT_EQ(techniques(ours), List(6, plain));
  EXPECT_EQ(remedy_for(ours), PunchRemedy::nothing);
}

TEST(NatProspects, a_strict_filter_needs_timing_prediction_and_guesses) {
  const NatProfile ours = measured(independent, strict);
  EXPECT_EQ(techniques(ours), (List{plain, plain, plain, synchronised, predict, birthday}));
  EXPECT_EQ(remedy_for(ours), PunchRemedy::map_port_here);
}

TEST(NatProspects, random_ports_stay_relayed_among_themselves) {
  const NatProfile ours = measured(strict, strict);
  EXPECT_EQ(techniques(ours), (List{plain, plain, plain, birthday, relay, relay}));
  EXPECT_EQ(remedy_for(ours), PunchRemedy::map_port_here);
}

TEST(NatProspects, behind_a_carriers_nat_no_router_helps) {
  NatProfile ours = measured(strict, strict);
  ours.cgnat = Finding::yes;
  EXPECT_EQ(remedy_for(ours), PunchRemedy::public_address_here);
}

TEST(NatProspects, blocked_udp_comes_first) {
  NatProfile ours;
  ours.udp_blocked = Finding::yes;
  EXPECT_EQ(techniques(ours), List(6, relay));
  EXPECT_EQ(remedy_for(ours), PunchRemedy::allow_udp_here);
}

TEST(NatProspects, what_is_not_measured_is_to_be_measured) {
  EXPECT_EQ(remedy_for({}), PunchRemedy::learn_profile);
  EXPECT_EQ(remedy_for(measured(independent, NatBehaviour::unknown)), PunchRemedy::learn_profile);
}

}  // namespace
}  // namespace quicmesh
