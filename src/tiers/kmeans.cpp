#include "tiers/kmeans.hpp"

#include <algorithm>
#include <limits>

#include "base/assert.hpp"
#include "tiers/rtt_scale.hpp"

namespace quicmesh {
namespace {

constexpr unsigned square_bits = 12;  // of the fraction of a sum of squares

// Prefix sums, and the table of the dynamic programme as far as it is filled.
class Programme {
 public:
  Programme(std::span<const std::uint16_t> sorted, std::size_t size_min)
      : size_min_(size_min), sums_(sorted.size() + 1), squares_(sorted.size() + 1) {
    for (std::size_t i = 0; i < sorted.size(); ++i) {
      const std::uint64_t value = sorted[i];
      sums_[i + 1] = sums_[i] + value;
      squares_[i + 1] = squares_[i] + value * value;
    }
    costs_.resize(sorted.size() + 1);
    for (std::size_t i = size_min; i <= sorted.size(); ++i)
      costs_[i] = squares(0, i);
  }

  [[nodiscard]] std::size_t clusters() const { return cuts_.size() + 1; }
  [[nodiscard]] std::uint64_t cost() const { return costs_.back(); }

  // Squared distances of the values [from, to) to their mean. Exact up to the rounding of the last
  // bit: n <= 2^10 and values < 2^14 keep the numerator below 2^60.
  [[nodiscard]] std::uint64_t squares(std::size_t from, std::size_t to) const {
    const std::uint64_t count = to - from;
    const std::uint64_t sum = sums_[to] - sums_[from];
    const std::uint64_t scaled = count * (squares_[to] - squares_[from]) - sum * sum;
    return (scaled << square_bits) / count;
  }

  [[nodiscard]] std::uint16_t mean(std::size_t from, std::size_t to) const {
    return static_cast<std::uint16_t>((sums_[to] - sums_[from]) / (to - from));
  }

  // Allows one cluster more.
  void add_cluster() {
    next_.assign(costs_.size(), 0);
    cuts_.emplace_back(costs_.size());
    const std::size_t least = (cuts_.size() + 1) * size_min_;
    fill({least, costs_.size() - 1, least - size_min_, costs_.size() - 1 - size_min_});
    costs_.swap(next_);
  }

  // Where the clusters begin and end: 0, the cuts, n.
  [[nodiscard]] std::vector<std::size_t> bounds() const {
    std::vector<std::size_t> out{costs_.size() - 1};
    for (std::size_t row = cuts_.size(); row-- > 0;)
      out.push_back(cuts_[row][out.back()]);
    out.push_back(0);
    std::ranges::reverse(out);
    return out;
  }

 private:
  struct Block {
    std::size_t first;  // values to fill in for, both ends included
    std::size_t last;
    std::size_t cut_first;  // where the best cut lies
    std::size_t cut_last;
  };

  // Recursion halves the block: as deep as log2(n).
  void fill(const Block& block) {
    if (block.first > block.last) return;
    const std::size_t middle = block.first + (block.last - block.first) / 2;
    const std::size_t cut_last = std::min(block.cut_last, middle - size_min_);
    std::uint64_t best = std::numeric_limits<std::uint64_t>::max();
    std::size_t best_cut = block.cut_first;
    for (std::size_t cut = block.cut_first; cut <= cut_last; ++cut) {
      const std::uint64_t cost = costs_[cut] + squares(cut, middle);
      if (cost < best) {
        best = cost;
        best_cut = cut;
      }
    }
    next_[middle] = best;
    cuts_.back()[middle] = static_cast<std::uint16_t>(best_cut);
    fill({block.first, middle - 1, block.cut_first, best_cut});
    fill({middle + 1, block.last, best_cut, block.cut_last});
  }

  std::size_t size_min_;
  std::vector<std::uint64_t> sums_;
  std::vector<std::uint64_t> squares_;
  std::vector<std::uint64_t> costs_;  // of the first i values in as many clusters as now
  std::vector<std::uint64_t> next_;
  std::vector<std::vector<std::uint16_t>> cuts_;  // for each cluster but the first: where it begins
};

bool parts_equals(std::span<const std::uint16_t> sorted, const std::vector<std::size_t>& bounds) {
  for (std::size_t i = 1; i + 1 < bounds.size(); ++i)
    if (sorted[bounds[i] - 1] == sorted[bounds[i]]) return true;
  return false;
}

// The criterion in steps of the binary logarithm: all terms divided by ln 2.
std::int64_t information(std::uint64_t squares, const std::vector<std::size_t>& bounds,
                         std::uint64_t noise) {
  const std::size_t count = bounds.back();
  const std::size_t clusters = bounds.size() - 1;
  const std::uint64_t floor = (noise * noise) << square_bits;
  const std::uint64_t variance =
      std::max(floor, count > clusters ? squares / (count - clusters) : floor);
  const auto n = static_cast<std::int64_t>(count);
  std::int64_t sum = n * log2_steps(variance);
  // squares / variance is at most n. 1477 = 1024 / ln 2.
  sum += static_cast<std::int64_t>(squares * 1477 / variance);
  for (std::size_t i = 0; i < clusters; ++i) {
    const std::size_t size = bounds[i + 1] - bounds[i];
    sum += 2 * static_cast<std::int64_t>(size) * (log2_steps(count) - log2_steps(size));
  }
  return sum + 2 * static_cast<std::int64_t>(clusters) * log2_steps(count);
}

}  // namespace

Clustering cluster(std::span<const std::uint16_t> sorted, const KMeansLimits& limits) {
  QM_ASSERT(sorted.size() <= kmeans_values_max && std::ranges::is_sorted(sorted));
  QM_ASSERT(limits.clusters_max > 0 && limits.size_min > 0 && limits.noise > 0);
  if (sorted.empty()) return {};
  QM_ASSERT(sorted.back() <= log_rtt_max);
  const std::size_t size_min = std::min(limits.size_min, sorted.size());
  Programme programme(sorted, size_min);
  std::vector<std::size_t> best = programme.bounds();
  std::int64_t least = information(programme.cost(), best, limits.noise);
  while (programme.clusters() < limits.clusters_max &&
         (programme.clusters() + 1) * size_min <= sorted.size()) {
    programme.add_cluster();
    std::vector<std::size_t> bounds = programme.bounds();
    if (parts_equals(sorted, bounds)) continue;
    const std::int64_t criterion = information(programme.cost(), bounds, limits.noise);
    if (criterion >= least) continue;
    least = criterion;
    best = std::move(bounds);
  }
  Clustering out;
  for (std::size_t i = 0; i + 1 < best.size(); ++i) {
    out.centres.push_back(programme.mean(best[i], best[i + 1]));
    if (i == 0) continue;
    // Half way between the neighbours; above the lower one, as they differ.
    const auto below = sorted[best[i] - 1];
    const auto above = sorted[best[i]];
    out.borders.push_back(static_cast<std::uint16_t>(below + (above - below + 1) / 2));
  }
  return out;
}

std::uint64_t least_squares(std::span<const std::uint16_t> sorted, std::size_t clusters,
                            std::size_t size_min) {
  QM_ASSERT(clusters > 0 && clusters * size_min <= sorted.size());
  Programme programme(sorted, size_min);
  while (programme.clusters() < clusters)
    programme.add_cluster();
  return programme.cost();
}

}  // namespace quicmesh
