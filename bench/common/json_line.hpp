// One JSON object on one line, written key by key: what every yardstick prints on stdout.
//
// Keys and texts are constants of these programs, so nothing is escaped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

class JsonLine {
 public:
  JsonLine& text(std::string_view key, std::string_view value);
  JsonLine& number(std::string_view key, double value);
  JsonLine& integer(std::string_view key, std::uint64_t value);
  JsonLine& boolean(std::string_view key, bool value);
  /// `object` is a complete JSON value, taken as it is.
  JsonLine& object(std::string_view key, std::string_view object);

  [[nodiscard]] std::string str() const;

  /// Writes the object and a newline, and flushes, so that a parent process sees it at once.
  void print() const;

 private:
  void key(std::string_view name);
  std::string body_;
};

/// The value of a top-level or nested integer key in a line written by JsonLine; 0 if absent.
[[nodiscard]] std::uint64_t integer_in(std::string_view line, std::string_view key);

}  // namespace bench
