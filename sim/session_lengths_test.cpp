// Session lengths: their means, their tails, and who is met in the middle of one.
#include "sim/session_lengths.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace quicmesh::sim {
namespace {

constexpr int draws = 200'000;

double minutes(Duration duration) {
  return std::chrono::duration<double, std::ratio<60>>(duration).count();
}

TEST(SessionLengths, every_shape_has_the_mean_it_was_given) {
  for (const SessionShape shape :
       {SessionShape::exponential, SessionShape::weibull, SessionShape::log_normal}) {
    const SessionLengths lengths(shape, 20min);
    Rng rng(1);
    double sum = 0;
    for (int i = 0; i < draws; ++i)
      sum += minutes(lengths.draw(rng));
    EXPECT_NEAR(sum / draws, 20, 1) << static_cast<int>(shape);
  }
}

TEST(SessionLengths, five_percent_a_minute_leave) {
  const SessionLengths lengths(SessionShape::exponential, 20min);
  Rng rng(2);
  int within = 0;
  for (int i = 0; i < draws; ++i)
    within += lengths.draw(rng) < 1min;
  EXPECT_NEAR(static_cast<double>(within) / draws, 1 - std::exp(-0.05), 0.002);
}

TEST(SessionLengths, measured_shapes_have_many_short_sessions_and_a_few_long_ones) {
  for (const SessionShape shape : {SessionShape::weibull, SessionShape::log_normal}) {
    const SessionLengths lengths(shape, 20min);
    Rng rng(3);
    int brief = 0;
    int long_ones = 0;
    for (int i = 0; i < draws; ++i) {
      const Duration session = lengths.draw(rng);
      brief += session < 5min;
      long_ones += session > 100min;
    }
    // Exponential: 22 % and 0.7 %.
    EXPECT_GT(brief, draws * 35 / 100) << static_cast<int>(shape);
    EXPECT_GT(long_ones, draws * 2 / 100) << static_cast<int>(shape);
  }
}

TEST(SessionLengths, who_is_met_stays_longer_than_who_comes) {
  // The mean of what is left is E[x^2] / 2 E[x]: 20 min for exponential, and for Weibull of shape
  // 0.5 three times the mean; importance sampling of thirty-two falls short of the tail.
  Rng rng(4);
  double exponential = 0;
  double weibull = 0;
  for (int i = 0; i < draws; ++i) {
    exponential += minutes(SessionLengths(SessionShape::exponential, 20min).residual(rng));
    weibull += minutes(SessionLengths(SessionShape::weibull, 20min).residual(rng));
  }
  EXPECT_NEAR(exponential / draws, 20, 1);
  EXPECT_GT(weibull / draws, 40);
  EXPECT_LT(weibull / draws, 65);
}

TEST(SessionLengths, lengths_are_whole_milliseconds_and_bounded) {
  const SessionLengths lengths(SessionShape::log_normal, 1ms);
  Rng rng(5);
  for (int i = 0; i < 1000; ++i) {
    const Duration session = lengths.draw(rng);
    EXPECT_GE(session, Duration(1ms));
    EXPECT_EQ(session % 1ms, 0ns);
  }
  Rng again(5);
  Rng rng2(5);
  EXPECT_EQ(lengths.draw(again), lengths.draw(rng2));
  EXPECT_LE(SessionLengths(SessionShape::weibull, 24h * 365 * 10).draw(rng), 24h * 365);
}

}  // namespace
}  // namespace quicmesh::sim
