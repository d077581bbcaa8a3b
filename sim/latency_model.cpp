#include "sim/latency_model.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numbers>

#include "base/assert.hpp"
#include "base/hash.hpp"

namespace quicmesh::sim {
namespace {

struct City {
  std::string_view name;
  double latitude;  // degrees
  double longitude;
  std::uint32_t weight;
};

constexpr std::array<City, 47> cities_of_the_world{{
    {"New York", 40.7, -74.0, 50},     {"Ashburn", 39.0, -77.5, 45},
    {"Atlanta", 33.7, -84.4, 20},      {"Chicago", 41.9, -87.6, 35},
    {"Dallas", 32.8, -96.8, 30},       {"Denver", 39.7, -105.0, 15},
    {"Los Angeles", 34.1, -118.2, 35}, {"San Jose", 37.3, -121.9, 35},
    {"Seattle", 47.6, -122.3, 20},     {"Toronto", 43.7, -79.4, 15},
    {"Beijing", 39.9, 116.4, 60},      {"Shanghai", 31.2, 121.5, 70},
    {"Guangzhou", 23.1, 113.3, 62},    {"Chengdu", 30.6, 104.1, 30},
    {"Hong Kong", 22.3, 114.2, 20},    {"Taipei", 25.0, 121.5, 72},
    {"Seoul", 37.6, 127.0, 67},        {"Tokyo", 35.7, 139.7, 25},
    {"Paris", 48.9, 2.4, 70},          {"Marseille", 43.3, 5.4, 13},
    {"Frankfurt", 50.1, 8.7, 30},      {"Berlin", 52.5, 13.4, 12},
    {"Nuremberg", 49.5, 11.1, 8},      {"Amsterdam", 52.4, 4.9, 20},
    {"London", 51.5, -0.1, 25},        {"Helsinki", 60.2, 24.9, 8},
    {"Stockholm", 59.3, 18.1, 7},      {"Warsaw", 52.2, 21.0, 10},
    {"Milan", 45.5, 9.2, 10},          {"Madrid", 40.4, -3.7, 9},
    {"Moscow", 55.8, 37.6, 14},        {"Istanbul", 41.0, 29.0, 4},
    {"Mumbai", 19.1, 72.9, 14},        {"Singapore", 1.4, 103.8, 14},
    {"Jakarta", -6.2, 106.8, 4},       {"Ho Chi Minh City", 10.8, 106.7, 5},
    {"Bangkok", 13.8, 100.5, 3},       {"Sydney", -33.9, 151.2, 10},
    {"Sao Paulo", -23.5, -46.6, 10},   {"Buenos Aires", -34.6, -58.4, 3},
    {"Santiago", -33.4, -70.7, 1},     {"Mexico City", 19.4, -99.1, 3},
    {"Johannesburg", -26.2, 28.0, 3},  {"Tel Aviv", 32.1, 34.8, 2},
    {"Dubai", 25.2, 55.3, 2},          {"Lagos", 6.5, 3.4, 1},
    {"Auckland", -36.8, 174.8, 1},
}};

constexpr double earth_radius_km = 6371;
constexpr double rtt_us_a_km = 20.6;
constexpr double within_site_us = 2000;
constexpr std::uint32_t longest_10us = 6'000'000;  // a minute
constexpr std::size_t relay_every = 4;

// The haversine formula: exact also for neighbours.
double great_circle_km(const City& a, const City& b) {
  constexpr double radians = std::numbers::pi / 180;
  const double up = std::sin((b.latitude - a.latitude) * radians / 2);
  const double along = std::sin((b.longitude - a.longitude) * radians / 2);
  const double chord =
      up * up + std::cos(a.latitude * radians) * std::cos(b.latitude * radians) * along * along;
  return 2 * earth_radius_km * std::asin(std::min(1.0, std::sqrt(chord)));
}

struct AccessKind {
  std::uint64_t percent;
  std::uint64_t from_10us;
  std::uint64_t to_10us;
};
constexpr std::array<AccessKind, 5> access_kinds{
    {{30, 10, 100}, {30, 100, 500}, {25, 500, 1500}, {10, 1000, 3000}, {5, 2000, 6000}}};

std::expected<std::vector<double>, std::string> numbers_of(std::string_view text) {
  std::vector<double> numbers;
  std::size_t line = 1;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '#') {
      i = std::min(text.find('\n', i), text.size());
    } else if (c == '\n' || c == ' ' || c == '\t' || c == '\r' || c == ',') {
      line += c == '\n';
      ++i;
    } else {
      double value = 0;
      const auto [end, error] = std::from_chars(text.data() + i, text.data() + text.size(), value);
      if (error != std::errc{} || !std::isfinite(value)) {
        return std::unexpected("line " + std::to_string(line) + ": is no round trip in ms");
      }
      i = static_cast<std::size_t>(end - text.data());
      numbers.push_back(value);
      if (numbers.size() > LatencyModel::sites_max * LatencyModel::sites_max) {
        return std::unexpected("more than " + std::to_string(LatencyModel::sites_max) + " sites");
      }
    }
  }
  return numbers;
}

}  // namespace

