#include "node/candidate_filter.hpp"

#include <algorithm>

#include "base/address_prefix.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t subnet_bytes_v4 = 3;  // a /24: the usual size of a home's network
constexpr std::size_t subnet_bytes_v6 = 8;  // a /64, RFC 4291 s2.5.1

bool same_subnet(const IpAddress& a, const IpAddress& b) {
  return prefix_of(a, subnet_bytes_v4, subnet_bytes_v6) ==
         prefix_of(b, subnet_bytes_v4, subnet_bytes_v6);
}

// Two homes often have the same private network: it is one only if both are seen behind one
// address.
bool share_public_address(std::span<const Candidate> told, const CandidateContext& context) {
  const auto is_public = [&](const IpAddress& ip) {
    return scope_of(ip, context.rules) == AddressScope::public_internet;
  };
  bool known = false;
  for (const SocketAddress& ours : context.observed) {
    for (const Candidate& theirs : told) {
      if (theirs.kind != CandidateKind::server_reflexive) continue;
      if (!is_public(ours.ip) || !is_public(theirs.address.ip)) continue;
      if (ours.ip == theirs.address.ip) return true;
      known = known || ours.ip.family() == theirs.address.ip.family();
    }
  }
  return !known;
}

bool on_one_of_our_networks(const IpAddress& ip, const CandidateContext& context) {
  return std::ranges::any_of(
      context.endpoints, [&](const LocalEndpoint& own) { return same_subnet(own.address.ip, ip); });
}

CandidateRule judge(const Candidate& candidate, bool one_network, const CandidateContext& context) {
  const SocketAddress& address = candidate.address;
  if (address.port < system_ports_end) return CandidateRule::system_port;
  const bool ours = std::ranges::any_of(
      context.endpoints, [&](const LocalEndpoint& own) { return own.address == address; });
  if (ours) return CandidateRule::own_address;
  bool usable = false;
  switch (scope_of(address.ip, context.rules)) {
    case AddressScope::public_internet:
      return CandidateRule::usable;
    case AddressScope::private_realm:
      usable = candidate.kind != CandidateKind::host
                   ? context.met_in == AddressScope::private_realm
                   : one_network && on_one_of_our_networks(address.ip, context);
      return usable ? CandidateRule::usable : CandidateRule::other_network;
    case AddressScope::loopback:
      usable = context.met_in == AddressScope::loopback;
      return usable ? CandidateRule::usable : CandidateRule::loopback;
    case AddressScope::link_local:
    case AddressScope::unusable:
      break;
  }
  return CandidateRule::unusable;
}

}  // namespace

std::vector<JudgedCandidate> judge_candidates(std::span<const Candidate> told,
                                              const CandidateContext& context) {
  const bool one_network = share_public_address(told, context);
  std::vector<JudgedCandidate> out;
  const auto probed = [](const JudgedCandidate& one) { return one.rule == CandidateRule::usable; };
  for (const Candidate& candidate : told) {
    CandidateRule rule = judge(candidate, one_network, context);
    const bool twice = std::ranges::any_of(out, [&](const JudgedCandidate& one) {
      return probed(one) && one.candidate.address == candidate.address;
    });
    const auto of_this_host = std::ranges::count_if(out, [&](const JudgedCandidate& one) {
      return probed(one) && one.candidate.address.ip == candidate.address.ip;
    });
    if (rule == CandidateRule::usable && twice) rule = CandidateRule::told_twice;
    if (rule == CandidateRule::usable && of_this_host >= ports_of_a_host_max) {
      rule = CandidateRule::too_many_ports;
    }
    out.push_back({candidate, rule});
  }
  return out;
}

std::vector<Candidate> usable_candidates(std::span<const Candidate> told,
                                         const CandidateContext& context) {
  std::vector<Candidate> out;
  for (const JudgedCandidate& one : judge_candidates(told, context)) {
    if (one.rule == CandidateRule::usable) out.push_back(one.candidate);
  }
  return out;
}

}  // namespace quicmesh
