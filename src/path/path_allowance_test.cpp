// A peer makes this node probe a burst of addresses and then a few a minute, not more.
#include "path/path_allowance.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

TEST(PathAllowance, is_a_burst_and_then_twenty_a_minute) {
  PathAllowance allowance;
  Instant now{1000s};
  int taken = 0;
  while (allowance.take(now))
    ++taken;
  EXPECT_EQ(taken, PathAllowance::burst);
  taken = 0;
  for (int step = 0; step < 600; ++step) {  // asked ten times a second
    now += 100ms;
    taken += allowance.take(now) ? 1 : 0;
  }
  EXPECT_EQ(taken, 20);
}

TEST(PathAllowance, never_holds_more_than_a_burst) {
  PathAllowance allowance;
  Instant now{1s};
  EXPECT_TRUE(allowance.take(now));
  now += 1h;
  int taken = 0;
  while (allowance.take(now))
    ++taken;
  EXPECT_EQ(taken, PathAllowance::burst);
}

}  // namespace
}  // namespace quicmesh
