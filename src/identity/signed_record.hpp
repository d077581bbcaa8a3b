// Signed records: bytes that a node vouches for, whoever carries them.
//
// TLS proves who sent a message over the last hop; what is stored, forwarded or gossiped needs a
// signature of its own. One key signs many kinds of things, so each kind has a domain, and a
// signature is over
//
//     length of the domain's name (1 byte) | the name | payload
//
// The length makes names prefix-free: no payload of one domain is one of another. The first byte is
// never that of the other messages which this key signs: TLS 1.3 CertificateVerify begins with 0x20
// (RFC 8446 s4.4.3), a certificate with 0x30 (a DER SEQUENCE).
//
// On the wire a record is
//
//     format (1 byte, 1) | public key (32) | signature (64) | payload (the rest)
//
// The domain is not on the wire: the reader knows what it reads. A signature covers the bytes
// received, never a re-encoding of what was understood. Sequence numbers, expiry and what a payload
// means are the business of the protocol that owns the domain.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/public_key.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// What a signature is for. The names are part of what is signed: they never change, and a domain
/// that is given up is not given to something else.
enum class SignatureDomain : std::uint8_t {
  endpoint_record,
  relay_advert,
  dht_value,
  provider,
  gossip_message,
  envelope,
  channel_message,
  nat_profile,
  capability,
};
inline constexpr std::size_t signature_domain_count = 9;

[[nodiscard]] std::string_view domain_name(SignatureDomain domain);

/// A protocol sets its own, lower limit.
inline constexpr std::size_t signed_payload_max = std::size_t{1} << 20;

/// Bytes before the payload.
inline constexpr std::size_t signed_record_overhead = 1 + PublicKey::size + Signature::size;

/// A record that was verified, borrowed from the bytes that it was read from.
struct SignedRecord {
  PublicKey signer;
  ByteView payload;

  [[nodiscard]] NodeId signer_id() const { return NodeId::of(signer); }
};

/// The signature alone, for formats that carry it elsewhere.
[[nodiscard]] Signature sign_for(SignatureDomain domain, const Keypair& keypair, ByteView payload);
[[nodiscard]] bool verify_for(SignatureDomain domain, const PublicKey& signer, ByteView payload,
                              const Signature& signature);

/// The record of `payload`; `record_too_long` above `signed_payload_max`.
[[nodiscard]] Result<Bytes> sign_record(const Keypair& keypair, SignatureDomain domain,
                                        ByteView payload);

/// Errors: `malformed_record` (cut short, unknown format), `record_too_long`, `record_signature`.
[[nodiscard]] Result<SignedRecord> verify_record(SignatureDomain domain, ByteView record);

}  // namespace quicmesh
