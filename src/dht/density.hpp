// How many servers there are, from how near the nearest ones stand.
//
// Ids are hashes, so n servers lie evenly over the key space, and the k-th nearest to any key
// stands at about the fraction k/n of it; (k - 1)/d is an unbiased guess of n (Giroire 2009). One
// who grinds ids around a key makes it look denser there (Sridhar et al., NDSS 2024), so the guess
// is the median of samples from where nobody knew that we would look: around random keys of our own
// choice (the refresh of full buckets), and one from around ourselves.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <optional>

#include "dht/dht_key.hpp"

namespace quicmesh::dht {

/// The part of the key space that is not farther than `distance`.
[[nodiscard]] inline double fraction_of_space(const Distance& distance) {
  return std::ldexp(static_cast<double>(distance.words[0]), -64) +
         std::ldexp(static_cast<double>(distance.words[1]), -128);
}

/// What the distance of the `count`-th nearest server says of their number; `count` is over 1.
[[nodiscard]] inline double servers_by(std::size_t count, const Distance& distance) {
  const double fraction = std::max(fraction_of_space(distance), std::ldexp(1.0, -128));
  return static_cast<double>(count - 1) / fraction;
}

class Density {
 public:
  static constexpr std::size_t samples_max = 15;

  void add_sample(double servers) {
    samples_[next_] = static_cast<float>(servers);
    next_ = static_cast<std::uint8_t>((next_ + 1U) % samples_max);
    count_ = static_cast<std::uint8_t>(std::min<std::size_t>(count_ + 1U, samples_max));
  }

  [[nodiscard]] std::size_t count() const { return count_; }

  /// The median of the samples and of `around_us`; of two the lower one. 0: nothing is known.
  [[nodiscard]] double servers(std::optional<double> around_us) const {
    std::array<float, samples_max + 1> sorted{};
    std::copy_n(samples_.begin(), count_, sorted.begin());
    std::size_t all = count_;
    if (around_us) sorted[all++] = static_cast<float>(*around_us);
    if (all == 0) return 0;
    const auto middle = sorted.begin() + std::ptrdiff_t((all - 1) / 2);
    std::nth_element(sorted.begin(), middle, sorted.begin() + std::ptrdiff_t(all));
    return *middle;
  }

 private:
  std::array<float, samples_max> samples_{};
  std::uint8_t count_ = 0;
  std::uint8_t next_ = 0;
};

/// Around a key: the servers that share `bits` bits with it are about k.
struct Region {
  unsigned bits = 0;
  DhtKey key;

  /// Of `servers` in all; k at least are in it, on average, and less than 2k.
  [[nodiscard]] static Region around(const DhtKey& key, double servers, std::size_t k) {
    const double regions = std::max(servers / static_cast<double>(k), 1.0);
    return {static_cast<unsigned>(std::ilogb(regions)), key};
  }

  [[nodiscard]] bool has(const DhtKey& other) const { return shared_bits(key, other) >= bits; }
};

}  // namespace quicmesh::dht
