// The codec of a NatProfile (quicmesh/nat_report.hpp). A node gives it to the other side while
// dialling, so that both choose the same way through before the first packet; a planner takes what
// is `unknown` for the worst.
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

#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/nat_report.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

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
