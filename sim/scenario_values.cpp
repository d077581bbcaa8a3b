// See scenario_values.hpp.
#include "sim/scenario_values.hpp"

#include <numeric>
#include <span>

#include "base/checked.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::size_t digits_max = 15;
constexpr std::size_t fraction_digits_max = 9;

/// digits / 10^k
struct Decimal {
  std::uint64_t digits = 0;
  std::uint64_t scale = 1;
};

struct Unit {
  std::string_view name;
  std::uint64_t factor;
};

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// Takes the decimal number that `text` begins with.
std::optional<Decimal> take_decimal(std::string_view& text) {
  Decimal number;
  std::size_t digits = 0;
  std::size_t fraction_digits = 0;
  bool in_fraction = false;
  std::size_t used = 0;
  for (; used < text.size(); ++used) {
    const char c = text[used];
    if (c == '.' && !in_fraction && digits > 0) {
      in_fraction = true;
      continue;
    }
    if (!is_digit(c)) break;
    if (++digits > digits_max) return std::nullopt;
    number.digits = number.digits * 10 + static_cast<std::uint64_t>(c - '0');
    if (in_fraction) {
      if (++fraction_digits > fraction_digits_max) return std::nullopt;
      number.scale *= 10;
    }
  }
  if (digits == 0 || (in_fraction && fraction_digits == 0)) return std::nullopt;
  text.remove_prefix(used);
  return number;
}

/// number x factor, if that is whole and fits.
std::optional<std::uint64_t> times(const Decimal& number, std::uint64_t factor) {
  // Shortened first, so that 0.5 h overflows no sooner than half an hour does.
  const std::uint64_t common = std::gcd(factor, number.scale);
  const std::uint64_t scale = number.scale / common;
  if (number.digits % scale != 0) return std::nullopt;
  return checked_mul(number.digits / scale, factor / common);
}

std::optional<std::uint64_t> parse_with_unit(std::string_view text, std::span<const Unit> units) {
  const auto number = take_decimal(text);
  if (!number) return std::nullopt;
  for (const Unit& unit : units) {
    if (unit.name == text) return times(*number, unit.factor);
  }
  return std::nullopt;
}

std::optional<Ratio> shortened(std::uint64_t numerator, std::uint64_t denominator) {
  if (denominator == 0) return std::nullopt;
  const std::uint64_t common = std::gcd(numerator, denominator);
  const Ratio ratio{numerator / common, denominator / common};
  if (ratio.numerator > ratio_term_max || ratio.denominator > ratio_term_max) return std::nullopt;
  return ratio;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  constexpr Unit units[] = {{"ns", 1},
                            {"us", 1'000},
                            {"ms", 1'000'000},
                            {"s", 1'000'000'000},
                            {"min", 60'000'000'000},
                            {"h", 3'600'000'000'000}};
  const auto ns = parse_with_unit(text, units);
  if (!ns) return std::nullopt;
  const auto count = checked_cast<Duration::rep>(*ns);
  if (!count) return std::nullopt;
  return Duration{*count};
}

std::optional<std::uint64_t> parse_bit_rate(std::string_view text) {
  if (text == "unlimited") return 0;
  constexpr Unit units[] = {
      {"bit/s", 1}, {"kbit/s", 1'000}, {"Mbit/s", 1'000'000}, {"Gbit/s", 1'000'000'000}};
  const auto rate = parse_with_unit(text, units);
  if (rate == std::uint64_t{0}) return std::nullopt;  // nothing would ever leave
  return rate;
}

std::optional<std::uint64_t> parse_byte_count(std::string_view text) {
  constexpr Unit units[] = {
      {"", 1},          {"B", 1},         {"kB", 1'000},   {"MB", 1'000'000}, {"GB", 1'000'000'000},
      {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
  return parse_with_unit(text, units);
}

std::optional<Ratio> parse_ratio(std::string_view text) {
  const auto number = take_decimal(text);
  if (!number) return std::nullopt;
  if (text.empty()) return shortened(number->digits, number->scale);
  if (text == "%") return shortened(number->digits, number->scale * 100);
  if (text.front() != '/' || number->scale != 1) return std::nullopt;
  text.remove_prefix(1);
  const auto denominator = take_decimal(text);
  if (!denominator || denominator->scale != 1 || !text.empty()) return std::nullopt;
  return shortened(number->digits, denominator->digits);
}

std::optional<Ratio> parse_probability(std::string_view text) {
  const auto ratio = parse_ratio(text);
  if (!ratio || !is_probability(*ratio)) return std::nullopt;
  return ratio;
}

}  // namespace quicmesh::sim
