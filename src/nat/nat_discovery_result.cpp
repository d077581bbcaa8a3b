// What a discovery concludes from its evidence.
#include <algorithm>

#include "nat/nat_discovery.hpp"

namespace quicmesh {

NatReport report_of(const NatDiscovered& discovered) {
  const NatEvidence& evidence = discovered.evidence;
  return {discovered.profile, evidence.external, evidence.rtt, evidence.servers_answered};
}

Finding NatDiscovery::heard(Test test) const {
  const Finding known = heard_[static_cast<std::size_t>(test)];
  if (known != Finding::unknown) return known;
  // At the deadline a test may still be under way.
  const auto running = std::ranges::find(running_, test, &Running::test);
  if (running == running_.end()) return Finding::unknown;
  const auto progress = client_.progress(running->id);
  return progress && progress->sends > silent_sends_min ? Finding::no : Finding::unknown;
}

bool NatDiscovery::answered_directly(const SocketAddress& destination) const {
  return std::ranges::find(evidence_.mapping, destination, &MappingSample::destination) !=
         evidence_.mapping.end();
}

NatProfile NatDiscovery::judge() {
  evidence_.external = external_[mapping_socket];
  evidence_.servers_answered = answered_servers_.size();
  for (std::size_t i = first_port_socket; i < sockets_.size(); ++i) {
    if (external_[i]) evidence_.ports.push_back({sockets_[i].local.port, *external_[i]});
  }
  NatProfile profile;
  profile.translated = judge_translated();
  profile.mapping = profile.translated == Finding::no ? NatBehaviour::endpoint_independent
                                                      : judge_mapping(evidence_.mapping);
  profile.filtering = judge_filtering(profile.mapping);
  profile.udp_blocked = judge_udp_blocked();
  if (config_.family == IpFamily::v6) {
    const bool direct = profile.translated == Finding::no;
    NatProfile v6;
    if (profile.translated != Finding::unknown) {
      v6.ipv6 = direct ? Ipv6State::direct : Ipv6State::translated;
    } else if (profile.udp_blocked == Finding::yes) {
      v6.ipv6 = Ipv6State::absent;
    }
    v6.ipv6_filtering = profile.filtering;
    return v6;
  }
  const PortJudgement ports = judge_ports(evidence_.ports);
  profile.port_allocation = ports.allocation;
  profile.port_delta = ports.delta;
  profile.port_confidence = ports.confidence;
  profile.port_samples = static_cast<std::uint8_t>(evidence_.ports.size());
  profile.hairpin = profile.translated == Finding::no ? Finding::unknown : heard(Test::hairpin);
  profile.pooled = judge_pooled(profile.translated);
  profile.cgnat = judge_cgnat(profile.translated, profile.pooled);
  profile.port_mapping = config_.port_mapping;
  return profile;
}

Finding NatDiscovery::judge_translated() const {
  const auto& external = external_[mapping_socket];
  if (!external) return Finding::unknown;
  const SocketAddress& local = sockets_[mapping_socket].local;
  const bool own = local.ip.is_unspecified()
                       ? std::ranges::find(config_.local_addresses, external->ip) !=
                             config_.local_addresses.end()
                       : local.ip == external->ip;
  return own && local.port == external->port ? Finding::no : Finding::yes;
}

Finding NatDiscovery::judge_udp_blocked() const {
  if (std::ranges::any_of(heard_, [](Finding f) { return f == Finding::yes; })) return Finding::no;
  return heard(Test::mapping) == Finding::no ? Finding::yes : Finding::unknown;
}

Finding NatDiscovery::judge_pooled(Finding translated) const {
  if (translated != Finding::yes) return translated;
  std::vector<IpAddress> addresses;
  for (const auto& external : external_) {
    if (external) addresses.push_back(external->ip);
  }
  for (const MappingSample& sample : evidence_.mapping)
    addresses.push_back(sample.external.ip);
  const bool alike = std::ranges::all_of(
      addresses, [&](const IpAddress& address) { return address == addresses[0]; });
  if (!alike) return Finding::yes;
  return addresses.size() >= 3 ? Finding::no : Finding::unknown;
}

Finding NatDiscovery::judge_cgnat(Finding translated, Finding pooled) const {
  if (translated != Finding::yes) return translated;
  const IpAddress& external = external_[mapping_socket]->ip;
  const bool shared_space = is_carrier_grade(external) ||
                            is_carrier_grade(sockets_[mapping_socket].local.ip) ||
                            std::ranges::any_of(config_.local_addresses, is_carrier_grade);
  if (shared_space || pooled == Finding::yes) return Finding::yes;
  if (!config_.gateway_external) return Finding::unknown;
  return *config_.gateway_external == external ? Finding::no : Finding::yes;
}

NatBehaviour NatDiscovery::judge_filtering(NatBehaviour mapping) {
  switch (evidence_.filtering_method) {
    case NatEvidence::FilteringMethod::change_request:
      return judge_change_requests(mapping);
    case NatEvidence::FilteringMethod::stand_in:
      return judge_stand_in();
    case NatEvidence::FilteringMethod::none:
      break;
  }
  return NatBehaviour::unknown;
}

NatBehaviour NatDiscovery::judge_change_requests(NatBehaviour mapping) {
  const auto& [server, other] = *behaviour_server_;
  evidence_.heard_stranger = heard(Test::change_both);
  evidence_.heard_other_port = heard(Test::change_port);
  if (evidence_.heard_stranger == Finding::yes) return NatBehaviour::endpoint_independent;
  // With other mappings the control's answer would come to a mapping that has not been in touch
  // with the other address, and say nothing.
  const bool control =
      mapping != NatBehaviour::endpoint_independent || heard(Test::control) == Finding::yes;
  const bool verified = answered_directly(other) && control;
  evidence_.stranger_verified = verified ? Finding::yes : Finding::no;
  if (!verified || evidence_.heard_stranger != Finding::no) return NatBehaviour::unknown;
  if (evidence_.heard_other_port == Finding::yes) return NatBehaviour::address_dependent;
  const bool port_verified = answered_directly({server.ip, other.port});
  return evidence_.heard_other_port == Finding::no && port_verified
             ? NatBehaviour::address_and_port_dependent
             : NatBehaviour::unknown;
}

NatBehaviour NatDiscovery::judge_stand_in() {
  evidence_.heard_stranger = stand_in_.stranger();
  evidence_.heard_other_port = stand_in_.neighbour();
  evidence_.stranger_verified = stand_in_.control();
  if (evidence_.heard_stranger == Finding::yes) return NatBehaviour::endpoint_independent;
  if (evidence_.stranger_verified != Finding::yes || evidence_.heard_stranger != Finding::no) {
    return NatBehaviour::unknown;
  }
  // The neighbour is asked with endpoint-independent mapping only, else this too is unknown.
  if (evidence_.heard_other_port == Finding::yes) return NatBehaviour::address_dependent;
  return evidence_.heard_other_port == Finding::no ? NatBehaviour::address_and_port_dependent
                                                   : NatBehaviour::unknown;
}

}  // namespace quicmesh
