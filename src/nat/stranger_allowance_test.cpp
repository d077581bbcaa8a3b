#include "nat/stranger_allowance.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

IpAddress ip(unsigned number) {
  return IpAddress::v4({198, static_cast<std::uint8_t>(18 + (number >> 16)),
                        static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
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

// Naming address after address makes it forget none that is in use, nor refuse anybody else.
TEST(StrangerAllowance, is_not_washed_out_by_many_addresses_and_refuses_none_for_them) {
  StrangerAllowance allowance;
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(0)));
  for (unsigned i = 1; i < StrangerAllowance::addresses_max / 2; ++i)
    EXPECT_TRUE(allowance.take(start, ip(i)));
  EXPECT_FALSE(allowance.take(start, ip(0)));
  for (unsigned i = 0; i < 3 * StrangerAllowance::addresses_max; ++i) {
    EXPECT_TRUE(allowance.take(start, ip(20'000 + i)));
    if (i % 1000 == 0) {
      EXPECT_FALSE(allowance.take(start, ip(0)));
    }
    ASSERT_LE(allowance.addresses(), StrangerAllowance::addresses_max);
  }
}

TEST(StrangerAllowance, replies_are_counted_apart_and_have_an_end) {
  StrangerAllowance allowance;
  for (unsigned i = 0; i < StrangerAllowance::packets_max; ++i)
    EXPECT_TRUE(allowance.take(start, ip(1)));
  for (unsigned i = 0; i < StrangerAllowance::replies_max; ++i)
    EXPECT_TRUE(allowance.take_reply(start, ip(1)));
  EXPECT_FALSE(allowance.take_reply(start + 59min, ip(1)));
  EXPECT_FALSE(allowance.take(start + 59min, ip(1)));
  EXPECT_TRUE(allowance.take_reply(start + StrangerAllowance::forgotten_after, ip(1)));
  allowance.answered(ip(1));
  for (unsigned i = 0; i < 2 * StrangerAllowance::replies_max; ++i)
    EXPECT_TRUE(allowance.take_reply(start + 2h, ip(1)));
}

// Relay and peer may be one, and attest a victim.
TEST(StrangerAllowance, guesses_at_an_attested_address_have_an_end) {
  StrangerAllowance allowance;
  for (unsigned i = 0; i < StrangerAllowance::guesses_max; ++i)
    ASSERT_TRUE(allowance.take_guess(start, ip(1)));
  EXPECT_FALSE(allowance.take_guess(start + 59min, ip(1)));
  EXPECT_TRUE(allowance.take(start, ip(1))) << "ordinary packets are counted apart";
  EXPECT_TRUE(allowance.take_guess(start + 1min + StrangerAllowance::forgotten_after, ip(1)));
}

}  // namespace
}  // namespace quicmesh
