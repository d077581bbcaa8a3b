// Tests of text.hpp.
#include "text.hpp"

#include <gtest/gtest.h>

namespace quicmesh::cli {
namespace {

TEST(Text, decodes_every_length_of_utf8) {
  EXPECT_EQ(decode_utf8("a", 0).value, U'a');
  EXPECT_EQ(decode_utf8("\u00e9", 0).value, U'\u00e9');
  EXPECT_EQ(decode_utf8("\u20ac", 0).value, U'\u20ac');
  EXPECT_EQ(decode_utf8("\U0001f600", 0).value, U'\U0001f600');
  EXPECT_EQ(decode_utf8("\U0001f600", 0).size, 4u);
}

TEST(Text, refuses_overlong_forms_surrogates_and_cut_sequences) {
  for (const std::string_view text :
       {"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc3",
        "\xe2\x82", "\x80", "\xff", "\xc3(", "\xf8\x88\x80\x80\x80"}) {
    EXPECT_FALSE(decode_utf8(text, 0).valid) << printable(text);
    EXPECT_EQ(decode_utf8(text, 0).size, 1u);
  }
}

TEST(Text, what_steers_a_terminal_or_misleads_a_reader_is_escaped) {
  EXPECT_EQ(printable("a\nb\tc\x1b[2J"), "a\\nb\\tc\\x1b[2J");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u{9b}");
  EXPECT_EQ(printable("\u202egpj"), "\\u{202e}gpj");
  EXPECT_EQ(printable("\xff"), "\\xff");
  EXPECT_EQ(printable("gr\u00fc\u00dfe"), "gr\u00fc\u00dfe");
}

TEST(Text, json_gets_valid_utf8) {
  EXPECT_EQ(valid_utf8("a\xff\u00e9\xc3"), "a\uFFFD\u00e9\uFFFD");
}

TEST(Text, bytes_are_read_as_people_write_them) {
  std::uint64_t bytes = 0;
  EXPECT_TRUE(parse_bytes("4096", bytes));
  EXPECT_EQ(bytes, 4096u);
  EXPECT_TRUE(parse_bytes("20M", bytes));
  EXPECT_EQ(bytes, 20u << 20);
  for (const std::string_view text :
       {"", "M", "-1", "1.5M", "1 M", "1MB", "99999999999999999999", "5000000000G"})
    EXPECT_FALSE(parse_bytes(text, bytes)) << text;
}

}  // namespace
}  // namespace quicmesh::cli
