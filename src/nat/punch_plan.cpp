#include "nat/punch_plan.hpp"

namespace quicmesh {
namespace {

bool is_independent(const NatProfile& profile) {
  return profile.mapping == NatBehaviour::endpoint_independent;
}

// Lets in only what comes from the very port that was sent to.
bool is_strict(const NatProfile& profile) {
  return profile.filtering == NatBehaviour::unknown ||
         profile.filtering == NatBehaviour::address_and_port_dependent;
}

bool is_predictable(const NatProfile& profile) {
  // The port would be right, and the address another one.
  if (profile.pooled == Finding::yes) return false;
  if (profile.port_confidence < predict_confidence_min) return false;
  return profile.port_allocation == PortAllocation::preserved ||
         (profile.port_allocation == PortAllocation::sequential && profile.port_delta != 0);
}

// A mapped port makes a side as good as one without a NAT, unless there is a second NAT that takes
// no wishes.
PunchRemedy map_a_port(const NatProfile& ours, const NatProfile& theirs) {
  const bool here = ours.cgnat != Finding::yes;
  const bool there = theirs.cgnat != Finding::yes;
  if (here && there) return PunchRemedy::map_port_either;
  if (here) return PunchRemedy::map_port_here;
  if (there) return PunchRemedy::map_port_there;
  return is_independent(ours) ? PunchRemedy::public_address_there
                              : PunchRemedy::public_address_here;
}

PunchPlan plan_one_dependent(const NatProfile& ours, const NatProfile& theirs) {
  const bool we_depend = !is_independent(ours);
  const NatProfile& dependent = we_depend ? ours : theirs;
  const NatProfile& independent = we_depend ? theirs : ours;
  if (!is_strict(independent)) {
    return {PunchTechnique::plain, PunchRole::same, PunchReason::other_lets_ports_in,
            PunchRemedy::nothing};
  }
  if (is_predictable(dependent)) {
    return {PunchTechnique::predict, we_depend ? PunchRole::predicted : PunchRole::predicting,
            PunchReason::ports_follow, map_a_port(ours, theirs)};
  }
  return {PunchTechnique::birthday, we_depend ? PunchRole::many_sockets : PunchRole::random_ports,
          PunchReason::ports_random, map_a_port(ours, theirs)};
}

}  // namespace

PunchPlan plan_punch(const NatProfile& ours, const NatProfile& theirs) {
  if (ours.udp_blocked == Finding::yes) {
    return {PunchTechnique::relay, PunchRole::same, PunchReason::udp_blocked,
            PunchRemedy::allow_udp_here};
  }
  if (theirs.udp_blocked == Finding::yes) {
    return {PunchTechnique::relay, PunchRole::same, PunchReason::udp_blocked,
            PunchRemedy::allow_udp_there};
  }
  if (ours == NatProfile{} || theirs == NatProfile{}) {
    return {PunchTechnique::plain, PunchRole::same, PunchReason::no_profile,
            PunchRemedy::learn_profile};
  }
  if (is_independent(ours) != is_independent(theirs)) return plan_one_dependent(ours, theirs);
  if (is_independent(ours)) {
    if (is_strict(ours) && is_strict(theirs)) {
      return {PunchTechnique::synchronised, PunchRole::same, PunchReason::both_filters_strict,
              map_a_port(ours, theirs)};
    }
    return {PunchTechnique::plain, PunchRole::same, PunchReason::both_independent,
            PunchRemedy::nothing};
  }
  if (is_predictable(ours) && is_predictable(theirs)) {
    return {PunchTechnique::predict, PunchRole::same, PunchReason::both_ports_follow,
            map_a_port(ours, theirs)};
  }
  return {PunchTechnique::relay, PunchRole::same, PunchReason::both_dependent,
          map_a_port(ours, theirs)};
}

PunchRole opposite(PunchRole role) {
  switch (role) {
    case PunchRole::predicted:
      return PunchRole::predicting;
    case PunchRole::predicting:
      return PunchRole::predicted;
    case PunchRole::many_sockets:
      return PunchRole::random_ports;
    case PunchRole::random_ports:
      return PunchRole::many_sockets;
    case PunchRole::same:
      break;
  }
  return PunchRole::same;
}

std::string_view to_string(PunchTechnique technique) {
  switch (technique) {
    case PunchTechnique::plain:
      return "plain";
    case PunchTechnique::synchronised:
      return "synchronised";
    case PunchTechnique::predict:
      return "predict";
    case PunchTechnique::birthday:
      return "birthday";
    case PunchTechnique::relay:
      break;
  }
  return "relay";
}

std::string_view to_string(PunchRole role) {
  switch (role) {
    case PunchRole::predicted:
      return "predicted side";
    case PunchRole::predicting:
      return "predicting side";
    case PunchRole::many_sockets:
      return "many sockets";
    case PunchRole::random_ports:
      return "random ports";
    case PunchRole::same:
      break;
  }
  return "both the same";
}

std::string_view to_sentence(PunchReason reason) {
  switch (reason) {
    case PunchReason::no_profile:
      return "One of the two nodes has not measured its NAT yet";
    case PunchReason::both_independent:
      return "Both NATs keep one external port for everybody, and one of them lets others in";
    case PunchReason::both_filters_strict:
      return "Both NATs keep one external port for everybody, but let in only whom one has sent to";
    case PunchReason::other_lets_ports_in:
      return "One NAT takes another external port for each peer, and the other NAT does not mind";
    case PunchReason::ports_follow:
      return "One NAT takes another external port for each peer, but the next one can be foretold";
    case PunchReason::both_ports_follow:
      return "Both NATs take another external port for each peer, but the next ones can be "
             "foretold";
    case PunchReason::ports_random:
      return "One NAT takes another random external port for each peer: ports must be guessed";
    case PunchReason::both_dependent:
      return "Both NATs take another external port for each peer, and at least one at random";
    case PunchReason::udp_blocked:
      break;
  }
  return "The network of one of the two nodes lets no UDP through";
}

std::string_view to_sentence(PunchRemedy remedy) {
  switch (remedy) {
    case PunchRemedy::nothing:
      return {};
    case PunchRemedy::learn_profile:
      return "Let both nodes reach a STUN server or a public node";
    case PunchRemedy::map_port_here:
      return "Switch on UPnP or NAT-PMP, or forward a port, at your router";
    case PunchRemedy::map_port_there:
      return "Switch on UPnP or NAT-PMP, or forward a port, at their router";
    case PunchRemedy::map_port_either:
      return "Switch on UPnP or NAT-PMP, or forward a port, at either router";
    case PunchRemedy::public_address_here:
      return "Ask your provider for a public address or IPv6";
    case PunchRemedy::public_address_there:
      return "They need a public address or IPv6 from their provider";
    case PunchRemedy::allow_udp_here:
      return "Let your firewall pass UDP";
    case PunchRemedy::allow_udp_there:
      break;
  }
  return "Their firewall must let UDP pass";
}

}  // namespace quicmesh
