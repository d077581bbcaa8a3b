#include "nat/punch_message.hpp"

#include <gtest/gtest.h>

#include "base/hex.hpp"
#include "nat/nat_errc.hpp"

namespace quicmesh {
namespace {

struct Golden {
  PunchMessage message;
  std::string_view hex;
};

const Golden golden[] = {
    {{PunchMessageType::begin, PunchTechnique::synchronised, 1, 0xabcd}, "01010101abcd"},
    {{PunchMessageType::accept, PunchTechnique::birthday, 1, 0x0102}, "010203010102"},
    {{PunchMessageType::predicted, PunchTechnique::predict, 2, 0x0203, 40'000, -2, 8},
     "0103020202039c40fffe08"},
    {{PunchMessageType::openers_out, PunchTechnique::birthday, 1, 0xffff, 0, 0, 256},
     "01040301ffff0100"},
    {{PunchMessageType::end, PunchTechnique::predict, 5, 0}, "010502050000"},
};

TEST(PunchMessage, has_the_golden_bytes_both_ways) {
  for (const Golden& row : golden) {
    const Bytes bytes = encode_punch_message(row.message);
    EXPECT_EQ(to_hex(bytes), row.hex);
    EXPECT_LE(bytes.size(), punch_message_size_max);
    const auto decoded = decode_punch_message(bytes);
    ASSERT_TRUE(decoded) << row.hex;
    EXPECT_EQ(*decoded, row.message);
  }
}

TEST(PunchMessage, refuses_what_is_cut_or_longer) {
  for (const Golden& row : golden) {
    Bytes bytes = encode_punch_message(row.message);
    bytes.push_back(0);
    EXPECT_EQ(decode_punch_message(bytes).error(), NatErrc::malformed_punch_message);
    for (std::size_t size = 0; size < bytes.size() - 1; ++size)
      EXPECT_FALSE(decode_punch_message(ByteView(bytes).first(size))) << row.hex << " " << size;
  }
}

TEST(PunchMessage, refuses_numbers_without_meaning) {
  for (const std::string_view text :
       {"01000101abcd", "01060101abcd", "01010001abcd", "01010401abcd", "01010100abcd",
        "0103020202039c40000008", "0103020202039c40000100", "01040301ffff0000"}) {
    EXPECT_EQ(decode_punch_message(*from_hex(text)).error(), NatErrc::malformed_punch_message)
        << text;
  }
  EXPECT_EQ(decode_punch_message(*from_hex("02010101abcd")).error(),
            NatErrc::unknown_punch_version);
}

}  // namespace
}  // namespace quicmesh
