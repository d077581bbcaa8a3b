// Exact k-means in one dimension, and how many clusters there are.
//
// In one dimension an optimal clustering cuts the sorted values into intervals, so dynamic
// programming finds it: cost(k, i), the least sum of squares of the first i values in k clusters,
// is the minimum over j of cost(k - 1, j) + squares(j, i), and `squares` is O(1) from prefix sums
// (Wang & Song 2011, "Ckmeans.1d.dp"). The best j never decreases with i, so a row is filled by
// divide and conquer in O(n log n) instead of O(n^2) (Gronlund et al. 2017, s2.2). Nothing depends
// on a random start, which Lloyd's iteration would: the same samples give the same tiers.
//
// The number of clusters is the one with the least Bayesian information criterion (Schwarz 1978),
// in the form for k spherical Gaussians of one variance, hard assignment and free weights of Pelleg
// & Moore 2000 ("X-means", s3.2):
//
//     n log v + squares / v - 2 sum n_c log(n_c / n) + 2k log n,   v = squares / (n - k)
//
// Values spread evenly are then one cluster, not as many as allowed: what v gains, the weights
// cost.
//
// Departures: v has a floor, the noise of measurement, so that samples which are all alike (v = 0)
// do not fall apart into clusters of one; a cluster has a least size, so that a few outliers or
// liars are the edge of the next cluster and not a tier of their own; clusters that would part
// equal values are no candidates, as equals must get one tier.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace quicmesh {

struct KMeansLimits {
  std::size_t clusters_max = 7;  // in [1, 16]
  std::size_t size_min = 1;      // values in a cluster, >= 1
  std::uint64_t noise = 1;       // the standard deviation below which v does not go, >= 1
};

struct Clustering {
  /// The first value of each cluster but the lowest, ascending: a value belongs to the cluster
  /// whose number is how many of these it reaches. One fewer than there are clusters.
  std::vector<std::uint16_t> borders;
  /// The mean of each cluster, rounded down.
  std::vector<std::uint16_t> centres;
};

/// At most this many values: the sums of squares stay far inside 64 bits.
inline constexpr std::size_t kmeans_values_max = 1024;

/// Clusters `sorted` (ascending, at most `kmeans_values_max`; values below 2^14). No value gives no
/// cluster. O(clusters_max n log n) time, O(clusters_max n) memory while it runs.
[[nodiscard]] Clustering cluster(std::span<const std::uint16_t> sorted, const KMeansLimits& limits);

/// The least sum of squared distances to the mean over all cuts of `sorted` into exactly `clusters`
/// intervals of at least `size_min` values, in 1/4096 of a squared unit. `clusters * size_min` is
/// at most the number of values.
[[nodiscard]] std::uint64_t least_squares(std::span<const std::uint16_t> sorted,
                                          std::size_t clusters, std::size_t size_min);

}  // namespace quicmesh
