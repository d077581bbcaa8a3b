#include "crypto/hmac.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"

namespace quicmesh {
namespace {

// RFC 2202 s3, test cases 1 and 2.
TEST(Hmac, sha1_gives_the_values_of_rfc_2202) {
  const ByteView hi[] = {as_bytes("Hi There")};
  EXPECT_EQ(to_hex(hmac_sha1(Bytes(20, 0x0b), hi)), "b617318655057264e28bc0b6fb378c8ef146be00");
  const ByteView question[] = {as_bytes("what do ya want "), as_bytes("for nothing?")};
  EXPECT_EQ(to_hex(hmac_sha1(as_bytes("Jefe"), question)),
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}

// RFC 4231 s4.2 and s4.3.
TEST(Hmac, sha256_gives_the_values_of_rfc_4231) {
  const ByteView hi[] = {as_bytes("Hi There")};
  EXPECT_EQ(to_hex(hmac_sha256(Bytes(20, 0x0b), hi)),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  const ByteView question[] = {as_bytes("what do ya want "), as_bytes("for nothing?")};
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), question)),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(Hmac, takes_empty_keys_messages_and_parts) {
  EXPECT_EQ(to_hex(hmac_sha1({}, {})), "fbdb1d1b18aa6c08324b7d64b71fb76370690e1d");
  const ByteView parts[] = {ByteView(), as_bytes("a"), ByteView()};
  const ByteView whole[] = {as_bytes("a")};
  EXPECT_EQ(hmac_sha256({}, parts), hmac_sha256({}, whole));
}

// RFC 1321 A.5; FIPS 180-4 example of one block.
TEST(Digest, gives_the_standards_examples) {
  EXPECT_EQ(to_hex(md5(as_bytes("abc")).value()), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(to_hex(sha256(as_bytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

}  // namespace
}  // namespace quicmesh
