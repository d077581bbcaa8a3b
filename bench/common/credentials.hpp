// An Ed25519 identity for mutual TLS 1.3 by GnuTLS: a self-signed certificate, or (RFC 7250) the
// raw public key alone.
//
// Trust is the key itself: neither a chain nor a date is judged, the peer's 32 bytes are extracted
// and that is the identity. GnuTLS checks the CertificateVerify signature against the same key.
#pragma once

#include <gnutls/gnutls.h>

#include <array>
#include <cstdint>
#include <string>

namespace bench {

enum class CertificateKind { x509, raw_public_key };

using PublicKey = std::array<std::uint8_t, 32>;

/// Ends the process with GnuTLS's own words if `result` is an error.
void check_gnutls(int result, const char* what);

class Credentials {
 public:
  /// Makes a fresh key pair; `verify` is called by GnuTLS for the peer's certificate.
  Credentials(CertificateKind kind, gnutls_certificate_verify_function* verify);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  [[nodiscard]] gnutls_certificate_credentials_t handle() const { return handle_; }
  [[nodiscard]] CertificateKind kind() const { return kind_; }

 private:
  CertificateKind kind_;
  gnutls_certificate_credentials_t handle_ = nullptr;
};

/// TLS 1.3 with X25519 and the given cipher ("AES-128-GCM", "CHACHA20-POLY1305"), compiled once.
class Priority {
 public:
  Priority(const std::string& cipher, CertificateKind kind);
  ~Priority();
  Priority(const Priority&) = delete;
  Priority& operator=(const Priority&) = delete;
  [[nodiscard]] gnutls_priority_t handle() const { return handle_; }

 private:
  gnutls_priority_t handle_ = nullptr;
};

/// Copies the Ed25519 key that the peer proved to hold. False if there is none or of another kind.
[[nodiscard]] bool extract_peer_key(gnutls_session_t session, PublicKey& key);

}  // namespace bench
