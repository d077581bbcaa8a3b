// Tests of Ed25519: the vectors of RFC 8032 s7.1, forgeries, and the life of the secret.
#include "crypto/ed25519.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <new>
#include <string_view>
#include <utility>

#include "base/hex.hpp"

namespace quicmesh {
namespace {

template <class T>
T hex_as(std::string_view text) {
  T value{};
  EXPECT_TRUE(from_hex(text, value));
  return value;
}

Ed25519Secret secret_of(std::string_view seed) {
  return Ed25519Secret::from_seed(hex_as<Ed25519Seed>(seed));
}

struct Rfc8032Vector {
  std::string_view seed;
  std::string_view public_key;
  std::string_view message;
  std::string_view signature;
};

constexpr Rfc8032Vector vectors[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
     "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
     "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
};

TEST(Ed25519, signs_and_verifies_the_vectors_of_rfc_8032) {
  for (const Rfc8032Vector& vector : vectors) {
    const Ed25519Secret secret = secret_of(vector.seed);
    const Bytes message = from_hex(vector.message).value();
    EXPECT_EQ(to_hex(secret.public_key().bytes), vector.public_key);
    EXPECT_EQ(to_hex(secret.sign(message).bytes), vector.signature);
    EXPECT_TRUE(ed25519_verify(secret.public_key(), message, secret.sign(message)));
    EXPECT_EQ(to_hex(secret.seed()), vector.seed);
  }
}

TEST(Ed25519, every_flipped_bit_of_key_message_or_signature_is_refused) {
  const Ed25519Secret secret = secret_of(vectors[2].seed);
  const Bytes message = to_bytes("the message");
  const Signature signature = secret.sign(message);
  for (std::size_t bit = 0; bit < 8 * Signature::size; ++bit) {
    Signature changed = signature;
    changed.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(ed25519_verify(secret.public_key(), message, changed)) << bit;
  }
  for (std::size_t bit = 0; bit < 8 * PublicKey::size; ++bit) {
    PublicKey changed = secret.public_key();
    changed.bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(ed25519_verify(changed, message, signature)) << bit;
  }
  for (std::size_t bit = 0; bit < 8 * message.size(); ++bit) {
    Bytes changed = message;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(ed25519_verify(secret.public_key(), changed, signature)) << bit;
  }
}

TEST(Ed25519, refuses_a_signature_whose_scalar_is_not_reduced) {
  // Adding the group order L to S gives a second "signature" to a verifier that does not look.
  const Ed25519Secret secret = secret_of(vectors[1].seed);
  Signature signature = secret.sign({});
  const auto order = hex_as<std::array<std::uint8_t, 32>>(
      "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
  unsigned carry = 0;
  for (std::size_t i = 0; i < 32; ++i) {
    carry += signature.bytes[32 + i] + unsigned{order[i]};
    signature.bytes[32 + i] = static_cast<std::uint8_t>(carry);
    carry >>= 8;
  }
  EXPECT_EQ(carry, 0U);
  EXPECT_FALSE(ed25519_verify(secret.public_key(), {}, signature));
}

TEST(Ed25519, refuses_keys_of_small_order) {
  // The neutral element: with R neutral too and S = 0 the equation holds for every message.
  PublicKey neutral;
  neutral.bytes[0] = 1;
  Signature signature;
  signature.bytes[0] = 1;
  EXPECT_FALSE(ed25519_verify(neutral, as_bytes("anything"), signature));
}

TEST(Ed25519, valid_keys_are_points_of_the_prime_order_group_in_canonical_form) {
  for (const Rfc8032Vector& vector : vectors) {
    EXPECT_TRUE(ed25519_is_valid(secret_of(vector.seed).public_key()));
  }
  for (const std::string_view text : {
           "0100000000000000000000000000000000000000000000000000000000000000",  // order 1
           "0000000000000000000000000000000000000000000000000000000000000000",  // order 4
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // order 2
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",  // order 8
           "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",  // y = p + 1
           "0200000000000000000000000000000000000000000000000000000000000000",  // not on the curve
           "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       }) {
    EXPECT_FALSE(ed25519_is_valid(PublicKey{hex_as<std::array<std::uint8_t, 32>>(text)})) << text;
  }
}

TEST(Ed25519Secret, leaves_nothing_behind_where_it_moves_from) {
  Ed25519Secret first = secret_of(vectors[0].seed);
  const Ed25519Secret second = std::move(first);
  EXPECT_EQ(to_hex(second.seed()), vectors[0].seed);
  // NOLINTNEXTLINE(bugprone-use-after-move): what is left is what is tested.
  EXPECT_TRUE(std::ranges::all_of(first.seed(), [](std::uint8_t byte) { return byte == 0; }));
  Ed25519Secret third = secret_of(vectors[1].seed);
  third = secret_of(vectors[2].seed);
  EXPECT_EQ(to_hex(third.seed()), vectors[2].seed);
}

TEST(Ed25519Secret, is_wiped_when_destroyed) {
  alignas(Ed25519Secret) std::array<std::uint8_t, sizeof(Ed25519Secret)> storage;
  storage.fill(0xee);
  auto* secret = new (storage.data()) Ed25519Secret(secret_of(vectors[0].seed));
  EXPECT_EQ(storage[0], 0x9d);
  secret->~Ed25519Secret();
  EXPECT_TRUE(std::ranges::all_of(storage, [](std::uint8_t byte) { return byte == 0; }));
}

}  // namespace
}  // namespace quicmesh
