// Tests of signed records: golden bytes, tampering, and TS10: no signature is good for two
// purposes.
#include "identity/signed_record.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <string_view>

#include "base/hex.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

Keypair rfc_8032_keypair() {
  std::array<std::uint8_t, 32> seed{};
  EXPECT_TRUE(from_hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", seed));
  return Keypair::from_seed(seed);
}

constexpr SignatureDomain domain_at(std::size_t index) {
  return static_cast<SignatureDomain>(index);
}

std::error_code refusal_of(SignatureDomain domain, ByteView record) {
  const auto read = verify_record(domain, record);
  return read ? std::error_code() : read.error();
}

struct Golden {
  std::string_view name;
  std::string_view signature;
};

// Signatures of "payload of <name>" by the key of RFC 8032 s7.1 test 1, made with OpenSSL from the
// documented layout, not with this code.
constexpr Golden golden[signature_domain_count] = {
    {"endpoint-record",
     "20135fc4c0442aca3dfac3a145d37e2dfe960e1dd4ca632a1c40463db5b1cac9"
     "66d400fae6328af2d9d90359904606e43d93ecf3182d539bdeae895238948f0d"},
    {"relay-advert",
     "b40f4774d26121995b6cfc1cda37720a57f2e1a0d4d879355d6f9abf5b7864e8"
     "f26225c19ef139f95507839f1ef0b9ce217da93a984c351c35c65df36d9c9a0f"},
    {"dht-value",
     "3c44b4bb4ff904f4c391b891dbd71aa4d395903ce181c3e1a82dd826be836f74"
     "2db229b9b6bc2bafa38aea8e7b05fb7c899ac5aed960bb074345f40dd2f2c10a"},
    {"provider",
     "8a104b9179dc1b6e66975a8e3590016ccd1e72b2111eb54b8e02f493ce5185de"
     "14972ca557af61789996bb38e02a5ae5e9b4aed987c287074c260b2e8329a709"},
    {"gossip-message",
     "c963c3f07452c6bffc8fc01bbd3af80690618e2b4635b1502ce739e785f55d82"
     "197ed0a630ffe9a0c2e5d285124e71066ca51261abf79941aab2ea11fa2ca709"},
    {"envelope",
     "74e3f0ccc55cf308c31e6833873276d9cb7d7188aca2924b2e4b87b9643b6cdd"
     "457901ea11a3d80cfea7039735e8074a755ee41c94c09d54ce89bcc55468490c"},
    {"channel-message",
     "7ce01b3e62d9964fcf5cf86f191871bde2b8ae79dfe2400bfada5e3df07fa938"
     "67fc8bf4079e0a6f5e1e3c3007d03093fca55cf6271e8fee1a65a92c1fdd6701"},
    {"nat-profile",
     "6eb489467b273d137b0d7d409d870c531a0c2c5f4f2faca689e8caa30beb2065"
     "616be612b0b8dbf4c23c1e78dd4d846b2bc701726bc98b657cf5436913805306"},
    {"capability",
     "9d2b63b22db897afa4041d51f0b0bb18fd86d5205055db82937abe83de6ee877"
     "a2bac41056b83949832cc77c9e3fafe74986b711f1862e1f2215940faa8d200f"},
};

TEST(SignedRecord, has_the_golden_bytes_of_every_domain) {
  const Keypair keypair = rfc_8032_keypair();
  for (std::size_t i = 0; i < signature_domain_count; ++i) {
    const std::string payload = "payload of " + std::string(golden[i].name);
    EXPECT_EQ(domain_name(domain_at(i)), "quicmesh/1/" + std::string(golden[i].name));
    const auto record = sign_record(keypair, domain_at(i), as_bytes(payload));
    ASSERT_TRUE(record);
    EXPECT_EQ(to_hex(*record), "01" + to_hex(keypair.public_key().bytes) +
                                   std::string(golden[i].signature) + to_hex(as_bytes(payload)));
    const auto read = verify_record(domain_at(i), *record);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->signer, keypair.public_key());
    EXPECT_EQ(read->signer_id(), keypair.node_id());
    EXPECT_EQ(as_text(read->payload), payload);
  }
}

