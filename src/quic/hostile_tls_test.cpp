// THREATS TQ11: every wrong way to introduce oneself is refused before any application byte is
// delivered, and both sides learn why. S1.66, S1.69.
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>

#include "identity/certificate.hpp"
#include "quic/connection.hpp"
#include "quic/pair_for_tests.hpp"

namespace quicmesh {

// Reaches below the endpoint, to send what ours never would.
class HostileConnection {
 public:
  static void send_tls_message(TestSide& side, ByteView message) {
    QuicConnection& connection = *side.endpoint->find(*side.connection);
    ASSERT_EQ(ngtcp2_conn_submit_crypto_data(connection.conn_, NGTCP2_ENCRYPTION_LEVEL_1RTT,
                                             message.data(), message.size()),
              0);
    side.endpoint->wake(connection);
  }
  static bool has_session(const TestSide& side) {
    return side.endpoint->find(*side.connection)->session_ != nullptr;
  }
};

namespace {

Bytes take(gnutls_datum_t& datum) {
  Bytes bytes(datum.data, datum.data + datum.size);
  gnutls_free(datum.data);
  return bytes;
}

// A key and its certificate, made by GnuTLS as a stranger would.
class Stranger {
 public:
  Stranger(gnutls_pk_algorithm_t algorithm, unsigned int bits, std::time_t expires,
           const Stranger* issuer = nullptr) {
    gnutls_x509_privkey_init(&key_);
    EXPECT_EQ(gnutls_x509_privkey_generate(key_, algorithm, bits, 0), 0);
    gnutls_x509_crt_init(&certificate_);
    const std::string name = issuer == nullptr ? "issuer" : "leaf";
    const std::uint8_t serial = issuer == nullptr ? 1 : 2;
    gnutls_x509_crt_set_version(certificate_, 3);
    gnutls_x509_crt_set_serial(certificate_, &serial, 1);
    gnutls_x509_crt_set_activation_time(certificate_, 0);
    gnutls_x509_crt_set_expiration_time(certificate_, expires);
    gnutls_x509_crt_set_dn_by_oid(certificate_, GNUTLS_OID_X520_COMMON_NAME, 0, name.data(),
                                  static_cast<unsigned int>(name.size()));
    gnutls_x509_crt_set_ca_status(certificate_, issuer == nullptr ? 1 : 0);
    gnutls_x509_crt_set_key(certificate_, key_);
    const Stranger& signer = issuer == nullptr ? *this : *issuer;
    const auto digest = algorithm == GNUTLS_PK_EDDSA_ED25519 ? GNUTLS_DIG_SHA512
                        : algorithm == GNUTLS_PK_EDDSA_ED448 ? GNUTLS_DIG_SHAKE_256
                                                             : GNUTLS_DIG_SHA256;
    EXPECT_EQ(gnutls_x509_crt_sign2(certificate_, signer.certificate_, signer.key_, digest, 0), 0);
  }
  ~Stranger() {
    gnutls_x509_crt_deinit(certificate_);
    gnutls_x509_privkey_deinit(key_);
  }
  Stranger(const Stranger&) = delete;
  Stranger& operator=(const Stranger&) = delete;

  [[nodiscard]] Bytes certificate() const {
    gnutls_datum_t der{};
    gnutls_x509_crt_export2(certificate_, GNUTLS_X509_FMT_DER, &der);
    return take(der);
  }
  [[nodiscard]] TlsOptions options() const {
    gnutls_datum_t pkcs8{};
    gnutls_x509_privkey_export2_pkcs8(key_, GNUTLS_X509_FMT_DER, nullptr, GNUTLS_PKCS_PLAIN,
                                      &pkcs8);
    TlsOptions options;
    options.certificate_chain = {certificate()};
    options.private_key = take(pkcs8);
    return options;
  }