LatencyModel::LatencyModel(std::vector<std::uint32_t> rtts, std::vector<std::uint32_t> weights,
                           bool with_access)
    : rtts_(std::move(rtts)),
      weights_(std::move(weights)),
      relays_(weights_.size()),
      with_access_(with_access) {
  for (std::size_t site = 0; site < sites(); ++site) {
    std::size_t nearest = 0;
    for (std::size_t relay = 0; relay < sites(); relay += relay_every)
      if (site_rtt(site, relay) < site_rtt(site, nearest)) nearest = relay;
    relays_[site] = static_cast<std::uint16_t>(nearest);
  }
}

LatencyModel LatencyModel::cities() {
  std::vector<std::uint32_t> rtts;
  std::vector<std::uint32_t> weights;
  std::uint32_t sum = 0;
  for (const City& from : cities_of_the_world) {
    for (const City& to : cities_of_the_world) {
      const double us = std::max(within_site_us, rtt_us_a_km * great_circle_km(from, to));
      rtts.push_back(static_cast<std::uint32_t>(std::lround(us / 10)));
    }
    weights.push_back(sum += from.weight);
  }
  return {std::move(rtts), std::move(weights), true};
}

std::expected<LatencyModel, std::string> LatencyModel::from_text(std::string_view text) {
  const auto numbers = numbers_of(text);
  if (!numbers) return std::unexpected(numbers.error());
  std::size_t rows = 0;
  while (rows * rows < numbers->size())
    ++rows;
  if (rows < 2 || rows * rows != numbers->size()) {
    return std::unexpected(std::to_string(numbers->size()) +
                           " numbers are no square of at least two rows");
  }
  const auto at = [&](std::size_t row, std::size_t column) {
    return (*numbers)[row * rows + column];
  };
  std::vector<double> medians;
  for (std::size_t row = 0; row < rows; ++row) {
    std::vector<double> known;
    for (std::size_t column = 0; column < rows; ++column)
      if (column != row && at(row, column) >= 0) known.push_back(at(row, column));
    if (known.empty()) return std::unexpected("row " + std::to_string(row + 1) + " is empty");
    const auto middle = known.begin() + static_cast<std::ptrdiff_t>(known.size() / 2);
    std::ranges::nth_element(known, middle);
    medians.push_back(*middle);
  }
  std::vector<std::uint32_t> rtts(rows * rows);
  std::vector<std::uint32_t> weights;
  for (std::size_t row = 0; row < rows; ++row) {
    for (std::size_t column = 0; column < rows; ++column) {
      const double there = at(row, column) >= 0 ? at(row, column) : medians[row];
      const double back = at(column, row) >= 0 ? at(column, row) : medians[column];
      const double in_10us = (there + back) / 2 * 100;
      if (in_10us > longest_10us) {
        return std::unexpected("row " + std::to_string(row + 1) + ": longer than a minute");
      }
      rtts[row * rows + column] = static_cast<std::uint32_t>(std::lround(in_10us));
    }
    weights.push_back(static_cast<std::uint32_t>(row + 1));
  }
  return LatencyModel(std::move(rtts), std::move(weights), false);
}

PeerPlace LatencyModel::draw_place(Rng& rng) const {
  PeerPlace place;
  const auto drawn = static_cast<std::uint32_t>(rng.below(weights_.back()));
  place.site =
      static_cast<std::uint16_t>(std::ranges::upper_bound(weights_, drawn) - weights_.begin());
  if (!with_access_) return place;
  std::uint64_t percent = rng.below(100);
  for (const AccessKind& kind : access_kinds) {
    if (percent < kind.percent) {
      const std::uint64_t spread = kind.to_10us - kind.from_10us + 1;
      place.access_10us = static_cast<std::uint16_t>(kind.from_10us + rng.below(spread));
      break;
    }
    percent -= kind.percent;
  }
  return place;
}

Duration LatencyModel::rtt(std::uint32_t a, PeerPlace at, std::uint32_t b, PeerPlace bt) const {
  const std::uint64_t pair = std::uint64_t{std::min(a, b)} << 32U | std::max(a, b);
  // 0.85 to 1.15 in steps of 1/1024; at least 10 us, so that nothing takes no time.
  const auto detour = static_cast<std::int64_t>(870 + (mix64(pair) >> 40U) % 308);
  const std::int64_t between = std::int64_t{site_rtt_10us(at.site, bt.site)} * detour / 1024;
  return Duration(10us) * std::max<std::int64_t>(1, between + at.access_10us + bt.access_10us);
}

Duration LatencyModel::relayed_rtt(PeerPlace at, PeerPlace behind) const {
  if (behind.site == PeerPlace::everywhere) return Duration(10us) * at.access_10us;
  const std::size_t relay = relays_[behind.site];
  return site_rtt(at.site, relay) + site_rtt(relay, behind.site) +
         Duration(10us) * (at.access_10us + behind.access_10us);
}

}  // namespace quicmesh::sim