TEST(SignedRecord, TS10_a_signature_of_one_domain_fails_as_every_other) {
  const Keypair keypair = Keypair::generate();
  for (std::size_t made = 0; made < signature_domain_count; ++made) {
    const Bytes record = sign_record(keypair, domain_at(made), as_bytes("the payload")).value();
    for (std::size_t tried = 0; tried < signature_domain_count; ++tried) {
      EXPECT_EQ(verify_record(domain_at(tried), record).has_value(), tried == made)
          << domain_name(domain_at(made)) << " as " << domain_name(domain_at(tried));
    }
  }
}

TEST(SignedRecord, TS10_no_payload_of_one_domain_is_a_message_of_another) {
  // Without the length in front, "quicmesh/1/a" + "bc" would be signed like "quicmesh/1/ab" + "c".
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < signature_domain_count; ++i)
    names.insert(domain_name(domain_at(i)));
  EXPECT_EQ(names.size(), signature_domain_count);
  const Keypair keypair = Keypair::generate();
  for (std::size_t i = 0; i < signature_domain_count; ++i) {
    const std::string_view name = domain_name(domain_at(i));
    const std::string without_length = std::string(name) + "payload";
    EXPECT_FALSE(verify(keypair.public_key(), as_bytes(without_length),
                        sign_for(domain_at(i), keypair, as_bytes("payload"))));
  }
}

TEST(SignedRecord, TS10_a_bare_signature_or_one_of_tls_is_no_record) {
  const Keypair keypair = Keypair::generate();
  const std::string tls = std::string(64, ' ') + "TLS 1.3, client CertificateVerify" +
                          std::string(1, '\0') + std::string(32, 'h');
  for (const std::string& message : {std::string("payload"), tls}) {
    const Signature signature = keypair.sign(as_bytes(message));
    for (std::size_t i = 0; i < signature_domain_count; ++i) {
      EXPECT_FALSE(verify_for(domain_at(i), keypair.public_key(), as_bytes(message), signature));
    }
  }
}

TEST(SignedRecord, with_any_bit_flipped_is_refused) {
  const Keypair keypair = Keypair::generate();
  const Bytes record = sign_record(keypair, SignatureDomain::envelope, as_bytes("text")).value();
  for (std::size_t bit = 0; bit < 8 * record.size(); ++bit) {
    Bytes changed = record;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_EQ(refusal_of(SignatureDomain::envelope, changed),
              bit < 8 ? IdentityErrc::malformed_record : IdentityErrc::record_signature)
        << bit;
  }
}

TEST(SignedRecord, cut_or_extended_is_refused) {
  const Keypair keypair = Keypair::generate();
  const Bytes record = sign_record(keypair, SignatureDomain::envelope, as_bytes("text")).value();
  for (std::size_t size = 0; size < record.size(); ++size) {
    EXPECT_EQ(refusal_of(SignatureDomain::envelope, ByteView(record).first(size)),
              size < signed_record_overhead ? IdentityErrc::malformed_record
                                            : IdentityErrc::record_signature)
        << size;
  }
  Bytes longer = record;
  longer.push_back(0);
  EXPECT_EQ(refusal_of(SignatureDomain::envelope, longer), IdentityErrc::record_signature);
}

TEST(SignedRecord, of_another_signer_is_not_taken_for_ours) {
  const Keypair alice = Keypair::generate();
  const Keypair mallory = Keypair::generate();
  Bytes record = sign_record(mallory, SignatureDomain::provider, as_bytes("x")).value();
  std::ranges::copy(alice.public_key().bytes, record.begin() + 1);
  EXPECT_EQ(refusal_of(SignatureDomain::provider, record), IdentityErrc::record_signature);
}

TEST(SignedRecord, may_be_empty_but_not_too_long) {
  const Keypair keypair = Keypair::generate();
  const Bytes empty = sign_record(keypair, SignatureDomain::provider, {}).value();
  EXPECT_EQ(empty.size(), signed_record_overhead);
  EXPECT_TRUE(verify_record(SignatureDomain::provider, empty));
  Bytes payload(signed_payload_max);
  Bytes longest = sign_record(keypair, SignatureDomain::provider, payload).value();
  EXPECT_TRUE(verify_record(SignatureDomain::provider, longest));
  payload.push_back(0);
  longest.push_back(0);
  EXPECT_EQ(sign_record(keypair, SignatureDomain::provider, payload).error(),
            IdentityErrc::record_too_long);
  EXPECT_EQ(refusal_of(SignatureDomain::provider, longest), IdentityErrc::record_too_long);
}

}  // namespace
}  // namespace quicmesh
