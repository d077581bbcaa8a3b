// NatProfile: what the network between a node and the internet does to UDP, in the words of
// RFC 4787, and the seed's older names for it. NatReport: what a node found out about its own.
//
// The profile is what was measured: whatever was not, or not for certain, is `unknown`.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "quicmesh/socket_address.hpp"
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

/// Of one discovery, which takes up to three seconds.
struct NatReport {
  NatProfile profile;
  std::optional<SocketAddress> external;  // of one of its sockets, as a server saw it
  std::optional<Duration> rtt;            // to the first server that answered
  std::size_t servers_answered = 0;
};

}  // namespace quicmesh
