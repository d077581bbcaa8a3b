#include "identity/endpoint_record.hpp"

#include <algorithm>
#include <utility>

#include "base/address_codec.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "identity/identity_errc.hpp"
#include "identity/signed_record.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t version_1 = 1;

// The bounds of the lists keep every record of version 1 below the bound of its size.
static_assert(signed_record_overhead + 12 + 1 + endpoint_versions_max * 2 + 1 +
                  endpoint_candidates_max * encoded_address_size_max + 1 +
                  endpoint_relays_max *
                      (NodeId::size + 1 + endpoint_relay_addresses_max * encoded_address_size_max) +
                  1 + endpoint_nat_profile_max <=
              endpoint_record_size_max);

using Addresses = std::vector<SocketAddress>;

constexpr std::uint64_t milliseconds(std::chrono::seconds time) {
  return static_cast<std::uint64_t>(time.count()) * 1000;
}

constexpr std::uint64_t skew_ms = milliseconds(endpoint_clock_skew_max);

/// Clocks before 1970, or 35 million years from now, are all the same to us.
std::uint64_t milliseconds(WallTime time) {
  const std::int64_t seconds =
      std::clamp<std::int64_t>(std::to_underlying(time), 0, std::int64_t{1} << 50);
  return static_cast<std::uint64_t>(seconds) * 1000;
}

bool may_name(AddressScope scope, const SocketAddress& address, AddressRules rules) {
  const AddressScope own = scope_of(address.ip, rules);
  return own != AddressScope::unusable && own >= scope && address.port != 0;
}

bool may_name(AddressScope scope, const Addresses& addresses, AddressRules rules) {
  return std::ranges::all_of(
      addresses, [&](const SocketAddress& address) { return may_name(scope, address, rules); });
}

bool within_scope(const EndpointRecord& record, AddressRules rules) {
  const AddressScope scope = record.stamp.scope;
  return may_name(scope, record.candidates, rules) &&
         std::ranges::all_of(record.relays, [&](const RelayEndpoint& relay) {
           return may_name(scope, relay.addresses, rules);
         });
}

bool within_bounds(const EndpointStamp& stamp) {
  return stamp.scope > AddressScope::unusable && stamp.scope <= AddressScope::public_internet &&
         stamp.lifetime.count() > 0 && stamp.lifetime <= endpoint_lifetime_max;
}

bool within_bounds(const EndpointRecord& record) {
  return within_bounds(record.stamp) && record.versions.size() <= endpoint_versions_max &&
         record.candidates.size() <= endpoint_candidates_max &&
         record.relays.size() <= endpoint_relays_max &&
         record.nat_profile.size() <= endpoint_nat_profile_max &&
         std::ranges::all_of(record.relays, [](const RelayEndpoint& relay) {
           return !relay.addresses.empty() &&
                  relay.addresses.size() <= endpoint_relay_addresses_max;
         });
}

void write_addresses(ByteWriter& writer, const Addresses& addresses) {
  writer.u8(static_cast<std::uint8_t>(addresses.size()));
  for (const SocketAddress& address : addresses)
    write_address(writer, address);
}

/// A count from the wire; the reader fails if it is too high.
std::size_t read_count(ByteReader& reader, std::size_t max) {
  const std::size_t count = reader.u8();
  if (count > max) reader.fail(IdentityErrc::endpoint_record_bounds);
  return reader.ok() ? count : 0;
}

Addresses read_addresses(ByteReader& reader, std::size_t max) {
  Addresses addresses(read_count(reader, max));
  for (SocketAddress& address : addresses)
    address = read_address(reader);
  return addresses;
}

/// The payload from its first byte.
EndpointStamp read_stamp(ByteReader& reader) {
  const std::uint8_t version = reader.u8();
  if (version != version_1) reader.fail(IdentityErrc::endpoint_record_version);
  EndpointStamp stamp;
  stamp.scope = static_cast<AddressScope>(reader.u8());
  stamp.sequence = reader.u64();
  stamp.lifetime = std::chrono::seconds(reader.u16());
  if (!within_bounds(stamp)) reader.fail(IdentityErrc::endpoint_record_bounds);
  return stamp;
}

EndpointRecord read_record(ByteReader& reader) {
  EndpointRecord record;
  record.stamp = read_stamp(reader);
  record.versions.resize(read_count(reader, endpoint_versions_max));
  for (std::uint16_t& version : record.versions)
    version = reader.u16();
  record.candidates = read_addresses(reader, endpoint_candidates_max);
  record.relays.resize(read_count(reader, endpoint_relays_max));
  for (RelayEndpoint& relay : record.relays) {
    relay.id = NodeId{reader.array<NodeId::size>()};
    relay.addresses = read_addresses(reader, endpoint_relay_addresses_max);
    if (relay.addresses.empty()) reader.fail(IdentityErrc::endpoint_record_bounds);
  }
  const ByteView profile = reader.bytes(read_count(reader, endpoint_nat_profile_max));
  record.nat_profile.assign(profile.begin(), profile.end());
  return record;
}

