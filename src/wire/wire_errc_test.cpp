// Every code of the layer can be told from every other, and says what to try.
#include "wire/wire_errc.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "quicmesh/result.hpp"

namespace quicmesh {
namespace {

TEST(WireErrc, every_code_has_a_message_of_its_own_and_a_hint) {
  constexpr int last = static_cast<int>(WireErrc::value_out_of_range);
  std::set<std::string> messages;
  for (int code = 1; code <= last; ++code) {
    const std::error_code error = static_cast<WireErrc>(code);
    EXPECT_STREQ(error.category().name(), "quicmesh.wire");
    EXPECT_FALSE(error.message().starts_with("unknown")) << code;
    EXPECT_FALSE(hint(error).empty()) << code;
    messages.insert(error.message());
  }
  EXPECT_EQ(messages.size(), static_cast<std::size_t>(last));
}

}  // namespace
}  // namespace quicmesh
