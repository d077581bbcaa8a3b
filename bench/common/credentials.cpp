// An Ed25519 identity for mutual TLS 1.3; see credentials.hpp.
#include "common/credentials.hpp"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "common/measure.hpp"

namespace bench {

namespace {

constexpr const char* common_name = "yardstick";
constexpr std::time_t certificate_seconds = 24 * 3600;

void set_self_signed(gnutls_certificate_credentials_t credentials, gnutls_x509_privkey_t key) {
  gnutls_x509_crt_t certificate = nullptr;
  check_gnutls(gnutls_x509_crt_init(&certificate), "certificate");
  check_gnutls(gnutls_x509_crt_set_version(certificate, 3), "certificate version");
  const std::uint8_t serial[] = {1};
  check_gnutls(gnutls_x509_crt_set_serial(certificate, serial, sizeof serial), "serial");
  const std::time_t now = std::time(nullptr);
  check_gnutls(gnutls_x509_crt_set_activation_time(certificate, now - 3600), "activation");
  check_gnutls(gnutls_x509_crt_set_expiration_time(certificate, now + certificate_seconds),
               "expiration");
  check_gnutls(
      gnutls_x509_crt_set_dn_by_oid(certificate, GNUTLS_OID_X520_COMMON_NAME, 0, common_name,
                                    static_cast<unsigned>(std::strlen(common_name))),
      "name");
  check_gnutls(gnutls_x509_crt_set_key(certificate, key), "certificate key");
  check_gnutls(gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA512, 0), "sign");
  check_gnutls(gnutls_certificate_set_x509_key(credentials, &certificate, 1, key), "set key");
  gnutls_x509_crt_deinit(certificate);
}

void set_raw_key(gnutls_certificate_credentials_t credentials, gnutls_x509_privkey_t key) {
  gnutls_privkey_t private_key = nullptr;
  gnutls_pubkey_t public_key = nullptr;
  check_gnutls(gnutls_privkey_init(&private_key), "private key");
  check_gnutls(gnutls_privkey_import_x509(private_key, key, GNUTLS_PRIVKEY_IMPORT_COPY), "import");
  check_gnutls(gnutls_pubkey_init(&public_key), "public key");
  check_gnutls(gnutls_pubkey_import_privkey(public_key, private_key, 0, 0), "public part");
  gnutls_datum_t spki{};
  gnutls_datum_t pkcs8{};
  check_gnutls(gnutls_pubkey_export2(public_key, GNUTLS_X509_FMT_DER, &spki), "export");
  check_gnutls(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_DER, nullptr,
                                                 GNUTLS_PKCS_PLAIN, &pkcs8),
               "export private key");
  check_gnutls(gnutls_certificate_set_rawpk_key_mem(credentials, &spki, &pkcs8, GNUTLS_X509_FMT_DER,
                                                    nullptr, 0, nullptr, 0, 0),
               "set raw key");
  gnutls_free(spki.data);
  gnutls_free(pkcs8.data);
  gnutls_pubkey_deinit(public_key);
  gnutls_privkey_deinit(private_key);
}

}  // namespace

void check_gnutls(int result, const char* what) {
  if (result < 0) fail(std::string(what) + ": " + gnutls_strerror(result));
}

Credentials::Credentials(CertificateKind kind, gnutls_certificate_verify_function* verify)
    : kind_(kind) {
  gnutls_x509_privkey_t key = nullptr;
  check_gnutls(gnutls_x509_privkey_init(&key), "key");
  check_gnutls(gnutls_x509_privkey_generate(key, GNUTLS_PK_EDDSA_ED25519, 0, 0), "generate key");
  check_gnutls(gnutls_certificate_allocate_credentials(&handle_), "credentials");
  if (kind == CertificateKind::x509) {
    set_self_signed(handle_, key);
  } else {
    set_raw_key(handle_, key);
  }
  gnutls_x509_privkey_deinit(key);
  gnutls_certificate_set_verify_function(handle_, verify);
}

Credentials::~Credentials() {
  gnutls_certificate_free_credentials(handle_);
}

Priority::Priority(const std::string& cipher, CertificateKind kind) {
  std::string text = "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+" + cipher +
                     ":-GROUP-ALL:+GROUP-X25519:%DISABLE_TLS13_COMPAT_MODE";
  if (kind == CertificateKind::raw_public_key)
    text += ":-CTYPE-ALL:+CTYPE-CLI-RAWPK:+CTYPE-SRV-RAWPK";
  check_gnutls(gnutls_priority_init(&handle_, text.c_str(), nullptr), "priority");
}

Priority::~Priority() {
  gnutls_priority_deinit(handle_);
}

bool extract_peer_key(gnutls_session_t session, PublicKey& key) {
  unsigned count = 0;
  const gnutls_datum_t* chain = gnutls_certificate_get_peers(session, &count);
  if (chain == nullptr || count == 0) return false;
  gnutls_pubkey_t public_key = nullptr;
  if (gnutls_pubkey_init(&public_key) < 0) return false;
  const bool raw = gnutls_certificate_type_get2(session, GNUTLS_CTYPE_PEERS) == GNUTLS_CRT_RAWPK;
  const int imported =
      raw ? gnutls_pubkey_import(public_key, &chain[0], GNUTLS_X509_FMT_DER)
          : gnutls_pubkey_import_x509_raw(public_key, &chain[0], GNUTLS_X509_FMT_DER, 0);
  gnutls_ecc_curve_t curve = GNUTLS_ECC_CURVE_INVALID;
  gnutls_datum_t point{};
  const bool good = imported == 0 &&
                    gnutls_pubkey_export_ecc_raw2(public_key, &curve, &point, nullptr, 0) == 0 &&
                    curve == GNUTLS_ECC_CURVE_ED25519 && point.size == key.size();
  if (good) std::copy_n(point.data, key.size(), key.begin());
  gnutls_free(point.data);
  gnutls_pubkey_deinit(public_key);
  return good;
}

}  // namespace bench
