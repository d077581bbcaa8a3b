// EndpointRecord: where a node can be reached, signed by itself, so that anybody may store it and
// pass it on (S1.41, S1.67).
//
// Every address has a scope, and a node signs one record for each scope in which it can be
// reached. The record of a scope names addresses of that scope and of wider ones, never of a
// narrower one, which would mean another host there: neither the writer nor the reader lets one
// pass. All records that are signed at one time have one sequence number.
//
// The sequence number is the time of signing, or one more than the last one, which the owner keeps
// over restarts. A reader refuses what lies more than five minutes ahead of its clock, so nobody
// can be made to hold a number that its owner cannot exceed; and what has expired, with the same
// allowance. No record lives longer than two hours (THREATS TD6, TD7).
//
// A record is a signed record (identity/signed_record.hpp) of the domain `endpoint_record`, at most
// 1 KiB. Its payload, version 1, big-endian:
//
//     0        version: 1
//     1        scope: 1 loopback, 2 link, 3 private realm, 4 public
//     2..9     sequence number: milliseconds since 1970, or more
//     10..11   lifetime from the sequence number on, seconds: 1 to 7200
//     12       number of protocol versions (0 to 8), then each in 2 bytes
//     ..       number of candidates (0 to 16), then the addresses (base/address_codec.hpp)
//     ..       number of relays (0 to 4), then of each its NodeId, the number of its addresses (1
//     to
//              4), and those
//     ..       length of the NAT profile (0: not told, to 32), then the profile, opaque here
//     ..       fields of later releases, skipped
//
// Without candidates and relays it says that its node is not to be reached, for now.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/laboratory_address.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

inline constexpr std::size_t endpoint_record_size_max = 1024;
inline constexpr std::size_t endpoint_versions_max = 8;
inline constexpr std::size_t endpoint_candidates_max = 16;
inline constexpr std::size_t endpoint_relays_max = 4;
inline constexpr std::size_t endpoint_relay_addresses_max = 4;
inline constexpr std::size_t endpoint_nat_profile_max = 32;
inline constexpr std::chrono::seconds endpoint_lifetime_max = std::chrono::hours(2);
/// How far two honest clocks may be apart.
inline constexpr std::chrono::seconds endpoint_clock_skew_max = std::chrono::minutes(5);

/// What decides between two records of one node.
struct EndpointStamp {
  AddressScope scope = AddressScope::public_internet;
  std::uint64_t sequence = 0;
  std::chrono::seconds lifetime = endpoint_lifetime_max;

  bool operator==(const EndpointStamp&) const = default;
};

/// Whether `other` takes the place of `held`: a higher sequence number, or the same and a wider
/// scope, since such a record can be used and shown in more places.
[[nodiscard]] bool supersedes(const EndpointStamp& other, const EndpointStamp& held);

struct RelayEndpoint {
  NodeId id;
  std::vector<SocketAddress> addresses;

  bool operator==(const RelayEndpoint&) const = default;
};

struct EndpointRecord {
  EndpointStamp stamp;
  std::vector<std::uint16_t> versions;  // of the protocols between nodes, the preferred one first
  std::vector<SocketAddress> candidates;
  std::vector<RelayEndpoint> relays;  // that the node keeps a session with
  Bytes nat_profile;                  // nat/nat_profile.hpp; empty: not told

  bool operator==(const EndpointRecord&) const = default;
};

/// `b` if it supersedes `a`, else `a`.
[[nodiscard]] const EndpointRecord& newer_of(const EndpointRecord& a, const EndpointRecord& b);

/// The sequence number of the next records: `last` is that of the last ones, 0 if there are none.
/// A `last` beyond what any reader accepts was never held by one: then it begins again at the time.
[[nodiscard]] std::uint64_t next_endpoint_sequence(std::uint64_t last, std::uint64_t now_ms);

/// What a record of `scope` may tell of `everything`: without narrower addresses and relays that
/// have no others, and the first ones only of what is too many.
[[nodiscard]] EndpointRecord limited_to(AddressScope scope, EndpointRecord everything,
                                        AddressRules rules);

/// Errors: `endpoint_record_bounds` (too many of something, lifetime), `endpoint_record_scope` (an
/// address narrower than the record's scope, or unusable).
[[nodiscard]] Result<Bytes> sign_endpoint_record(const Keypair& keypair,
                                                 const EndpointRecord& record, AddressRules rules);

/// The stamp of a record that is not verified, for what is cheaper to know before.
/// Errors: `malformed_endpoint_record`, `endpoint_record_version`, `endpoint_record_bounds`.
[[nodiscard]] Result<EndpointStamp> peek_endpoint_stamp(ByteView record);

/// Errors: `endpoint_record_ahead`, `endpoint_record_expired`.
[[nodiscard]] Result<void> check_clock(const EndpointStamp& stamp, WallTime now);

/// The record of the node `owner`, read and proved. Cheap checks come first, the signature last.
/// Errors: those of `peek_endpoint_stamp` and `check_clock`, `endpoint_record_of_another_node`,
/// `record_signature`, `endpoint_record_scope`.
[[nodiscard]] Result<EndpointRecord> verify_endpoint_record(ByteView record, const NodeId& owner,
                                                            WallTime now, AddressRules rules);

}  // namespace quicmesh
