// TLS 1.3 for QUIC through GnuTLS: our certificate, the settings of a session, the peer's identity.
//
// Both sides present one self-signed X.509 certificate whose Ed25519 key is the node's key; GnuTLS
// proves possession of it (CertificateVerify), we judge who it is. Validity dates, names and chains
// are never judged: the key is the identity, and boards without a clock boot in 1970.
// No tickets, no resumption, no 0-RTT: each handshake proves both keys anew.
#pragma once

#include <gnutls/gnutls.h>

#include <array>
#include <memory>
#include <string>

#include "base/rng.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// What a session is made of. The defaults are the protocol; tests of hostile peers change them.
struct TlsOptions {
  /// AES-128-GCM first: GnuTLS's ChaCha20 is ten times slower.
  std::string priorities =
      "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:"
      "-GROUP-ALL:+GROUP-X25519:%DISABLE_TLS13_COMPAT_MODE";
  /// Certificates (DER) and a private key (PKCS #8 DER) presented instead of the identity's.
  std::vector<Bytes> certificate_chain;
  Bytes private_key;
  bool present_certificate = true;
};

enum class TlsRole : std::uint8_t { dialler, acceptor };

/// The credentials of one node, shared by its sessions.
class TlsContext {
 public:
  /// `identity` outlives the context and its sessions, which sign with it.
  static Result<std::unique_ptr<TlsContext>> create(const Keypair& identity,
                                                    const TlsOptions& options = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  /// `user` comes back from `gnutls_session_get_ptr`; `verify` is called for the peer's certificate
  /// and ends the handshake by a non-zero result. Null when GnuTLS has no memory.
  gnutls_session_t new_session(TlsRole role, const std::string& alpn, void* user) const;

  /// A session over a byte stream instead of QUIC, whose transport the caller sets. Only the
  /// acceptor has a certificate, and nobody judges it. Null when GnuTLS has no memory.
  gnutls_session_t new_stream_session(TlsRole role, const std::string& alpn) const;

  using Verify = int (*)(gnutls_session_t);
  void set_verify(Verify verify);

 private:
  TlsContext() = default;

  gnutls_certificate_credentials_t credentials_ = nullptr;
  gnutls_priority_t priority_ = nullptr;
};

/// The certificate the peer presented; valid as long as the session. Fails with
/// QuicErrc::no_certificate, or bad_certificate for several.
Result<ByteView> peer_certificate(gnutls_session_t session);

/// Whose certificate it is. Fails with QuicErrc::bad_certificate for one that does not hold an
/// Ed25519 key. Dear: most of it is the check that the key is a point of the prime-order group.
Result<NodeId> node_id_of_certificate(ByteView der);

/// Keying material that both ends of the session share and nobody else knows (RFC 8446 s7.5).
/// Fails only before the handshake is complete.
Result<void> export_keying_material(gnutls_session_t session, std::string_view label,
                                    MutableByteView out);

}  // namespace quicmesh
