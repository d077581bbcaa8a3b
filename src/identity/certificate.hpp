// The certificate that a node shows in the TLS handshake, and the key that one holds.
//
// A self-signed X.509 v3 certificate of the node's own Ed25519 key (RFC 8410). It is a container
// for the key and nothing else: names, dates and extensions are neither meant nor judged. TLS
// proves that the peer holds the key (RFC 8446 s4.4.3, CertificateVerify); whose NodeId it is, is
// asked here. So the self-signature is not verified either: it would prove the same a second time.
//
// The certificate is a function of the key: serial number from a hash of the key, valid from 1970
// to 9999-12-31 (RFC 5280 s4.1.2.5, "no well-defined expiration"), Ed25519 signatures are
// deterministic. Two runs of a simulation send the same bytes, and a board whose clock says 1970 is
// not locked out.
#pragma once

#include <cstddef>

#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/public_key.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// Larger ones are refused unread; ours have about 300 bytes.
inline constexpr std::size_t certificate_size_max = 4096;

/// The certificate of `identity` in DER; `certificate_not_made` if GnuTLS fails.
[[nodiscard]] Result<Bytes> generate_certificate(const Keypair& identity);

/// The key of a certificate in DER that anybody may have sent. Errors: `malformed_certificate`;
/// `certificate_key_rsa`, `_ecdsa`, `_ed448`, `_unsupported` for keys of other kinds;
/// `certificate_key_invalid` for 32 bytes that are no point of the prime-order group.
[[nodiscard]] Result<PublicKey> public_key_of_certificate(ByteView der);

/// The same, and `certificate_of_another_node` unless the key is that of `expected` (S1.66).
[[nodiscard]] Result<PublicKey> check_certificate(ByteView der, const NodeId& expected);

}  // namespace quicmesh
