// NatProfile: what the network between a node and the internet does to UDP, in the words of
// RFC 4787, and the seed's older names for it. A node gives it to the other side while dialling, so
// that both choose the same way through before the first packet.
//
// The profile is what was measured (nat_discovery.hpp): whatever was not, or not for certain, is
// `unknown`, and a planner takes that for the worst.
//
// On the wire, version 1, 10 bytes, big-endian; a reserved bit that is set makes it malformed:
//
//     0      version: 1
//     1      mapping (2 bits) | filtering (2) | port allocation (2) | hairpin (2)
//     2      IPv4 translation (2) | carrier-grade NAT (2) | UDP blocked (2) | pooled (2)
//     3      IPv6 state (2) | IPv6 filtering (2) | UPnP-IGD, NAT-PMP, PCP (1 each) | reserved (1)
//     4..5   port delta, signed
//     6      confidence in the allocation, percent
//     7      samples of the allocation
//     8..9   mapping lifetime, seconds; 0: not measured
//
// A record signs the moment of measurement (8 bytes, seconds since 1970) and these bytes, in the
// domain `nat_profile`.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

/// RFC 4787 s4.1 for mapping, s5 for filtering: on how much of the far end it depends.
enum class NatBehaviour : std::uint8_t {
  unknown,
  endpoint_independent,
  address_dependent,
  address_and_port_dependent,
};

/// How the external port of a new mapping follows (RFC 4787 s4.2).
enum class PortAllocation : std::uint8_t {
  unknown,
  preserved,   // the inner port
  sequential,  // the last mapping's plus `port_delta`
  random,
};

enum class Finding : std::uint8_t { unknown, no, yes };

enum class Ipv6State : std::uint8_t {
  unknown,
  absent,
  direct,      // the address outside is that of the interface
  translated,  // NAT66 or NPTv6
};

struct PortMappingProtocols {
  bool upnp_igd = false;
  bool nat_pmp = false;
  bool pcp = false;
  auto operator<=>(const PortMappingProtocols&) const = default;
};

struct NatProfile {
  NatBehaviour mapping{};
  NatBehaviour filtering{};
  PortAllocation port_allocation{};
  std::int16_t port_delta = 0;       // of `sequential`
  std::uint8_t port_confidence = 0;  // percent of the samples that fit
  std::uint8_t port_samples = 0;
  Finding hairpin{};     // two sockets behind it reach each other at their external endpoints
  Finding translated{};  // IPv4: the address outside is another than the interface's
  Finding cgnat{};       // a NAT behind the NAT, of the provider's
  Finding udp_blocked{};
  Finding pooled{};  // different external addresses for different sockets
  Ipv6State ipv6{};
  NatBehaviour ipv6_filtering{};        // of a firewall, if `ipv6` is `direct`
  std::uint16_t lifetime_s = 0;         // of an idle mapping; 0: not measured
  PortMappingProtocols port_mapping{};  // which a gateway answered
  auto operator<=>(const NatProfile&) const = default;
};

/// The seed's names (RFC 3489 s5): S1.33 to S1.36 and S1.R10.
enum class ClassicNatType : std::uint8_t {
  unknown,
  none,
  full_cone,
  restricted_cone,
  port_restricted_cone,
  symmetric,
};

/// Derived from translation, mapping and filtering. Every mapping that depends on the destination
/// is symmetric, and a carrier-grade NAT is called so too, as the seed wants (S1.36), although it
/// may be passable: whoever plans a path asks for mapping and filtering, never for this name.
[[nodiscard]] ClassicNatType classic_type(const NatProfile& profile);

[[nodiscard]] std::string_view to_string(NatBehaviour behaviour);
[[nodiscard]] std::string_view to_string(PortAllocation allocation);
[[nodiscard]] std::string_view to_string(Finding finding);
[[nodiscard]] std::string_view to_string(Ipv6State state);
[[nodiscard]] std::string_view to_string(ClassicNatType type);

inline constexpr std::size_t nat_profile_size = 10;
using NatProfileBytes = std::array<std::uint8_t, nat_profile_size>;

[[nodiscard]] NatProfileBytes encode_nat_profile(const NatProfile& profile);

/// Errors: `malformed_profile`, `unknown_profile_version`.
[[nodiscard]] Result<NatProfile> decode_nat_profile(ByteView bytes);

struct SignedNatProfile {
  NodeId signer;
  WallTime measured{};
  NatProfile profile;
};

[[nodiscard]] Bytes sign_nat_profile(const Keypair& keypair, const NatProfile& profile,
                                     WallTime measured);

/// Errors: those of `verify_record` and of `decode_nat_profile`. How old is too old, and whether
/// the signer is the right one, is for the caller to judge.
[[nodiscard]] Result<SignedNatProfile> verify_nat_profile(ByteView record);

}  // namespace quicmesh
