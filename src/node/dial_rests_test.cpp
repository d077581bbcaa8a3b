// What a victim gets that records name (THREATS TQ10).
#include "node/dial_rests.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

const IpAddress victim = IpAddress::v4({203, 0, 113, 9});
const Instant t0{1000s};

TEST(DialRests, an_address_that_does_not_answer_is_dialled_four_times_a_minute) {
  DialRests rests;
  for (unsigned i = 0; i < DialRests::dials_max; ++i) {
    EXPECT_FALSE(rests.rests(t0, victim)) << i;
    rests.dialled(t0 + i * 1s, victim);
  }
  EXPECT_TRUE(rests.rests(t0 + 4s, victim));
  EXPECT_FALSE(rests.rests(t0 + 4s, IpAddress::v4({203, 0, 113, 10}))) << "another one";
  EXPECT_TRUE(rests.rests(t0 + DialRests::interval - 1s, victim));
  EXPECT_FALSE(rests.rests(t0 + DialRests::interval, victim));
  rests.dialled(t0 + DialRests::interval, victim);
  EXPECT_FALSE(rests.rests(t0 + DialRests::interval, victim)) << "the first of the next four";
}

TEST(DialRests, whoever_answers_is_free_and_so_is_loopback) {
  DialRests rests;
  rests.answered(victim);
  const IpAddress loopback = IpAddress::loopback(IpFamily::v4);
  for (int i = 0; i < 100; ++i) {
    rests.dialled(t0, victim);
    rests.dialled(t0, loopback);
  }
  EXPECT_FALSE(rests.rests(t0, victim));
  EXPECT_FALSE(rests.rests(t0, loopback));
}

TEST(DialRests, names_of_many_addresses_fill_nothing) {
  DialRests rests;
  rests.answered(victim);
  for (std::uint32_t i = 0; i < 3 * DialRests::addresses_max; ++i) {
    const auto low = static_cast<std::uint8_t>(i);
    const auto high = static_cast<std::uint8_t>(i >> 8);
    rests.dialled(t0, IpAddress::v4({198, 18, high, low}));
    ASSERT_LE(rests.size(), DialRests::addresses_max);
  }
  for (int i = 0; i < 10; ++i)
    rests.dialled(t0, victim);
  EXPECT_FALSE(rests.rests(t0, victim)) << "those who answered are kept";
}

}  // namespace
}  // namespace quicmesh
