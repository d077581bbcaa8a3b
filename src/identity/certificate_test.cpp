// Tests of certificates: ours, those of OpenSSL for every kind of key, and broken ones.
#include "identity/certificate.hpp"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>

#include "base/hex.hpp"
#include "base/rng.hpp"
#include "crypto/seeded_rng.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

Keypair test_keypair() {
  SeededRng rng(1);
  return Keypair::generate(rng);
}

/// A file of tests/vectors/certificates.
Bytes file(const std::string& name) {
  std::ifstream in(QUICMESH_SOURCE_DIR "/tests/vectors/certificates/" + name, std::ios::binary);
  EXPECT_TRUE(in.is_open()) << name;
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::error_code refusal_of(ByteView der) {
  const auto key = public_key_of_certificate(der);
  return key ? std::error_code() : key.error();
}

/// Our certificate with its key overwritten; nobody checks the signature, so it still parses.
Bytes with_key(Bytes der, const Keypair& owner, const PublicKey& replacement) {
  const auto& original = owner.public_key().bytes;
  const auto found = std::ranges::search(der, original);
  EXPECT_FALSE(found.empty());
  std::ranges::copy(replacement.bytes, found.begin());
  return der;
}

// S1.81
TEST(Certificate, holds_the_key_that_made_it) {
  const Keypair keypair = test_keypair();
  const auto der = generate_certificate(keypair);
  ASSERT_TRUE(der);
  EXPECT_LE(der->size(), 400U);
  EXPECT_EQ(public_key_of_certificate(*der), keypair.public_key());
}

TEST(Certificate, is_a_function_of_the_key) {
  EXPECT_EQ(generate_certificate(test_keypair()), generate_certificate(test_keypair()));
  EXPECT_NE(generate_certificate(test_keypair()), generate_certificate(Keypair::generate()));
}

TEST(Certificate, is_well_formed_self_signed_and_without_an_end) {
  const Bytes der = generate_certificate(test_keypair()).value();
  gnutls_x509_crt_t certificate = nullptr;
  ASSERT_EQ(gnutls_x509_crt_init(&certificate), 0);
  const gnutls_datum_t input{const_cast<unsigned char*>(der.data()),
                             static_cast<unsigned int>(der.size())};
  ASSERT_EQ(gnutls_x509_crt_import(certificate, &input, GNUTLS_X509_FMT_DER), 0);
  EXPECT_EQ(gnutls_x509_crt_get_version(certificate), 3);
  EXPECT_EQ(gnutls_x509_crt_get_activation_time(certificate), 0);
  EXPECT_EQ(gnutls_x509_crt_get_expiration_time(certificate),
            static_cast<std::time_t>(GNUTLS_X509_NO_WELL_DEFINED_EXPIRATION));
  EXPECT_EQ(gnutls_x509_crt_check_issuer(certificate, certificate), 1U);
  unsigned int verdict = ~0U;
  EXPECT_EQ(gnutls_x509_crt_verify(
                certificate, &certificate, 1,
                GNUTLS_VERIFY_ALLOW_ANY_X509_V1_CA_CRT | GNUTLS_VERIFY_DISABLE_CA_SIGN, &verdict),
            0);
  EXPECT_EQ(
      verdict & (GNUTLS_CERT_SIGNATURE_FAILURE | GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED),
      0U);
  gnutls_x509_crt_deinit(certificate);
}

// S1.66
TEST(Certificate, of_another_node_than_expected_is_refused) {
  const Keypair keypair = test_keypair();
  const Bytes der = generate_certificate(keypair).value();
  EXPECT_EQ(check_certificate(der, keypair.node_id()), keypair.public_key());
  NodeId almost = keypair.node_id();
  almost.bytes[31] ^= 1;
  EXPECT_EQ(check_certificate(der, almost).error(), IdentityErrc::certificate_of_another_node);
  EXPECT_EQ(check_certificate(der, Keypair::generate().node_id()).error(),
            IdentityErrc::certificate_of_another_node);
  EXPECT_EQ(check_certificate({}, keypair.node_id()).error(), IdentityErrc::malformed_certificate);
}

TEST(Certificate, of_openssl_with_an_ed25519_key_is_read) {
  const auto key = public_key_of_certificate(file("ed25519.der"));
  ASSERT_TRUE(key);
  const Bytes expected = file("ed25519.key.hex");
  EXPECT_EQ(to_hex(key->bytes) + "\n", as_text(expected));
}

TEST(Certificate, with_any_other_kind_of_key_is_refused_by_its_kind) {
  EXPECT_EQ(refusal_of(file("rsa.der")), IdentityErrc::certificate_key_rsa);
  EXPECT_EQ(refusal_of(file("rsa_pss.der")), IdentityErrc::certificate_key_rsa);
  EXPECT_EQ(refusal_of(file("p256.der")), IdentityErrc::certificate_key_ecdsa);
  EXPECT_EQ(refusal_of(file("p521.der")), IdentityErrc::certificate_key_ecdsa);
  EXPECT_EQ(refusal_of(file("ed448.der")), IdentityErrc::certificate_key_ed448);
  EXPECT_EQ(refusal_of(file("x25519.der")), IdentityErrc::certificate_key_unsupported);
}

TEST(Certificate, with_a_key_that_nobody_owns_is_refused) {
  const Keypair keypair = test_keypair();
  const Bytes der = generate_certificate(keypair).value();
  PublicKey neutral;
  neutral.bytes[0] = 1;
  EXPECT_EQ(refusal_of(with_key(der, keypair, neutral)), IdentityErrc::certificate_key_invalid);
  EXPECT_EQ(refusal_of(with_key(der, keypair, PublicKey{})), IdentityErrc::certificate_key_invalid);
  const PublicKey other = Keypair::generate().public_key();
  EXPECT_EQ(public_key_of_certificate(with_key(der, keypair, other)), other);
}

TEST(Certificate, cut_short_or_followed_by_anything_is_malformed) {
  const Bytes der = generate_certificate(test_keypair()).value();
  for (std::size_t size = 0; size < der.size(); ++size) {
    EXPECT_EQ(refusal_of(ByteView(der).first(size)), IdentityErrc::malformed_certificate) << size;
  }
  Bytes longer = der;
  longer.push_back(0);
  EXPECT_EQ(refusal_of(longer), IdentityErrc::malformed_certificate);
}

TEST(Certificate, larger_than_the_limit_is_refused_however_well_formed) {
  const Bytes der = file("large.der");
  EXPECT_GT(der.size(), certificate_size_max);
  EXPECT_EQ(refusal_of(der), IdentityErrc::malformed_certificate);
}

TEST(Certificate, with_flipped_bits_gives_a_key_or_an_error_and_never_a_fault) {
  const Bytes der = generate_certificate(test_keypair()).value();
  for (std::size_t bit = 0; bit < 8 * der.size(); ++bit) {
    Bytes changed = der;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    (void)public_key_of_certificate(changed);  // either outcome is right
  }
  Rng rng(1);
  for (int round = 0; round < 2000; ++round) {
    Bytes changed = der;
    for (auto flips = rng.below(8) + 2; flips > 0; --flips) {
      changed[rng.below(changed.size())] = static_cast<std::uint8_t>(rng.next());
    }
    (void)public_key_of_certificate(changed);
  }
}

}  // namespace
}  // namespace quicmesh
