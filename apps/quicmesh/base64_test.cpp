// Tests of base64.hpp.
#include "base64.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace quicmesh::cli {
namespace {

// The vectors of RFC 4648 s10, and bytes that are no text.
TEST(Base64, bytes_go_through_whole) {
  std::string back;
  for (const auto& [bytes, text] : {std::pair<std::string_view, std::string_view>{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"fooba", "Zm9vYmE="},
                                    {"foobar", "Zm9vYmFy"}}) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_TRUE(from_base64(text, back)) << text;
    EXPECT_EQ(back, bytes);
  }
  std::string all;
  for (int i = 0; i < 256; ++i)
    all += static_cast<char>(i);
  EXPECT_TRUE(from_base64(to_base64(all), back));
  EXPECT_EQ(back, all);
  for (const std::string_view text :
       {"Z", "Zg", "Zg=", "Zh==", "Zg==Zg==", "====", "Zm9=", "Z g=", "Zm9v\n", "Zm-v"})
    EXPECT_FALSE(from_base64(text, back)) << text;
}

}  // namespace
}  // namespace quicmesh::cli
