// Tests of ByteReader and ByteWriter, alone and against each other.
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <limits>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "base/hex.hpp"
#include "base/rng.hpp"

namespace quicmesh {
namespace {

Bytes hex(std::string_view text) {
  return from_hex(text).value();
}

TEST(ByteReader, reads_big_endian_numbers_in_order) {
  const Bytes bytes = hex("01020304050607080910111213141516");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u8(), 0x01U);
  EXPECT_EQ(reader.u16(), 0x0203U);
  EXPECT_EQ(reader.u32(), 0x04050607U);
  EXPECT_EQ(reader.position(), 7U);
  EXPECT_EQ(reader.remaining(), 9U);
  EXPECT_EQ(reader.u64(), 0x0809101112131415U);
  EXPECT_EQ(reader.u8(), 0x16U);
  EXPECT_TRUE(reader.at_end());
  EXPECT_TRUE(reader.finish());
}

TEST(ByteReader, reads_the_varint_examples_of_rfc_9000_appendix_a1) {
  const std::array<std::pair<std::string_view, std::uint64_t>, 5> examples{{
      {"c2197c5eff14e88c", 151'288'809'941'952'652},
      {"9d7f3e7d", 494'878'333},
      {"7bbd", 15'293},
      {"25", 37},
      {"4025", 37},
  }};
  for (const auto& [text, value] : examples) {
    const Bytes bytes = hex(text);
    ByteReader reader(bytes);
    EXPECT_EQ(reader.varint(), value);
    EXPECT_TRUE(reader.finish());
  }
}

TEST(ByteReader, a_read_beyond_the_end_fails_and_everything_after_it_is_zero) {
  const Bytes bytes = hex("010203");
  ByteReader reader(bytes);
  EXPECT_EQ(reader.u32(), 0U);
  EXPECT_FALSE(reader.ok());
  EXPECT_EQ(reader.u8(), 0U);
  EXPECT_EQ(reader.varint(), 0U);
  EXPECT_TRUE(reader.bytes(1).empty());
  EXPECT_TRUE(reader.rest().empty());
  EXPECT_EQ(reader.array<4>(), (std::array<std::uint8_t, 4>{}));
  EXPECT_EQ(reader.status().error(), BaseErrc::truncated);
  EXPECT_EQ(reader.finish().error(), BaseErrc::truncated);
}

TEST(ByteReader, every_cut_of_a_varint_is_truncated) {
  const Bytes bytes = hex("c2197c5eff14e88c");
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(ByteView(bytes).first(size));
    EXPECT_EQ(reader.varint(), 0U);
    EXPECT_EQ(reader.finish().error(), BaseErrc::truncated) << size;
  }
}

TEST(ByteReader, a_huge_count_is_truncated_not_wrapped) {
  const Bytes bytes = hex("0102");
  ByteReader reader(bytes);
  (void)reader.u8();
  EXPECT_TRUE(reader.bytes(std::numeric_limits<std::size_t>::max()).empty());
  EXPECT_EQ(reader.status().error(), BaseErrc::truncated);
}

TEST(ByteReader, bytes_left_over_are_an_error_of_finish_only) {
  const Bytes bytes = hex("0102");
  ByteReader reader(bytes);
  (void)reader.u8();
  EXPECT_TRUE(reader.status());
  EXPECT_EQ(reader.finish().error(), BaseErrc::trailing_bytes);
}

TEST(ByteReader, a_prefixed_string_is_bounded_before_it_is_read) {
  const Bytes bytes = hex("03aabbcc");
  ByteReader enough(bytes);
  EXPECT_EQ(to_hex(enough.varint_prefixed(3)), "aabbcc");
  ByteReader too_small(bytes);
  EXPECT_TRUE(too_small.varint_prefixed(2).empty());
  EXPECT_EQ(too_small.finish().error(), BaseErrc::too_long);
  const Bytes cut = hex("04aabbcc");
  ByteReader truncated(cut);
  EXPECT_TRUE(truncated.varint_prefixed(100).empty());
  EXPECT_EQ(truncated.finish().error(), BaseErrc::truncated);
}

TEST(ByteReader, the_first_error_stays) {
  const Bytes bytes = hex("01");
  ByteReader reader(bytes);
  reader.fail(BaseErrc::out_of_range);
  (void)reader.u64();
  EXPECT_EQ(reader.finish().error(), BaseErrc::out_of_range);
}

TEST(ByteWriter, what_it_writes_is_what_a_reader_reads) {
  Bytes out = hex("ff");
  ByteWriter writer(out);
  writer.u8(1);
  writer.u16(0x0203);
  writer.u32(0x04050607);
  writer.u64(0x08090a0b0c0d0e0f);
  writer.varint_prefixed(hex("aabb"));
  EXPECT_TRUE(writer.ok());
  EXPECT_EQ(writer.size(), 18U);
  EXPECT_EQ(to_hex(writer.written()), "0102030405060708090a0b0c0d0e0f02aabb");
  EXPECT_EQ(out.size(), 19U);
}

TEST(ByteWriter, varints_of_every_size_come_back_in_their_shortest_form) {
  Rng rng(1);
  std::vector<std::uint64_t> values{0,         63, 64, 16'383, 16'384, 1'073'741'823, 1'073'741'824,
                                    varint_max};
  for (unsigned shift = 0; shift < 62; ++shift)
    values.push_back(rng.next() >> 2 >> shift);
  for (const std::uint64_t value : values) {
    Bytes out;
    ByteWriter writer(out);
    writer.varint(value);
    ASSERT_EQ(out.size(), varint_size(value));
    ByteReader reader(out);
    EXPECT_EQ(reader.varint(), value);
    EXPECT_TRUE(reader.finish());
  }
  EXPECT_EQ(varint_size(63), 1U);
  EXPECT_EQ(varint_size(64), 2U);
  EXPECT_EQ(varint_size(16'384), 4U);
  EXPECT_EQ(varint_size(1'073'741'824), 8U);
}

TEST(ByteWriter, a_varint_beyond_62_bits_fails) {
  Bytes out;
  ByteWriter writer(out);
  writer.varint(varint_max + 1);
  EXPECT_FALSE(writer.ok());
  EXPECT_TRUE(out.empty());
}

TEST(ByteWriter, a_full_buffer_fails_and_is_never_overrun) {
  std::array<std::uint8_t, 4> buffer{9, 9, 9, 9};
  ByteWriter writer(MutableByteView(buffer).first(3));
  writer.u16(0x0102);
  writer.u16(0x0304);
  EXPECT_FALSE(writer.ok());
  writer.u8(5);  // would fit, but the writer has failed
  EXPECT_EQ(writer.size(), 2U);
  EXPECT_EQ(buffer, (std::array<std::uint8_t, 4>{1, 2, 9, 9}));
}

TEST(ByteWriter, patches_a_length_within_what_it_wrote) {
  Bytes out = hex("ff");
  ByteWriter writer(out);
  writer.u16(0);
  writer.u16(0xaaaa);
  writer.patch_u16(0, 0x1234);
  EXPECT_TRUE(writer.ok());
  EXPECT_EQ(to_hex(out), "ff1234aaaa");
  writer.patch_u16(3, 0);
  EXPECT_FALSE(writer.ok());
}

}  // namespace
}  // namespace quicmesh
