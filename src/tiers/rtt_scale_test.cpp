// The logarithmic scale of round trips.
#include "tiers/rtt_scale.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace quicmesh {
namespace {

TEST(RttScale, an_octave_is_1024_steps) {
  EXPECT_EQ(log_rtt(1ms), 0);
  EXPECT_EQ(log_rtt(2ms), log_rtt_octave);
  EXPECT_EQ(log_rtt(64ms), 6 * log_rtt_octave);
}

TEST(RttScale, follows_the_logarithm) {
  for (Duration rtt = 1ms; rtt < 60s; rtt += rtt / 7 + 1us) {
    const double exact = 1024 * std::log2(std::chrono::duration<double, std::milli>(rtt).count());
    EXPECT_NEAR(log_rtt(rtt), exact, 1.01) << rtt.count();
  }
}

TEST(RttScale, both_ends_are_clamped) {
  EXPECT_EQ(log_rtt(Duration{}), 0);
  EXPECT_EQ(log_rtt(-1s), 0);
  EXPECT_EQ(log_rtt(999us), 0);
  EXPECT_EQ(log_rtt(66s), log_rtt_max);
  EXPECT_EQ(log_rtt(Duration::max()), log_rtt_max);
}

TEST(RttScale, a_value_leads_back_to_its_shortest_round_trip) {
  for (LogRtt value = 0; value < log_rtt_max; value += 37) {
    const Duration rtt = rtt_of(value);
    EXPECT_GE(log_rtt(rtt), value);
    if (rtt > 1ms) {
      EXPECT_LT(log_rtt(rtt - 1us), value);
    }
  }
}

TEST(RttScale, the_logarithm_takes_every_width) {
  EXPECT_EQ(log2_steps(1), 0);
  EXPECT_EQ(log2_steps(std::uint64_t{1} << 63), 63 * 1024);
  EXPECT_NEAR(static_cast<double>(log2_steps(~std::uint64_t{0})), 64 * 1024, 1.01);
  EXPECT_NEAR(static_cast<double>(log2_steps(3)), 1024 * std::log2(3.0), 1.01);
}

}  // namespace
}  // namespace quicmesh
