// Records as they are signed and as they travel.
#include "identity/signed_record.hpp"

#include <array>

#include "base/assert.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/ed25519.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t format_1 = 1;

constexpr std::array<std::string_view, signature_domain_count> names{
    "quicmesh/1/endpoint-record", "quicmesh/1/relay-advert",   "quicmesh/1/dht-value",
    "quicmesh/1/provider",        "quicmesh/1/gossip-message", "quicmesh/1/envelope",
    "quicmesh/1/channel-message", "quicmesh/1/nat-profile",    "quicmesh/1/capability",
};

constexpr bool no_name_looks_like_tls() {
  for (const std::string_view name : names) {
    if (name.empty() || name.size() >= 0x20) return false;
  }
  return true;
}
// The length is the first byte signed; 0x20 and 0x30 begin what TLS and X.509 sign.
static_assert(no_name_looks_like_tls());

Bytes signed_bytes(SignatureDomain domain, ByteView payload) {
  const std::string_view name = domain_name(domain);
  Bytes bytes;
  bytes.reserve(1 + name.size() + payload.size());
  ByteWriter writer(bytes);
  writer.u8(static_cast<std::uint8_t>(name.size()));
  writer.bytes(as_bytes(name));
  writer.bytes(payload);
  return bytes;
}

}  // namespace

std::string_view domain_name(SignatureDomain domain) {
  const auto index = static_cast<std::size_t>(domain);
  QM_ASSERT(index < names.size());
  return names[index];
}

Signature sign_for(SignatureDomain domain, const Keypair& keypair, ByteView payload) {
  return keypair.sign(signed_bytes(domain, payload));
}

bool verify_for(SignatureDomain domain, const PublicKey& signer, ByteView payload,
                const Signature& signature) {
  return ed25519_verify(signer, signed_bytes(domain, payload), signature);
}

Result<Bytes> sign_record(const Keypair& keypair, SignatureDomain domain, ByteView payload) {
  if (payload.size() > signed_payload_max) return failure(IdentityErrc::record_too_long);
  Bytes record;
  record.reserve(signed_record_overhead + payload.size());
  ByteWriter writer(record);
  writer.u8(format_1);
  writer.bytes(keypair.public_key().bytes);
  writer.bytes(sign_for(domain, keypair, payload).bytes);
  writer.bytes(payload);
  return record;
}

Result<SignedRecord> verify_record(SignatureDomain domain, ByteView record) {
  ByteReader reader(record);
  const std::uint8_t format = reader.u8();
  const PublicKey signer{reader.array<PublicKey::size>()};
  const Signature signature{reader.array<Signature::size>()};
  const ByteView payload = reader.rest();
  if (!reader.ok() || format != format_1) return failure(IdentityErrc::malformed_record);
  if (payload.size() > signed_payload_max) return failure(IdentityErrc::record_too_long);
  if (!verify_for(domain, signer, payload, signature)) {
    return failure(IdentityErrc::record_signature);
  }
  return SignedRecord{signer, payload};
}

}  // namespace quicmesh
