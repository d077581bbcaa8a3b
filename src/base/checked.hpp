// Arithmetic that cannot overflow silently: `checked_*` say that they would, `saturating_*` stop at
// the end of the type. No other arithmetic touches a number that came from the wire.
#pragma once

#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>

#include "quicmesh/time.hpp"

namespace quicmesh {

template <std::integral T>
constexpr std::optional<T> checked_add(T a, T b) {
  T result{};
  if (__builtin_add_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
constexpr std::optional<T> checked_sub(T a, T b) {
  T result{};
  if (__builtin_sub_overflow(a, b, &result)) return std::nullopt;
  return result;
}

template <std::integral T>
constexpr std::optional<T> checked_mul(T a, T b) {
  T result{};
  if (__builtin_mul_overflow(a, b, &result)) return std::nullopt;
  return result;
}

/// `value` as another integer type, if it fits.
template <std::integral To, std::integral From>
constexpr std::optional<To> checked_cast(From value) {
  if (!std::in_range<To>(value)) return std::nullopt;
  return static_cast<To>(value);
}

template <std::integral T>
constexpr T saturating_add(T a, T b) {
  const T end = b < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
  return checked_add(a, b).value_or(end);
}

template <std::integral T>
constexpr T saturating_sub(T a, T b) {
  const T end = b < 0 ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min();
  return checked_sub(a, b).value_or(end);
}

template <std::integral T>
constexpr T saturating_mul(T a, T b) {
  const bool negative = (a < 0) != (b < 0);
  const T end = negative ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
  return checked_mul(a, b).value_or(end);
}

/// `value` as another integer type, or the nearest that fits.
template <std::integral To, std::integral From>
constexpr To saturating_cast(From value) {
  if (std::cmp_less(value, std::numeric_limits<To>::min())) return std::numeric_limits<To>::min();
  if (std::cmp_greater(value, std::numeric_limits<To>::max())) {
    return std::numeric_limits<To>::max();
  }
  return static_cast<To>(value);
}

constexpr Duration saturating_add(Duration a, Duration b) {
  return Duration(saturating_add(a.count(), b.count()));
}

constexpr Duration saturating_mul(Duration a, std::int64_t factor) {
  return Duration(saturating_mul(a.count(), Duration::rep{factor}));
}

/// `start + delay`; `never` stays `never` and is what an overflow becomes.
constexpr Instant saturating_add(Instant start, Duration delay) {
  if (start == never) return never;
  return Instant(saturating_add(start.time_since_epoch(), delay));
}

/// A count of `Unit`s from the wire as a Duration; what does not fit becomes the longest Duration.
///     saturating_duration<std::chrono::milliseconds>(reader.varint())
template <class Unit>
constexpr Duration saturating_duration(std::uint64_t count) {
  constexpr auto nanoseconds_a_unit = Duration(Unit(1)).count();
  return Duration(saturating_mul(saturating_cast<Duration::rep>(count), nanoseconds_a_unit));
}

}  // namespace quicmesh
