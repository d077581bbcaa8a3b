#include "sim/session_lengths.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace quicmesh::sim {
namespace {

constexpr double sigma = 1.5;
constexpr std::int64_t year_ms = 365LL * 24 * 3600 * 1000;
constexpr std::size_t candidates = 32;

// Uniform in (0, 1).
double uniform(Rng& rng) {
  return (static_cast<double>(rng.below(std::uint64_t{1} << 53U)) + 0.5) * 0x1p-53;
}

// A session in units of the mean.
double draw_scaled(SessionShape shape, Rng& rng) {
  const double negative_log = -std::log(uniform(rng));
  switch (shape) {
    case SessionShape::exponential:
      break;
    case SessionShape::weibull:
      // scale (-ln u)^(1/shape), and the mean is scale x Gamma(1 + 1/shape) = 2 scale.
      return negative_log * negative_log / 2;
    case SessionShape::log_normal: {
      // Box & Muller 1958. The mean of exp(mu + sigma z) is exp(mu + sigma^2 / 2).
      const double z = std::sqrt(2 * negative_log) * std::cos(2 * std::numbers::pi * uniform(rng));
      return std::exp(sigma * z - sigma * sigma / 2);
    }
  }
  return negative_log;
}

Duration rounded(double scaled, Duration mean) {
  const double ms = scaled * std::chrono::duration<double, std::milli>(mean).count();
  const auto whole = static_cast<std::int64_t>(std::min(ms, static_cast<double>(year_ms)));
  return Duration(1ms) * std::max<std::int64_t>(1, whole);
}

}  // namespace

Duration SessionLengths::draw(Rng& rng) const {
  return rounded(draw_scaled(shape_, rng), mean_);
}

Duration SessionLengths::residual(Rng& rng) const {
  if (shape_ == SessionShape::exponential) return draw(rng);  // it has no memory
  std::array<double, candidates> drawn{};
  double sum = 0;
  for (double& session : drawn)
    sum += session = draw_scaled(shape_, rng);
  double left = uniform(rng) * sum;
  double met = drawn.back();
  for (const double session : drawn) {
    if (left < session) {
      met = session;
      break;
    }
    left -= session;
  }
  return rounded(met * uniform(rng), mean_);
}

}  // namespace quicmesh::sim
