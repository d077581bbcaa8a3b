// Tests of the short MAC and of comparing and erasing secrets.
#include "crypto/mac.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/hex.hpp"
#include "crypto/constant_time.hpp"

namespace quicmesh {
namespace {

Blake3Key key_of(std::uint8_t byte) {
  Blake3Key key;
  key.fill(byte);
  return key;
}

TEST(Mac, is_the_first_half_of_the_keyed_hash) {
  const Mac mac = make_mac(key_of(1), as_bytes("probe"));
  EXPECT_EQ(to_hex(mac), to_hex(blake3_keyed(key_of(1), as_bytes("probe"))).substr(0, 32));
}

TEST(Mac, verifies_itself_and_nothing_else) {
  const Mac mac = make_mac(key_of(1), as_bytes("probe"));
  EXPECT_TRUE(verify_mac(key_of(1), as_bytes("probe"), mac));
  EXPECT_FALSE(verify_mac(key_of(2), as_bytes("probe"), mac));
  EXPECT_FALSE(verify_mac(key_of(1), as_bytes("prob"), mac));
  EXPECT_FALSE(verify_mac(key_of(1), as_bytes("probe"), {}));
  EXPECT_FALSE(verify_mac(key_of(1), as_bytes("probe"), ByteView(mac).first(15)));
  for (std::size_t bit = 0; bit < 128; ++bit) {
    Mac changed = mac;
    changed[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
    EXPECT_FALSE(verify_mac(key_of(1), as_bytes("probe"), changed));
  }
}

TEST(ConstantTime, equality_is_that_of_the_bytes) {
  EXPECT_TRUE(constant_time_equal({}, {}));
  EXPECT_TRUE(constant_time_equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("bbc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("ab")));
}

TEST(ConstantTime, wiping_leaves_zeros) {
  Bytes secret(100, 0xaa);
  secure_wipe(secret);
  EXPECT_TRUE(std::ranges::all_of(secret, [](std::uint8_t byte) { return byte == 0; }));
  secure_wipe({});
}

}  // namespace
}  // namespace quicmesh
