// See nat_prospects.hpp.
#include "nat/nat_prospects.hpp"

#include <algorithm>

namespace quicmesh {
namespace {

NatProfile profile_of(ClassicNatType type, bool foreseeable) {
  NatProfile profile;
  const bool symmetric = type == ClassicNatType::symmetric;
  profile.translated = type == ClassicNatType::none ? Finding::no : Finding::yes;
  profile.udp_blocked = Finding::no;
  profile.mapping =
      symmetric ? NatBehaviour::address_and_port_dependent : NatBehaviour::endpoint_independent;
  profile.filtering = NatBehaviour::address_and_port_dependent;
  if (type == ClassicNatType::none || type == ClassicNatType::full_cone) {
    profile.filtering = NatBehaviour::endpoint_independent;
  } else if (type == ClassicNatType::restricted_cone) {
    profile.filtering = NatBehaviour::address_dependent;
  }
  profile.port_confidence = 100;
  profile.port_allocation = symmetric ? PortAllocation::random : PortAllocation::preserved;
  if (symmetric && foreseeable) {
    profile.port_allocation = PortAllocation::sequential;
    profile.port_delta = 1;
  }
  return profile;
}

}  // namespace

std::array<NatProspect, nat_prospects_size> nat_prospects(const NatProfile& ours) {
  std::array<NatProspect, nat_prospects_size> prospects{{
      {ClassicNatType::none, false, {}},
      {ClassicNatType::full_cone, false, {}},
      {ClassicNatType::restricted_cone, false, {}},
      {ClassicNatType::port_restricted_cone, false, {}},
      {ClassicNatType::symmetric, true, {}},
      {ClassicNatType::symmetric, false, {}},
  }};
  for (NatProspect& prospect : prospects)
    prospect.plan = plan_punch(ours, profile_of(prospect.peer, prospect.foreseeable));
  return prospects;
}

PunchRemedy remedy_for(const NatProfile& ours) {
  if (ours.udp_blocked == Finding::yes) return PunchRemedy::allow_udp_here;
  const bool measured =
      ours.mapping != NatBehaviour::unknown && ours.filtering != NatBehaviour::unknown;
  if (!measured) return PunchRemedy::learn_profile;
  const bool wanting = std::ranges::any_of(nat_prospects(ours), [](const NatProspect& prospect) {
    return prospect.plan.technique == PunchTechnique::relay ||
           prospect.plan.technique == PunchTechnique::birthday;
  });
  if (!wanting) return PunchRemedy::nothing;
  return ours.cgnat == Finding::yes ? PunchRemedy::public_address_here : PunchRemedy::map_port_here;
}

}  // namespace quicmesh
