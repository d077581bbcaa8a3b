#include "sim/barrier_pool.hpp"

#include <gtest/gtest.h>

#include <array>
#include <numeric>

namespace quicmesh::sim {
namespace {

TEST(BarrierPool, every_thread_does_each_round_and_sees_all_of_the_round_before) {
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
    // Of two halves one is read while the other is written, as the outboxes of shards are.
    std::array<std::vector<std::uint64_t>, 2> sums{std::vector<std::uint64_t>(threads, 1),
                                                   std::vector<std::uint64_t>(threads, 0)};
    std::size_t round = 0;
    BarrierPool pool(threads, [&](std::size_t number) {
      const auto& before = sums[round % 2];
      sums[(round + 1) % 2][number] = std::accumulate(before.begin(), before.end(), number);
    });
    EXPECT_EQ(pool.threads(), threads);
    std::vector<std::uint64_t> expected(threads, 1);
    for (; round < 1000; ++round) {
      pool.run();
      const std::uint64_t sum = std::accumulate(expected.begin(), expected.end(), std::uint64_t{0});
      for (std::size_t i = 0; i < threads; ++i)
        expected[i] = sum + i;
      ASSERT_EQ(sums[(round + 1) % 2], expected);
    }
  }
}

TEST(BarrierPool, one_that_never_ran_ends) {
  int done = 0;
  {
    const BarrierPool pool(3, [&](std::size_t) { ++done; });
  }
  EXPECT_EQ(done, 0);
}

}  // namespace
}  // namespace quicmesh::sim
