// Tests of hexadecimal and base32 text.
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

#include "base/base32.hpp"
#include "base/base_errc.hpp"
#include "base/hex.hpp"
#include "base/rng.hpp"

namespace quicmesh {
namespace {

TEST(Hex, prints_lower_case_and_reads_either) {
  const Bytes bytes{0x00, 0x0f, 0xa5, 0xff};
  EXPECT_EQ(to_hex(bytes), "000fa5ff");
  EXPECT_EQ(from_hex("000fa5ff"), bytes);
  EXPECT_EQ(from_hex("000FA5fF"), bytes);
  EXPECT_EQ(from_hex(""), Bytes{});
}

TEST(Hex, refuses_odd_lengths_and_other_characters) {
  for (const std::string_view text :
       {"0", "000", "0g", "g0", "0x", " 00", "0/", "0:", "0@", "0`", "-1"}) {
    const auto bytes = from_hex(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_EQ(bytes.error(), BaseErrc::malformed_hex);
  }
}

TEST(Hex, into_a_buffer_needs_exactly_its_size) {
  std::array<std::uint8_t, 2> out{};
  EXPECT_TRUE(from_hex("beef", out));
  EXPECT_EQ(out, (std::array<std::uint8_t, 2>{0xbe, 0xef}));
  EXPECT_FALSE(from_hex("be", out));
  EXPECT_FALSE(from_hex("beef00", out));
}

TEST(Base32, gives_the_vectors_of_rfc_4648_section_10) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> vectors{{
      {"", ""},
      {"f", "my"},
      {"fo", "mzxq"},
      {"foo", "mzxw6"},
      {"foob", "mzxw6yq"},
      {"fooba", "mzxw6ytb"},
      {"foobar", "mzxw6ytboi"},
  }};
  for (const auto& [plain, text] : vectors) {
    EXPECT_EQ(to_base32(as_bytes(plain)), text);
    EXPECT_EQ(from_base32(text), to_bytes(plain));
  }
  EXPECT_EQ(from_base32("MZXW6YTBOI"), to_bytes("foobar"));
}

TEST(Base32, every_byte_string_comes_back_and_has_the_announced_size) {
  Rng rng(1);
  for (std::size_t size = 0; size < 70; ++size) {
    Bytes bytes(size);
    rng.fill(bytes);
    const std::string text = to_base32(bytes);
    EXPECT_EQ(text.size(), base32_size(size));
    EXPECT_EQ(from_base32(text), bytes);
  }
}

TEST(Base32, refuses_what_it_never_writes) {
  // Impossible lengths, padding, characters outside the alphabet, left-over bits.
  for (const std::string_view text :
       {"m", "mzx", "mzxw6y", "my======", "m0", "m1", "m8", "m9", "m ", "mz", "mzxr", "mzxw6yr"}) {
    const auto bytes = from_base32(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_EQ(bytes.error(), BaseErrc::malformed_base32);
  }
}

TEST(Base32, symbols_and_characters_are_each_others_inverse) {
  for (std::uint8_t symbol = 0; symbol < 32; ++symbol) {
    EXPECT_EQ(base32_symbol(base32_character(symbol)), symbol);
  }
  int known = 0;
  for (int value = 0; value < 256; ++value) {
    known += base32_symbol(static_cast<char>(value)) ? 1 : 0;
  }
  EXPECT_EQ(known, 26 + 26 + 6);
}

}  // namespace
}  // namespace quicmesh
