// Tests of the text of key files.
#include "identity/key_text.hpp"

#include <gtest/gtest.h>

#include <string>

#include "base/hex.hpp"
#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

const std::string good =
    "quicmesh-key-v1 ed25519\n"
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n"
    "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a\n";

std::error_code refusal_of(const std::string& text) {
  const auto keypair = parse_key_text(text);
  return keypair ? std::error_code() : keypair.error();
}

TEST(KeyText, is_written_as_documented_and_read_back) {
  const auto keypair = parse_key_text(good);
  ASSERT_TRUE(keypair);
  EXPECT_EQ(to_hex(keypair->public_key().bytes), good.substr(89, 64));
  EXPECT_EQ(as_text(encode_key_text(*keypair)), good);
  EXPECT_EQ(good.size(), key_text_size);
}

TEST(KeyText, of_every_new_key_comes_back) {
  const Keypair keypair = Keypair::generate();
  const auto again = parse_key_text(as_text(encode_key_text(keypair)));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->node_id(), keypair.node_id());
}

TEST(KeyText, cut_anywhere_is_malformed) {
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(refusal_of(good.substr(0, size)), IdentityErrc::malformed_key_text) << size;
  }
}

TEST(KeyText, with_any_character_changed_is_refused) {
  for (std::size_t place = 0; place < good.size(); ++place) {
    for (const char wrong : {'0', 'e', 'z', '\n', '\0', ' '}) {
      if (wrong == good[place]) continue;
      std::string text = good;
      text[place] = wrong;
      EXPECT_TRUE(refusal_of(text)) << place << " " << wrong;
    }
  }
}

TEST(KeyText, with_anything_around_it_is_malformed) {
  EXPECT_EQ(refusal_of(good + "\n"), IdentityErrc::malformed_key_text);
  EXPECT_EQ(refusal_of(good + good), IdentityErrc::malformed_key_text);
  EXPECT_EQ(refusal_of(" " + good), IdentityErrc::malformed_key_text);
  EXPECT_EQ(refusal_of("\xef\xbb\xbf" + good), IdentityErrc::malformed_key_text);
}

TEST(KeyText, of_another_version_or_kind_says_so) {
  std::string text = good;
  text.replace(0, 15, "quicmesh-key-v2");
  EXPECT_EQ(refusal_of(text), IdentityErrc::key_text_version);
  text = good;
  text.replace(16, 7, "ed448.x");
  EXPECT_EQ(refusal_of(text), IdentityErrc::key_text_version);
}

TEST(KeyText, whose_halves_do_not_belong_together_is_a_mismatch) {
  std::string text = good;
  text[24] = text[24] == '0' ? '1' : '0';
  EXPECT_EQ(refusal_of(text), IdentityErrc::key_text_mismatch);
}

}  // namespace
}  // namespace quicmesh
