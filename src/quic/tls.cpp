#include "quic/tls.hpp"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>

#include <algorithm>

#include "identity/certificate.hpp"
#include "quic/quic_errc.hpp"

namespace quicmesh {
namespace {

// A ClientHello has less than 2 KB, and chains are of one certificate.
constexpr std::size_t stream_handshake_message_max = 16'384;

gnutls_datum_t datum(ByteView bytes) {
  // GnuTLS only reads these, though its type says otherwise.
  return {const_cast<unsigned char*>(bytes.data()), static_cast<unsigned int>(bytes.size())};
}

bool import_key(gnutls_x509_privkey_t key, const Keypair& identity, const TlsOptions& options) {
  if (!options.private_key.empty()) {
    const gnutls_datum_t der = datum(options.private_key);
    return gnutls_x509_privkey_import_pkcs8(key, &der, GNUTLS_X509_FMT_DER, nullptr,
                                            GNUTLS_PKCS_PLAIN) == 0;
  }
  const gnutls_datum_t x = datum(identity.public_key().bytes);
  const gnutls_datum_t k = datum(identity.seed());
  return gnutls_x509_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, nullptr, &k) == 0;
}

// Our own key signs by libsodium, which takes half of GnuTLS's time. GnuTLS asks for the signature
// of the TLS transcript through these functions; `identity` is their Keypair.

int sign_with_identity(gnutls_privkey_t, gnutls_sign_algorithm_t, void* identity, unsigned int,
                       const gnutls_datum_t* data, gnutls_datum_t* signature) {
  const Signature made =
      static_cast<const Keypair*>(identity)->sign(ByteView(data->data, data->size));
  signature->data = static_cast<unsigned char*>(gnutls_malloc(made.bytes.size()));
  if (signature->data == nullptr) return GNUTLS_E_MEMORY_ERROR;
  std::ranges::copy(made.bytes, signature->data);
  signature->size = Signature::size;
  return 0;
}

int describe_identity(gnutls_privkey_t, unsigned int question, void*) {
  if ((question & GNUTLS_PRIVKEY_INFO_PK_ALGO) != 0) return GNUTLS_PK_EDDSA_ED25519;
  if ((question & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS) != 0) return 256;
  if ((question & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO) != 0) {
    return GNUTLS_FLAGS_TO_SIGN_ALGO(question) == GNUTLS_SIGN_EDDSA_ED25519 ? 1 : 0;
  }
  return -1;
}

bool set_identity(gnutls_certificate_credentials_t credentials, const Keypair& identity) {
  const auto certificate = generate_certificate(identity);
  gnutls_privkey_t key = nullptr;
  if (!certificate || gnutls_privkey_init(&key) != 0) return false;
  const gnutls_datum_t der = datum(*certificate);
  // The credentials take over the key and what `chain` points to, once they have accepted both.
  gnutls_pcert_st chain{};
  bool good = gnutls_privkey_import_ext4(key, const_cast<Keypair*>(&identity), sign_with_identity,
                                         nullptr, nullptr, nullptr, describe_identity, 0) == 0 &&
              gnutls_pcert_import_x509_raw(&chain, &der, GNUTLS_X509_FMT_DER, 0) == 0;
  if (good && gnutls_certificate_set_key(credentials, nullptr, 0, &chain, 1, key) < 0) {
    gnutls_pcert_deinit(&chain);
    good = false;
  }
  if (!good) gnutls_privkey_deinit(key);
  return good;
}

bool set_chain(gnutls_certificate_credentials_t credentials, gnutls_x509_privkey_t key,
               const std::vector<Bytes>& chain) {
  std::vector<gnutls_x509_crt_t> certificates;
  bool good = true;
  for (const Bytes& one : chain) {
    const gnutls_datum_t der = datum(one);
    gnutls_x509_crt_t certificate = nullptr;
    good = good && gnutls_x509_crt_init(&certificate) == 0;
    certificates.push_back(certificate);
    good = good && gnutls_x509_crt_import(certificate, &der, GNUTLS_X509_FMT_DER) == 0;
  }
  good = good && gnutls_certificate_set_x509_key(credentials, certificates.data(),
                                                 static_cast<int>(certificates.size()), key) >= 0;
  for (gnutls_x509_crt_t certificate : certificates) {
    if (certificate != nullptr) gnutls_x509_crt_deinit(certificate);
  }
  return good;
}

}  // namespace

