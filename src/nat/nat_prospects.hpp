// What a NAT will allow: the plan with each classic kind of peer, and the one thing that would help
// most. A pure function of this node's own profile (punch_plan.hpp has the rule).
#pragma once

#include <array>

#include "nat/punch_plan.hpp"

namespace quicmesh {

struct NatProspect {
  ClassicNatType peer{};
  bool foreseeable = false;  // of `symmetric`: its next port can be predicted
  PunchPlan plan;
};

inline constexpr std::size_t nat_prospects_size = 6;

/// From the easiest kind of peer to the hardest. All of them are thought to be measured in full,
/// with UDP open.
[[nodiscard]] std::array<NatProspect, nat_prospects_size> nat_prospects(const NatProfile& ours);

/// The one thing, on this side, that would make more peers direct; `nothing` if none is left to be
/// guessed at or relayed.
[[nodiscard]] PunchRemedy remedy_for(const NatProfile& ours);

}  // namespace quicmesh