 private:
  gnutls_x509_privkey_t key_ = nullptr;
  gnutls_x509_crt_t certificate_ = nullptr;
};

TlsOptions foreign_certificate(gnutls_pk_algorithm_t algorithm, unsigned int bits,
                               std::time_t expires) {
  return Stranger(algorithm, bits, expires).options();
}

constexpr std::time_t far_future = 4'000'000'000;

struct Case {
  std::string name;
  TlsOptions dialler{};
  TlsOptions acceptor{};
  bool dial_wrong_id = false;
  std::string dialler_alpn = "quicmesh/p2p/1";
  QuicErrc dialler_error{};   // what the dialling side reports
  QuicErrc acceptor_error{};  // what the accepting side reports
};

std::vector<Case> cases() {
  std::vector<Case> all;
  all.push_back({.name = "the_node_that_answers_is_another",
                 .dial_wrong_id = true,
                 .dialler_error = QuicErrc::wrong_peer,
                 .acceptor_error = QuicErrc::refused_by_peer});
  TlsOptions silent;
  silent.present_certificate = false;
  all.push_back({.name = "no_client_certificate",
                 .dialler = silent,
                 .dialler_error = QuicErrc::refused_by_peer,
                 .acceptor_error = QuicErrc::no_certificate});
  all.push_back({.name = "acceptor_with_the_certificate_of_another_key",
                 .acceptor = foreign_certificate(GNUTLS_PK_EDDSA_ED25519, 256, far_future),
                 .dialler_error = QuicErrc::wrong_peer,
                 .acceptor_error = QuicErrc::refused_by_peer});
  const struct {
    const char* name;
    gnutls_pk_algorithm_t algorithm;
    unsigned int bits;
  } kinds[] = {{"rsa", GNUTLS_PK_RSA, 2048},
               {"p256", GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1)},
               {"ed448", GNUTLS_PK_EDDSA_ED448, 456}};
  for (const auto& kind : kinds) {
    const TlsOptions foreign = foreign_certificate(kind.algorithm, kind.bits, far_future);
    all.push_back({.name = std::string("dialler_with_") + kind.name,
                   .dialler = foreign,
                   .dialler_error = QuicErrc::refused_by_peer,
                   .acceptor_error = QuicErrc::bad_certificate});
    all.push_back({.name = std::string("acceptor_with_") + kind.name,
                   .acceptor = foreign,
                   .dialler_error = QuicErrc::bad_certificate,
                   .acceptor_error = QuicErrc::refused_by_peer});
  }
  const Stranger issuer(GNUTLS_PK_EDDSA_ED25519, 256, far_future);
  const Stranger leaf(GNUTLS_PK_EDDSA_ED25519, 256, far_future, &issuer);
  TlsOptions two = leaf.options();
  two.certificate_chain.push_back(issuer.certificate());
  all.push_back({.name = "dialler_with_two_certificates",
                 .dialler = two,
                 .dialler_error = QuicErrc::refused_by_peer,
                 .acceptor_error = QuicErrc::bad_certificate});
  all.push_back({.name = "acceptor_with_two_certificates",
                 .acceptor = two,
                 .dialler_error = QuicErrc::bad_certificate,
                 .acceptor_error = QuicErrc::refused_by_peer});
  all.push_back({.name = "another_alpn",
                 .dialler_alpn = "h3",
                 .dialler_error = QuicErrc::protocol_not_offered,
                 .acceptor_error = QuicErrc::protocol_not_offered});
  // TLS 1.2 alone: a ClientHello without supported_versions, for which QUIC has no place.
  TlsOptions old;
  old.priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.2:-GROUP-ALL:+GROUP-X25519";
  all.push_back({.name = "tls_1_2",
                 .dialler = old,
                 .dialler_error = QuicErrc::tls_failure,
                 .acceptor_error = QuicErrc::tls_failure});
  return all;
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

class HostileTls : public testing::TestWithParam<Case> {};

TEST_P(HostileTls, is_refused_with_the_reason_on_both_sides) {
  const Case& c = GetParam();
  QuicConfig dialler_config;
  dialler_config.alpn = c.dialler_alpn;
  const QuicConfig acceptor_config;
  TestPair pair(dialler_config, c.dialler, c.acceptor, &acceptor_config);
  NodeId expected = pair.acceptor.identity.node_id();
  if (c.dial_wrong_id) expected.bytes[5] ^= 1;
  pair.dial(expected);
  // What the dialler says as soon as it may is not delivered either.
  bool spoke = false;
  for (int i = 0; i < 200; ++i) {
    pair.run(1ms);
    QuicEndpoint& speaker = *pair.dialler.endpoint;
    if (spoke || !speaker.handshake_completed(*pair.dialler.connection)) continue;
    const auto stream = speaker.open_stream(*pair.dialler.connection, false);
    if (!stream) continue;
    Bytes data(100);
    spoke = speaker.write(*pair.dialler.connection, *stream, data, true).has_value();
  }
  pair.run(5s);
  const auto* dialler = pair.dialler.find<ConnectionClosed>();
  const auto* acceptor = pair.acceptor.find<ConnectionClosed>();
  ASSERT_NE(dialler, nullptr);
  ASSERT_NE(acceptor, nullptr);
  EXPECT_EQ(dialler->error, c.dialler_error) << describe(dialler->error) << dialler->reason;
  EXPECT_EQ(acceptor->error, c.acceptor_error) << describe(acceptor->error) << acceptor->reason;
  EXPECT_FALSE(dialler->reason.empty() && acceptor->reason.empty());
  for (const TestSide* side : {&pair.dialler, &pair.acceptor}) {
    EXPECT_EQ(side->find<ConnectionConfirmed>(), nullptr);
    EXPECT_EQ(side->find<StreamOpened>(), nullptr);
    EXPECT_EQ(side->find<StreamReadable>(), nullptr);
    EXPECT_EQ(side->endpoint->connections(), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(Table, HostileTls, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

// The certificate is the key's container and nothing else: boards without a clock boot in 1970.
TEST(Certificates, that_have_expired_are_good_all_the_same) {
  const TlsOptions expired = foreign_certificate(GNUTLS_PK_EDDSA_ED25519, 256, 1000);
  TestPair pair({}, {}, expired);
  const auto key = public_key_of_certificate(expired.certificate_chain[0]);
  ASSERT_TRUE(key);
  pair.dial(NodeId::of(*key));
  pair.run(1s);
  EXPECT_NE(pair.dialler.find<ConnectionConfirmed>(), nullptr);
}

// QUIC-FACTS Q1: the dialler's own handshake is complete before the acceptor judges it. What the
// dialler sends by then must never reach the accepting application.
TEST(HostileTlsEarly, data_sent_before_the_verdict_is_never_delivered) {
  TestPair pair({}, foreign_certificate(GNUTLS_PK_RSA, 2048, far_future), {});
  pair.dial();
  bool wrote = false;
  for (int i = 0; i < 200; ++i) {
    pair.run(1ms);
    if (wrote || !pair.dialler.endpoint->handshake_completed(*pair.dialler.connection)) continue;
    const auto stream = pair.dialler.endpoint->open_stream(*pair.dialler.connection, false);
    ASSERT_TRUE(stream);
    Bytes data(1000);
    ASSERT_TRUE(pair.dialler.endpoint->write(*pair.dialler.connection, *stream, data, true));
    wrote = true;
  }
  EXPECT_TRUE(wrote) << "the handshake did not reach the point this test is about";
  EXPECT_EQ(pair.acceptor.find<StreamOpened>(), nullptr);
  EXPECT_EQ(pair.acceptor.find<StreamReadable>(), nullptr);
  EXPECT_EQ(pair.dialler.find<ConnectionConfirmed>(), nullptr);
}

// The TLS session is gone by then, on both sides; whoever still speaks TLS is told so and cut off.
TEST(HostileTlsLate, a_tls_message_after_the_handshake_ends_the_connection_and_nothing_else) {
  for (const bool from_dialler : {true, false}) {
    TestPair pair;
    pair.dial();
    pair.run(200ms);
    TestSide& hostile = from_dialler ? pair.dialler : pair.acceptor;
    TestSide& victim = from_dialler ? pair.acceptor : pair.dialler;
    ASSERT_FALSE(HostileConnection::has_session(victim));
    const Bytes key_update = {24, 0, 0, 1, 1};  // RFC 8446 s4.6.3: asks for one in return
    HostileConnection::send_tls_message(hostile, key_update);
    pair.run(200ms);
    const auto* closed = victim.find<ConnectionClosed>();
    ASSERT_NE(closed, nullptr);
    EXPECT_EQ(closed->error, QuicErrc::tls_failure);
    EXPECT_NE(hostile.find<ConnectionClosed>(), nullptr);
    EXPECT_EQ(victim.endpoint->connections(), 0u);
  }
}

// S1.09: nothing that an application says stands on the wire in clear.
TEST(Wire, carries_no_plaintext) {
  TestPair pair;
  pair.dial();
  pair.run(200ms);
  const std::string secret = "attack at dawn, by the old mill";
  const auto stream = pair.dialler.endpoint->open_stream(*pair.dialler.connection, false).value();
  Bytes data = to_bytes(secret);
  ASSERT_TRUE(pair.dialler.endpoint->write(*pair.dialler.connection, stream, data, true));
  ASSERT_TRUE(pair.dialler.endpoint->send_datagram(*pair.dialler.connection, to_bytes(secret)));
  pair.run(200ms);
  EXPECT_EQ(TestPair::read_all(pair.acceptor, stream), to_bytes(secret));
  ASSERT_FALSE(pair.acceptor.received.empty());
  for (const Bytes& packet : pair.acceptor.received) {
    EXPECT_EQ(as_text(packet).find(secret), std::string_view::npos);
  }
}

}  // namespace
}  // namespace quicmesh
