// Which of the addresses that a peer claims to have are probed.
//
// A claim costs the peer nothing, and a probe reaches whoever is there: so loopback, link-local,
// multicast and other unusable addresses never are, nor system ports, nor our own; private ones
// only where they can mean the same network to both. An address is compared in
// its one canonical form (quicmesh/socket_address.hpp).
#pragma once

#include <span>
#include <vector>

#include "base/laboratory_address.hpp"
#include "node/local_endpoint.hpp"
#include "path/control_message.hpp"

namespace quicmesh {

/// What this side knows when it judges.
struct CandidateContext {
  std::span<const LocalEndpoint> endpoints;  // ours
  std::vector<SocketAddress> observed;       // ours, as relays and STUN servers see us
  /// The scope in which the two have met: of the relay's address, or the peer's own.
  AddressScope met_in = AddressScope::public_internet;
  AddressRules rules = AddressRules::internet;
};

inline constexpr std::uint16_t system_ports_end = 1024;
inline constexpr int ports_of_a_host_max = 2;  // the probes meet at one address

/// Why a candidate is probed, or not.
enum class CandidateRule : std::uint8_t {
  usable,
  system_port,
  own_address,
  loopback,
  unusable,        // link-local, multicast and the like
  other_network,   // private, and nothing says that it is the same network
  too_many_ports,  // of its host
  told_twice,
};

struct JudgedCandidate {
  Candidate candidate;
  CandidateRule rule{};
};

/// What becomes of each, in their order.
std::vector<JudgedCandidate> judge_candidates(std::span<const Candidate> told,
                                              const CandidateContext& context);

/// The candidates that may be probed, in their order.
std::vector<Candidate> usable_candidates(std::span<const Candidate> told,
                                         const CandidateContext& context);

}  // namespace quicmesh
