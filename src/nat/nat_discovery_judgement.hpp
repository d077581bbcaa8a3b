// What the samples of NAT discovery say: pure functions from evidence to behaviour.
//
// Mapping (RFC 5780 s4.3, for any set of destinations): the same external endpoint towards two
// addresses is endpoint-independent mapping; towards two ports of one address, others being
// different, address-dependent; different ones there address-and-port-dependent.
//
// Ports: fresh sockets, asked one right after the other, show the external port of new mappings.
// Most equal to the inner port: preserved. Otherwise they are sorted, so that a lost and repeated
// request does no harm, and their gaps looked at: one gap again and again (at most 2,048) or only
// small gaps (at most 64, on a NAT that others use too) is sequential, and the commonest gap the
// delta, its share the confidence. Anything else is random: five random ports out of 64,512 look
// sequential once in 10^6 times.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "nat/nat_profile.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

/// One socket asked `destination` and was seen as `external`.
struct MappingSample {
  SocketAddress destination;
  SocketAddress external;
  auto operator<=>(const MappingSample&) const = default;
};

/// A fresh socket's port, inside and outside; in the order in which they were first sent.
struct PortSample {
  std::uint16_t inner = 0;
  SocketAddress external;
  auto operator<=>(const PortSample&) const = default;
};

struct PortJudgement {
  PortAllocation allocation{};
  std::int16_t delta = 0;
  std::uint8_t confidence = 0;
};

/// Where it differs and no two destinations share an address, the worst is assumed.
[[nodiscard]] NatBehaviour judge_mapping(std::span<const MappingSample> samples);

/// Whether more samples could change `judge_mapping`'s answer from what it is.
[[nodiscard]] bool is_mapping_settled(std::span<const MappingSample> samples);

/// `unknown` for fewer than three samples.
[[nodiscard]] PortJudgement judge_ports(std::span<const PortSample> samples);

/// RFC 6598.
[[nodiscard]] bool is_carrier_grade(const IpAddress& address);

/// The IPv6 part of `v6` and all the rest of `v4`: one profile of two discoveries.
[[nodiscard]] NatProfile merge_families(const NatProfile& v4, const NatProfile& v6);

}  // namespace quicmesh
