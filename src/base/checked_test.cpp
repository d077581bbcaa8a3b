// Tests of checked and saturating arithmetic at the ends of the types.
#include "base/checked.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace quicmesh {
namespace {

constexpr auto u64_max = std::numeric_limits<std::uint64_t>::max();
constexpr auto i64_max = std::numeric_limits<std::int64_t>::max();
constexpr auto i64_min = std::numeric_limits<std::int64_t>::min();

TEST(Checked, says_when_a_result_does_not_fit) {
  EXPECT_EQ(checked_add<std::uint64_t>(u64_max - 1, 1), u64_max);
  EXPECT_EQ(checked_add<std::uint64_t>(u64_max, 1), std::nullopt);
  EXPECT_EQ(checked_sub<std::uint64_t>(1, 1), 0U);
  EXPECT_EQ(checked_sub<std::uint64_t>(0, 1), std::nullopt);
  EXPECT_EQ(checked_mul<std::uint64_t>(1ULL << 32, 1ULL << 31), 1ULL << 63);
  EXPECT_EQ(checked_mul<std::uint64_t>(1ULL << 32, 1ULL << 32), std::nullopt);
  EXPECT_EQ(checked_add<std::uint8_t>(255, 1), std::nullopt);
  EXPECT_EQ(checked_sub<std::int64_t>(i64_min, 1), std::nullopt);
}

TEST(Checked, casts_only_what_fits) {
  EXPECT_EQ(checked_cast<std::uint8_t>(255), 255);
  EXPECT_EQ(checked_cast<std::uint8_t>(256), std::nullopt);
  EXPECT_EQ(checked_cast<std::uint8_t>(-1), std::nullopt);
  EXPECT_EQ(checked_cast<std::int64_t>(u64_max), std::nullopt);
}

TEST(Saturating, stops_at_the_end_on_the_right_side) {
  EXPECT_EQ(saturating_add<std::uint64_t>(u64_max, 5), u64_max);
  EXPECT_EQ(saturating_add<std::int64_t>(i64_max, 5), i64_max);
  EXPECT_EQ(saturating_add<std::int64_t>(i64_min, -5), i64_min);
  EXPECT_EQ(saturating_sub<std::uint64_t>(3, 5), 0U);
  EXPECT_EQ(saturating_sub<std::int64_t>(i64_max, -5), i64_max);
  EXPECT_EQ(saturating_sub<std::int64_t>(i64_min, 5), i64_min);
  EXPECT_EQ(saturating_mul<std::int64_t>(i64_max, 2), i64_max);
  EXPECT_EQ(saturating_mul<std::int64_t>(i64_max, -2), i64_min);
  EXPECT_EQ(saturating_mul<std::int64_t>(-3, -2), 6);
  EXPECT_EQ(saturating_cast<std::uint8_t>(300), 255);
  EXPECT_EQ(saturating_cast<std::uint8_t>(-300), 0);
  EXPECT_EQ(saturating_cast<std::int64_t>(u64_max), i64_max);
}

TEST(Saturating, durations_and_instants_never_wrap) {
  EXPECT_EQ(saturating_add(Duration::max(), Duration(1)), Duration::max());
  EXPECT_EQ(saturating_mul(Duration(1h), 1'000'000'000'000), Duration::max());
  EXPECT_EQ(saturating_mul(Duration(-1h), 1'000'000'000'000), Duration::min());
  EXPECT_EQ(saturating_add(Instant(1s), 2s), Instant(3s));
  EXPECT_EQ(saturating_add(Instant(1s), Duration::max()), never);
  EXPECT_EQ(saturating_add(never, -1h), never);
}

TEST(Saturating, a_wire_duration_of_any_size_is_a_duration) {
  EXPECT_EQ(saturating_duration<std::chrono::milliseconds>(1500), 1500ms);
  EXPECT_EQ(saturating_duration<std::chrono::seconds>(u64_max), Duration::max());
  EXPECT_EQ(saturating_duration<std::chrono::nanoseconds>(u64_max), Duration::max());
  EXPECT_EQ(saturating_duration<std::chrono::hours>(1ULL << 63), Duration::max());
}

}  // namespace
}  // namespace quicmesh
