// Exact clusters, and how many (S1.23).
#include "tiers/kmeans.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "base/rng.hpp"

namespace quicmesh {
namespace {

constexpr KMeansLimits as_tiers{7, 3, 256};

std::vector<std::uint16_t> around(std::uint64_t centre, std::size_t count, std::uint64_t spread,
                                  Rng& rng) {
  std::vector<std::uint16_t> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(static_cast<std::uint16_t>(centre - spread + rng.below(2 * spread + 1)));
  return out;
}

std::vector<std::uint16_t> sorted(std::vector<std::uint16_t> values) {
  std::ranges::sort(values);
  return values;
}

// Sum of squares of every way to cut, tried one by one; in 1/4096 as least_squares.
std::uint64_t by_trial(const std::vector<std::uint16_t>& values, std::size_t clusters,
                       std::size_t size_min) {
  const auto squares = [&](std::size_t from, std::size_t to) {
    std::uint64_t sum = 0;
    std::uint64_t total = 0;
    for (std::size_t i = from; i < to; ++i) {
      sum += values[i];
      total += std::uint64_t{values[i]} * values[i];
    }
    return (((to - from) * total - sum * sum) << 12U) / (to - from);
  };
  std::uint64_t best = ~std::uint64_t{0};
  const std::function<void(std::size_t, std::size_t, std::uint64_t)> go =
      [&](std::size_t from, std::size_t left, std::uint64_t cost) {
        if (left == 1) {
          if (values.size() - from >= size_min) {
            best = std::min(best, cost + squares(from, values.size()));
          }
          return;
        }
        for (std::size_t to = from + size_min; to < values.size(); ++to)
          go(to, left - 1, cost + squares(from, to));
      };
  go(0, clusters, 0);
  return best;
}

TEST(KMeans, is_as_good_as_the_best_of_all_cuts) {
  Rng rng(1);
  for (int round = 0; round < 60; ++round) {
    std::vector<std::uint16_t> values;
    const std::size_t count = 12 + rng.below(4);
    for (std::size_t i = 0; i < count; ++i)
      values.push_back(static_cast<std::uint16_t>(rng.below(round % 2 == 0 ? 16'000 : 20)));
    std::ranges::sort(values);
    for (std::size_t clusters = 1; clusters <= 5; ++clusters) {
      for (std::size_t size_min = 1; clusters * size_min <= count && size_min <= 3; ++size_min) {
        // Rounding may decide between two equals: a unit of the last bit for each cluster.
        EXPECT_LE(least_squares(values, clusters, size_min),
                  by_trial(values, clusters, size_min) + clusters)
            << round << " " << clusters << " " << size_min;
      }
    }
  }
}

TEST(KMeans, S1_23_finds_one_to_seven_known_clusters) {
  Rng rng(2);
  for (std::size_t count = 1; count <= 7; ++count) {
    std::vector<std::uint16_t> values;
    for (std::size_t i = 0; i < count; ++i) {
      const auto more = around(1000 + 2000 * i, 30 + 5 * i, 300, rng);
      values.insert(values.end(), more.begin(), more.end());
    }
    const Clustering found = cluster(sorted(values), as_tiers);
    ASSERT_EQ(found.centres.size(), count);
    ASSERT_EQ(found.borders.size(), count - 1);
    for (std::size_t i = 0; i < count; ++i)
      EXPECT_NEAR(found.centres[i], 1000.0 + 2000.0 * static_cast<double>(i), 120);
    for (std::size_t i = 0; i + 1 < count; ++i) {
      EXPECT_GT(found.borders[i], 1300 + 2000 * i);
      EXPECT_LE(found.borders[i], 2700 + 2000 * i);
    }
  }
}

TEST(KMeans, more_clusters_than_allowed_are_not_found) {
  Rng rng(3);
  std::vector<std::uint16_t> values;
  for (std::size_t i = 0; i < 9; ++i) {
    const auto more = around(500 + 1700 * i, 20, 100, rng);
    values.insert(values.end(), more.begin(), more.end());
  }
  EXPECT_EQ(cluster(sorted(values), {16, 3, 256}).centres.size(), 9U);
  EXPECT_GT(cluster(sorted(values), as_tiers).centres.size(), 1U);
  EXPECT_LE(cluster(sorted(values), as_tiers).centres.size(), 7U);
}

TEST(KMeans, identical_values_are_one_cluster) {
  const std::vector<std::uint16_t> values(100, 5000);
  const Clustering found = cluster(values, as_tiers);
  EXPECT_EQ(found.centres, std::vector<std::uint16_t>{5000});
  EXPECT_TRUE(found.borders.empty());
}

TEST(KMeans, evenly_spread_values_are_one_cluster) {
  std::vector<std::uint16_t> values;
  for (std::uint16_t i = 0; i < 200; ++i)
    values.push_back(static_cast<std::uint16_t>(1000 + 30 * i));
  EXPECT_EQ(cluster(values, as_tiers).centres.size(), 1U);
}

TEST(KMeans, values_within_the_noise_are_one_cluster) {
  std::vector<std::uint16_t> values(50, 5000);
  values.insert(values.end(), 50, 5300);
  EXPECT_EQ(cluster(values, as_tiers).centres.size(), 1U);
  EXPECT_EQ(cluster(values, {7, 3, 10}).centres.size(), 2U);
}

TEST(KMeans, a_few_outliers_are_no_cluster_of_their_own) {
  std::vector<std::uint16_t> values(60, 5000);
  values.insert(values.end(), {16'000, 16'000});
  EXPECT_EQ(cluster(values, as_tiers).centres.size(), 1U);
  values.push_back(16'000);
  EXPECT_EQ(cluster(values, as_tiers).centres.size(), 2U);
}

TEST(KMeans, equals_are_never_parted) {
  Rng rng(4);
  for (int round = 0; round < 200; ++round) {
    std::vector<std::uint16_t> values;
    for (int i = 0; i < 60; ++i)
      values.push_back(static_cast<std::uint16_t>(1500 * rng.below(6)));
    std::ranges::sort(values);
    const Clustering found = cluster(values, {7, 5, 100});
    EXPECT_TRUE(std::ranges::is_sorted(found.borders, std::ranges::less_equal{}) ||
                found.borders.size() < 2);
    std::size_t from = 0;
    for (std::size_t i = 0; i < found.centres.size(); ++i) {
      const auto end = i < found.borders.size() ? std::ranges::lower_bound(values, found.borders[i])
                                                : values.end();
      const auto to = static_cast<std::size_t>(end - values.begin());
      EXPECT_GE(to - from, 5U) << "a border cuts off fewer than the least size";
      from = to;
    }
  }
}

TEST(KMeans, small_inputs) {
  EXPECT_TRUE(cluster({}, as_tiers).centres.empty());
  const std::vector<std::uint16_t> one{7};
  EXPECT_EQ(cluster(one, as_tiers).centres, std::vector<std::uint16_t>{7});
  const std::vector<std::uint16_t> two{7, 16'383};
  EXPECT_EQ(cluster(two, as_tiers).centres.size(), 1U);
}

TEST(KMeans, takes_the_largest_input) {
  Rng rng(5);
  std::vector<std::uint16_t> values;
  for (std::size_t i = 0; i < kmeans_values_max; ++i)
    values.push_back(
        static_cast<std::uint16_t>(i % 2 == 0 ? rng.below(100) : 16'383 - rng.below(100)));
  EXPECT_EQ(cluster(sorted(values), as_tiers).centres.size(), 2U);
}

}  // namespace
}  // namespace quicmesh
