#include "nat/nat_profile.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "identity/signed_record.hpp"
#include "nat/nat_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t version_1 = 1;

// Four values of two bits each, the first in the highest.
template <class A, class B, class C, class D>
std::uint8_t pack(A a, B b, C c, D d) {
  return static_cast<std::uint8_t>(static_cast<unsigned>(a) << 6 | static_cast<unsigned>(b) << 4 |
                                   static_cast<unsigned>(c) << 2 | static_cast<unsigned>(d));
}

// The value in two bits of `byte`; enumerations of four values take any, `Finding` not 3.
template <class Enum>
Enum unpack(std::uint8_t byte, unsigned shift, ByteReader& reader) {
  const auto value = static_cast<Enum>(byte >> shift & 3);
  if constexpr (std::is_same_v<Enum, Finding>) {
    if (value > Finding::yes) reader.fail(NatErrc::malformed_profile);
  }
  return value;
}

}  // namespace

ClassicNatType classic_type(const NatProfile& profile) {
  using enum NatBehaviour;
  if (profile.udp_blocked == Finding::yes) return ClassicNatType::unknown;
  if (profile.translated == Finding::no) return ClassicNatType::none;
  if (profile.cgnat == Finding::yes) return ClassicNatType::symmetric;
  if (profile.mapping == unknown) return ClassicNatType::unknown;
  if (profile.mapping != endpoint_independent) return ClassicNatType::symmetric;
  switch (profile.filtering) {
    case endpoint_independent:
      return ClassicNatType::full_cone;
    case address_dependent:
      return ClassicNatType::restricted_cone;
    case address_and_port_dependent:
      return ClassicNatType::port_restricted_cone;
    case unknown:
      break;
  }
  return ClassicNatType::unknown;
}

std::string_view to_string(NatBehaviour behaviour) {
  constexpr std::string_view names[] = {"unknown", "endpoint-independent", "address-dependent",
                                        "address-and-port-dependent"};
  return names[static_cast<std::size_t>(behaviour)];
}

std::string_view to_string(PortAllocation allocation) {
  constexpr std::string_view names[] = {"unknown", "preserved", "sequential", "random"};
  return names[static_cast<std::size_t>(allocation)];
}

std::string_view to_string(Finding finding) {
  constexpr std::string_view names[] = {"unknown", "no", "yes"};
  return names[static_cast<std::size_t>(finding)];
}

std::string_view to_string(Ipv6State state) {
  constexpr std::string_view names[] = {"unknown", "absent", "direct", "translated"};
  return names[static_cast<std::size_t>(state)];
}

std::string_view to_string(ClassicNatType type) {
  constexpr std::string_view names[] = {
      "unknown", "none", "full cone", "restricted cone", "port-restricted cone", "symmetric"};
  return names[static_cast<std::size_t>(type)];
}

NatProfileBytes encode_nat_profile(const NatProfile& profile) {
  NatProfileBytes bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u8(version_1);
  writer.u8(pack(profile.mapping, profile.filtering, profile.port_allocation, profile.hairpin));
  writer.u8(pack(profile.translated, profile.cgnat, profile.udp_blocked, profile.pooled));
  const PortMappingProtocols& protocols = profile.port_mapping;
  writer.u8(pack(profile.ipv6, profile.ipv6_filtering,
                 (protocols.upnp_igd ? 2 : 0) | (protocols.nat_pmp ? 1 : 0),
                 protocols.pcp ? 2 : 0));
  writer.u16(static_cast<std::uint16_t>(profile.port_delta));
  writer.u8(profile.port_confidence);
  writer.u8(profile.port_samples);
  writer.u16(profile.lifetime_s);
  return bytes;
}

Result<NatProfile> decode_nat_profile(ByteView bytes) {
  ByteReader reader(bytes);
  const std::uint8_t version = reader.u8();
  if (reader.ok() && version != version_1) return failure(NatErrc::unknown_profile_version);
  const std::uint8_t behaviour = reader.u8();
  const std::uint8_t findings = reader.u8();
  const std::uint8_t others = reader.u8();
  NatProfile profile;
  profile.mapping = unpack<NatBehaviour>(behaviour, 6, reader);
  profile.filtering = unpack<NatBehaviour>(behaviour, 4, reader);
  profile.port_allocation = unpack<PortAllocation>(behaviour, 2, reader);
  profile.hairpin = unpack<Finding>(behaviour, 0, reader);
  profile.translated = unpack<Finding>(findings, 6, reader);
  profile.cgnat = unpack<Finding>(findings, 4, reader);
  profile.udp_blocked = unpack<Finding>(findings, 2, reader);
  profile.pooled = unpack<Finding>(findings, 0, reader);
  profile.ipv6 = unpack<Ipv6State>(others, 6, reader);
  profile.ipv6_filtering = unpack<NatBehaviour>(others, 4, reader);
  profile.port_mapping = {(others & 8) != 0, (others & 4) != 0, (others & 2) != 0};
  profile.port_delta = static_cast<std::int16_t>(reader.u16());
  profile.port_confidence = reader.u8();
  profile.port_samples = reader.u8();
  profile.lifetime_s = reader.u16();
  const bool reserved = (others & 1) != 0;
  if (!reader.finish() || reserved || profile.port_confidence > 100) {
    return failure(NatErrc::malformed_profile);
  }
  return profile;
}

Bytes sign_nat_profile(const Keypair& keypair, const NatProfile& profile, WallTime measured) {
  Bytes payload;
  ByteWriter writer(payload);
  writer.u64(static_cast<std::uint64_t>(measured));
  writer.bytes(encode_nat_profile(profile));
  // The payload is far below the limit of records, the only thing that could fail.
  return sign_record(keypair, SignatureDomain::nat_profile, payload).value();
}

Result<SignedNatProfile> verify_nat_profile(ByteView record) {
  const auto read = verify_record(SignatureDomain::nat_profile, record);
  if (!read) return failure(read.error());
  ByteReader reader(read->payload);
  const WallTime measured{static_cast<std::int64_t>(reader.u64())};
  if (!reader.ok()) return failure(NatErrc::malformed_profile);
  const auto profile = decode_nat_profile(reader.rest());
  if (!profile) return failure(profile.error());
  return SignedNatProfile{read->signer_id(), measured, *profile};
}

}  // namespace quicmesh