/// What a failed reader says; that bytes are missing or no address is all the same.
std::error_code error_of(const ByteReader& reader) {
  const std::error_code error = reader.status().error();
  if (error == IdentityErrc::endpoint_record_version ||
      error == IdentityErrc::endpoint_record_bounds) {
    return error;
  }
  return IdentityErrc::malformed_endpoint_record;
}

void drop_narrower(Addresses& addresses, AddressScope scope, std::size_t max, AddressRules rules) {
  std::erase_if(addresses,
                [&](const SocketAddress& address) { return !may_name(scope, address, rules); });
  addresses.resize(std::min(addresses.size(), max));
}

}  // namespace

bool supersedes(const EndpointStamp& other, const EndpointStamp& held) {
  return std::pair(other.sequence, other.scope) > std::pair(held.sequence, held.scope);
}

const EndpointRecord& newer_of(const EndpointRecord& a, const EndpointRecord& b) {
  return supersedes(b.stamp, a.stamp) ? b : a;
}

std::uint64_t next_endpoint_sequence(std::uint64_t last, std::uint64_t now_ms) {
  const bool believable = last < now_ms || last - now_ms <= skew_ms;
  return believable ? std::max(last + 1, now_ms) : now_ms;
}

EndpointRecord limited_to(AddressScope scope, EndpointRecord everything, AddressRules rules) {
  EndpointRecord record = std::move(everything);
  record.stamp.scope = scope;
  record.versions.resize(std::min(record.versions.size(), endpoint_versions_max));
  drop_narrower(record.candidates, scope, endpoint_candidates_max, rules);
  for (RelayEndpoint& relay : record.relays)
    drop_narrower(relay.addresses, scope, endpoint_relay_addresses_max, rules);
  std::erase_if(record.relays, [](const RelayEndpoint& relay) { return relay.addresses.empty(); });
  record.relays.resize(std::min(record.relays.size(), endpoint_relays_max));
  return record;
}

Result<Bytes> sign_endpoint_record(const Keypair& keypair, const EndpointRecord& record,
                                   AddressRules rules) {
  if (!within_bounds(record)) return failure(IdentityErrc::endpoint_record_bounds);
  if (!within_scope(record, rules)) return failure(IdentityErrc::endpoint_record_scope);
  Bytes payload;
  ByteWriter writer(payload);
  writer.u8(version_1);
  writer.u8(static_cast<std::uint8_t>(record.stamp.scope));
  writer.u64(record.stamp.sequence);
  writer.u16(static_cast<std::uint16_t>(record.stamp.lifetime.count()));
  writer.u8(static_cast<std::uint8_t>(record.versions.size()));
  for (const std::uint16_t version : record.versions)
    writer.u16(version);
  write_addresses(writer, record.candidates);
  writer.u8(static_cast<std::uint8_t>(record.relays.size()));
  for (const RelayEndpoint& relay : record.relays) {
    writer.bytes(relay.id.bytes);
    write_addresses(writer, relay.addresses);
  }
  writer.u8(static_cast<std::uint8_t>(record.nat_profile.size()));
  writer.bytes(record.nat_profile);
  return sign_record(keypair, SignatureDomain::endpoint_record, payload);
}

Result<EndpointStamp> peek_endpoint_stamp(ByteView record) {
  if (record.size() > endpoint_record_size_max) {
    return failure(IdentityErrc::endpoint_record_bounds);
  }
  if (record.size() < signed_record_overhead) {
    return failure(IdentityErrc::malformed_endpoint_record);
  }
  ByteReader reader(record.subspan(signed_record_overhead));
  const EndpointStamp stamp = read_stamp(reader);
  if (!reader.ok()) return failure(error_of(reader));
  return stamp;
}

Result<void> check_clock(const EndpointStamp& stamp, WallTime now) {
  const std::uint64_t now_ms = milliseconds(now);
  // The clock shows whole seconds, so it is up to one behind.
  if (stamp.sequence > now_ms + skew_ms + 999) {
    return failure(IdentityErrc::endpoint_record_ahead);
  }
  if (stamp.sequence + milliseconds(stamp.lifetime) + skew_ms <= now_ms) {
    return failure(IdentityErrc::endpoint_record_expired);
  }
  return {};
}

Result<EndpointRecord> verify_endpoint_record(ByteView record, const NodeId& owner, WallTime now,
                                              AddressRules rules) {
  const auto stamp = peek_endpoint_stamp(record);
  if (!stamp) return failure(stamp.error());
  if (const auto timely = check_clock(*stamp, now); !timely) return failure(timely.error());
  ByteReader reader(record.subspan(signed_record_overhead));
  EndpointRecord read = read_record(reader);
  if (!reader.ok()) return failure(error_of(reader));
  if (!within_scope(read, rules)) return failure(IdentityErrc::endpoint_record_scope);
  const auto proved = verify_record(SignatureDomain::endpoint_record, record);
  if (!proved) return failure(proved.error());
  if (proved->signer_id() != owner) return failure(IdentityErrc::endpoint_record_of_another_node);
  return read;
}

}  // namespace quicmesh
