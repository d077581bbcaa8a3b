#include "nat/stranger_allowance.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

IpAddress ip(unsigned number) {
  return IpAddress::v4(
      {198, 18, static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

constexpr Instant start{1000s};

// THREATS TQ10.
TEST(StrangerAllowance, gives_ten_packets_to_an_address_and_none_until_an_hour_later) {
  StrangerAllowance allowance;
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(1)));
  for (unsigned minute = 0; minute < 60; ++minute)
    EXPECT_FALSE(allowance.take(start + minute * 1min, ip(1)));
  EXPECT_TRUE(allowance.take(start, ip(2)));
  EXPECT_EQ(allowance.left(start, ip(1)), 0u);
  EXPECT_EQ(allowance.left(start, ip(2)), StrangerAllowance::packets_max - 1);
  EXPECT_EQ(allowance.refused(), 60u);
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start + StrangerAllowance::forgotten_after, ip(1)));
  EXPECT_FALSE(allowance.take(start + StrangerAllowance::forgotten_after, ip(1)));
}

TEST(StrangerAllowance, has_no_bound_for_who_answered) {
  StrangerAllowance allowance;
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(1)));
  allowance.answered(ip(1));
  for (unsigned i = 0; i < 100; ++i)
    EXPECT_TRUE(allowance.take(start, ip(1)));
}

TEST(StrangerAllowance, an_answer_of_somebody_never_asked_counts_for_nothing) {
  StrangerAllowance allowance;
  allowance.answered(ip(1));
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(1)));
  EXPECT_FALSE(allowance.take(start, ip(1)));
}

// Naming address after address must not make it forget the first.
TEST(StrangerAllowance, is_not_washed_out_by_many_addresses) {
  StrangerAllowance allowance;
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(0)));
  for (unsigned i = 1; i < StrangerAllowance::addresses_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(i)));
  EXPECT_FALSE(allowance.take(start, ip(5000)));
  EXPECT_FALSE(allowance.take(start, ip(0)));
  // After an hour the oldest makes room.
  EXPECT_TRUE(allowance.take(start + StrangerAllowance::forgotten_after, ip(5000)));
}

}  // namespace
}  // namespace quicmesh
