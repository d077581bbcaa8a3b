// Tests of results, categories, hints and assertions.
#include "base/error.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "base/assert.hpp"
#include "base/base_errc.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {
namespace {

TEST(BaseErrc, every_code_has_a_message_and_a_hint_of_its_own) {
  std::set<std::string> messages;
  for (int code = 1; code <= static_cast<int>(BaseErrc::out_of_range); ++code) {
    const std::error_code error = static_cast<BaseErrc>(code);
    EXPECT_STREQ(error.category().name(), "quicmesh.base");
    EXPECT_EQ(error.message().find("unknown"), std::string::npos) << code;
    EXPECT_FALSE(hint(error).empty()) << code;
    messages.insert(error.message());
  }
  EXPECT_EQ(messages.size(), 8U);
}

TEST(BaseErrc, a_code_that_is_none_says_so_and_has_no_hint) {
  const std::error_code error = static_cast<BaseErrc>(999);
  EXPECT_EQ(error.message(), "unknown quicmesh.base error 999");
  EXPECT_EQ(hint(error), "");
}

TEST(Result, describe_puts_the_hint_behind_the_message) {
  EXPECT_EQ(describe(BaseErrc::truncated),
            "the input ends too early (the sender or the file is damaged)");
}

TEST(Result, codes_of_other_libraries_have_no_hint) {
  const std::error_code error = std::make_error_code(std::errc::no_such_file_or_directory);
  EXPECT_EQ(hint(error), "");
  EXPECT_EQ(describe(error), error.message());
}

TEST(Result, failure_converts_to_any_result) {
  const Result<int> result = failure(BaseErrc::too_long);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), BaseErrc::too_long);
  EXPECT_NE(result.error(), BaseErrc::truncated);
}

TEST(AssertDeathTest, prints_condition_place_and_context) {
  EXPECT_DEATH(QM_ASSERT(1 + 1 == 3), "error_test.cpp:[0-9]+: assertion failed: 1 \\+ 1 == 3");
  EXPECT_DEATH(
      {
        set_assert_context("seed 42");
        QM_ASSERT(false);
      },
      "context: seed 42");
}

TEST(Assert, a_true_condition_is_silent) {
  QM_ASSERT(1 + 1 == 2);
}

}  // namespace
}  // namespace quicmesh
