// X.509 by GnuTLS; the handles are owned by small deleters.
#include "identity/certificate.hpp"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <array>
#include <memory>
#include <type_traits>

#include "crypto/blake3.hpp"
#include "crypto/ed25519.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

template <auto deinit>
struct Deinit {
  template <class T>
  void operator()(T* handle) const {
    deinit(handle);
  }
};
using Certificate =
    std::unique_ptr<std::remove_pointer_t<gnutls_x509_crt_t>, Deinit<gnutls_x509_crt_deinit>>;
using PrivateKey = std::unique_ptr<std::remove_pointer_t<gnutls_x509_privkey_t>,
                                   Deinit<gnutls_x509_privkey_deinit>>;
using AbstractKey =
    std::unique_ptr<std::remove_pointer_t<gnutls_pubkey_t>, Deinit<gnutls_pubkey_deinit>>;

/// Memory that GnuTLS allocated for us.
struct OwnedDatum : gnutls_datum_t {
  OwnedDatum() : gnutls_datum_t{nullptr, 0} {}
  ~OwnedDatum() { gnutls_free(data); }
  OwnedDatum(const OwnedDatum&) = delete;
  OwnedDatum& operator=(const OwnedDatum&) = delete;

  [[nodiscard]] ByteView bytes() const { return {data, size}; }
};

gnutls_datum_t datum(ByteView bytes) {
  // GnuTLS only reads these, though its type says otherwise.
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned int>(bytes.size())};
}

Certificate new_certificate() {
  gnutls_x509_crt_t handle = nullptr;
  return Certificate(gnutls_x509_crt_init(&handle) == 0 ? handle : nullptr);
}

PrivateKey import_private_key(const Keypair& identity) {
  gnutls_x509_privkey_t handle = nullptr;
  if (gnutls_x509_privkey_init(&handle) != 0) return nullptr;
  PrivateKey key(handle);
  const gnutls_datum_t x = datum(identity.public_key().bytes);
  const gnutls_datum_t k = datum(identity.seed());
  if (gnutls_x509_privkey_import_ecc_raw(handle, GNUTLS_ECC_CURVE_ED25519, &x, nullptr, &k) != 0) {
    return nullptr;
  }
  return key;
}

/// 16 bytes, positive and not zero as RFC 5280 s4.1.2.2 wants it.
std::array<std::uint8_t, 16> serial_of(const PublicKey& key) {
  const Blake3Digest digest = blake3_derive_key("quicmesh 2025 certificate serial", key.bytes);
  std::array<std::uint8_t, 16> serial{};
  std::copy_n(digest.begin(), serial.size(), serial.begin());
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x3f) | 0x40);
  return serial;
}

bool fill_in(gnutls_x509_crt_t certificate, const PublicKey& public_key,
             gnutls_x509_privkey_t key) {
  const auto serial = serial_of(public_key);
  constexpr std::string_view name = "quicmesh node";
  return gnutls_x509_crt_set_version(certificate, 3) == 0 &&
         gnutls_x509_crt_set_serial(certificate, serial.data(), serial.size()) == 0 &&
         gnutls_x509_crt_set_activation_time(certificate, 0) == 0 &&
         gnutls_x509_crt_set_expiration_time(certificate, GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION) ==
             0 &&
         gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, name.data(),
                                       name.size()) == 0 &&
         gnutls_x509_crt_set_key(certificate, key) == 0 &&
         // RFC 8032's Ed25519 hashes by itself; GnuTLS wants SHA-512 named nevertheless.
         gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA512, 0) == 0;
}

std::error_code refusal(int algorithm) {
  switch (algorithm) {
    case GNUTLS_PK_RSA:
    case GNUTLS_PK_RSA_PSS:
      return IdentityErrc::certificate_key_rsa;
    case GNUTLS_PK_ECDSA:
      return IdentityErrc::certificate_key_ecdsa;
    case GNUTLS_PK_EDDSA_ED448:
      return IdentityErrc::certificate_key_ed448;
    default:
      return IdentityErrc::certificate_key_unsupported;
  }
}

}  // namespace

Result<Bytes> generate_certificate(const Keypair& identity) {
  const Certificate certificate = new_certificate();
  const PrivateKey key = import_private_key(identity);
  OwnedDatum der;
  if (!certificate || !key || !fill_in(certificate.get(), identity.public_key(), key.get()) ||
      gnutls_x509_crt_export2(certificate.get(), GNUTLS_X509_FMT_DER, &der) != 0) {
    return failure(IdentityErrc::certificate_not_made);
  }
  return to_bytes(der.bytes());
}

Result<PublicKey> public_key_of_certificate(ByteView der) {
  if (der.size() > certificate_size_max) return failure(IdentityErrc::malformed_certificate);
  const Certificate certificate = new_certificate();
  const gnutls_datum_t input = datum(der);
  if (!certificate || gnutls_x509_crt_import(certificate.get(), &input, GNUTLS_X509_FMT_DER) != 0) {
    return failure(IdentityErrc::malformed_certificate);
  }
  const int algorithm = gnutls_x509_crt_get_pk_algorithm(certificate.get(), nullptr);
  if (algorithm != GNUTLS_PK_EDDSA_ED25519) return failure(refusal(algorithm));

  gnutls_pubkey_t handle = nullptr;
  if (gnutls_pubkey_init(&handle) != 0) return failure(IdentityErrc::malformed_certificate);
  const AbstractKey key(handle);
  gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
  OwnedDatum x;
  if (gnutls_pubkey_import_x509(handle, certificate.get(), 0) != 0 ||
      gnutls_pubkey_export_ecc_raw2(handle, &curve, &x, nullptr, 0) != 0 ||
      curve != GNUTLS_ECC_CURVE_ED25519 || x.size != PublicKey::size) {
    return failure(IdentityErrc::malformed_certificate);
  }
  PublicKey public_key;
  std::ranges::copy(x.bytes(), public_key.bytes.begin());
  if (!ed25519_is_valid(public_key)) return failure(IdentityErrc::certificate_key_invalid);
  return public_key;
}

Result<PublicKey> check_certificate(ByteView der, const NodeId& expected) {
  const auto key = public_key_of_certificate(der);
  if (key && NodeId::of(*key) != expected) {
    return failure(IdentityErrc::certificate_of_another_node);
  }
  return key;
}

}  // namespace quicmesh
