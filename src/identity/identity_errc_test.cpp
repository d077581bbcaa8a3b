// Every code of the layer can be told from every other, and says what to try.
#include "identity/identity_errc.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "quicmesh/result.hpp"

namespace quicmesh {
namespace {

TEST(IdentityErrc, every_code_has_a_message_of_its_own_and_a_hint) {
  constexpr int last = static_cast<int>(IdentityErrc::endpoint_record_of_another_node);
  std::set<std::string> messages;
  for (int code = 1; code <= last; ++code) {
    const std::error_code error = static_cast<IdentityErrc>(code);
    EXPECT_STREQ(error.category().name(), "quicmesh.identity");
    EXPECT_FALSE(error.message().starts_with("unknown")) << code;
    EXPECT_FALSE(hint(error).empty()) << code;
    messages.insert(error.message());
  }
  EXPECT_EQ(messages.size(), static_cast<std::size_t>(last));
}

}  // namespace
}  // namespace quicmesh