Result<std::unique_ptr<TlsContext>> TlsContext::create(const Keypair& identity,
                                                       const TlsOptions& options) {
  auto context = std::unique_ptr<TlsContext>(new TlsContext);
  if (gnutls_certificate_allocate_credentials(&context->credentials_) != 0 ||
      gnutls_priority_init(&context->priority_, options.priorities.c_str(), nullptr) != 0) {
    return failure(QuicErrc::internal);
  }
  if (!options.present_certificate) return context;

  if (options.certificate_chain.empty() && options.private_key.empty()) {
    if (!set_identity(context->credentials_, identity)) return failure(QuicErrc::internal);
    return context;
  }
  std::vector<Bytes> chain = options.certificate_chain;
  if (chain.empty()) {
    auto certificate = generate_certificate(identity);
    if (!certificate) return failure(certificate.error());
    chain.push_back(std::move(*certificate));
  }
  gnutls_x509_privkey_t key = nullptr;
  if (gnutls_x509_privkey_init(&key) != 0) return failure(QuicErrc::internal);
  const bool good =
      import_key(key, identity, options) && set_chain(context->credentials_, key, chain);
  gnutls_x509_privkey_deinit(key);
  if (!good) return failure(QuicErrc::internal);
  return context;
}

TlsContext::~TlsContext() {
  if (priority_ != nullptr) gnutls_priority_deinit(priority_);
  if (credentials_ != nullptr) gnutls_certificate_free_credentials(credentials_);
}

void TlsContext::set_verify(Verify verify) {
  gnutls_certificate_set_verify_function(credentials_, verify);
}

gnutls_session_t TlsContext::new_session(TlsRole role, const std::string& alpn, void* user) const {
  const bool acceptor = role == TlsRole::acceptor;
  const unsigned int flags =
      (acceptor ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT) |
      GNUTLS_NO_END_OF_EARLY_DATA;
  gnutls_session_t session = nullptr;
  if (gnutls_init(&session, flags) != 0) return nullptr;
  gnutls_session_set_ptr(session, user);
  const gnutls_datum_t protocol = datum(as_bytes(alpn));
  const bool good = (acceptor ? ngtcp2_crypto_gnutls_configure_server_session(session)
                              : ngtcp2_crypto_gnutls_configure_client_session(session)) == 0 &&
                    gnutls_priority_set(session, priority_) == 0 &&
                    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_) == 0 &&
                    gnutls_alpn_set_protocols(session, &protocol, 1, GNUTLS_ALPN_MANDATORY) == 0;
  if (!good) {
    gnutls_deinit(session);
    return nullptr;
  }
  if (acceptor) gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUIRE);
  return session;
}

gnutls_session_t TlsContext::new_stream_session(TlsRole role, const std::string& alpn) const {
  const unsigned int side =
      role == TlsRole::acceptor ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
  gnutls_session_t session = nullptr;
  if (gnutls_init(&session, side | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) != 0) return nullptr;
  const gnutls_datum_t protocol = datum(as_bytes(alpn));
  const bool good = gnutls_priority_set(session, priority_) == 0 &&
                    gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, credentials_) == 0 &&
                    gnutls_alpn_set_protocols(session, &protocol, 1, GNUTLS_ALPN_MANDATORY) == 0;
  if (!good) {
    gnutls_deinit(session);
    return nullptr;
  }
  gnutls_handshake_set_max_packet_length(session, stream_handshake_message_max);
  return session;
}

Result<ByteView> peer_certificate(gnutls_session_t session) {
  unsigned int count = 0;
  const gnutls_datum_t* certificates = gnutls_certificate_get_peers(session, &count);
  if (certificates == nullptr || count == 0) return failure(QuicErrc::no_certificate);
  if (count != 1) return failure(QuicErrc::bad_certificate);
  return ByteView(certificates[0].data, certificates[0].size);
}

Result<NodeId> node_id_of_certificate(ByteView der) {
  const auto key = public_key_of_certificate(der);
  if (!key) return failure(QuicErrc::bad_certificate);
  return NodeId::of(*key);
}

Result<void> export_keying_material(gnutls_session_t session, std::string_view label,
                                    MutableByteView out) {
  const int result = gnutls_prf_rfc5705(session, label.size(), label.data(), 0, nullptr, out.size(),
                                        reinterpret_cast<char*>(out.data()));
  if (result != 0) return failure(QuicErrc::migration_not_possible_yet);
  return {};
}

}  // namespace quicmesh
