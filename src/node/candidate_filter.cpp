#include "node/candidate_filter.hpp"

#include <algorithm>

namespace quicmesh {
namespace {

constexpr std::size_t subnet_bytes_v4 = 3;  // a /24: the usual size of a home's network
constexpr std::size_t subnet_bytes_v6 = 8;  // a /64, RFC 4291 s2.5.1

bool same_subnet(const IpAddress& a, const IpAddress& b) {
  if (a.family() != b.family()) return false;
  const std::size_t size = a.family() == IpFamily::v4 ? subnet_bytes_v4 : subnet_bytes_v6;
  return std::equal(a.bytes().begin(), a.bytes().begin() + static_cast<std::ptrdiff_t>(size),
                    b.bytes().begin());
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

}  // namespace

std::vector<Candidate> usable_candidates(std::span<const Candidate> told,
                                         const CandidateContext& context) {
  const bool one_network = share_public_address(told, context);
  const auto usable = [&](const Candidate& candidate) {
    const SocketAddress& address = candidate.address;
    if (address.port < system_ports_end) return false;
    const bool ours = std::ranges::any_of(
        context.endpoints, [&](const LocalEndpoint& own) { return own.address == address; });
    if (ours) return false;
    switch (scope_of(address.ip, context.rules)) {
      case AddressScope::public_internet:
        return true;
      case AddressScope::private_realm:
        if (candidate.kind != CandidateKind::host) {
          return context.met_in == AddressScope::private_realm;
        }
        return one_network && std::ranges::any_of(context.endpoints, [&](const LocalEndpoint& own) {
                 return same_subnet(own.address.ip, address.ip);
               });
      case AddressScope::loopback:
        return context.met_in == AddressScope::loopback;
      case AddressScope::link_local:
      case AddressScope::unusable:
        return false;
    }
    return false;
  };
  std::vector<Candidate> out;
  for (const Candidate& candidate : told) {
    const bool twice = std::ranges::any_of(
        out, [&](const Candidate& one) { return one.address == candidate.address; });
    const auto of_this_host = std::ranges::count_if(
        out, [&](const Candidate& one) { return one.address.ip == candidate.address.ip; });
    if (!twice && of_this_host < ports_of_a_host_max && usable(candidate)) out.push_back(candidate);
  }
  return out;
}

}  // namespace quicmesh
