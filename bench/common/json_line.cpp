// One JSON object on one line; see json_line.hpp.
#include "common/json_line.hpp"

#include <charconv>
#include <cinttypes>
#include <cmath>
#include <cstdio>

namespace bench {

void JsonLine::key(std::string_view name) {
  if (!body_.empty()) body_ += ',';
  body_ += '"';
  body_ += name;
  body_ += "\":";
}

JsonLine& JsonLine::text(std::string_view name, std::string_view value) {
  key(name);
  body_ += '"';
  body_ += value;
  body_ += '"';
  return *this;
}

JsonLine& JsonLine::number(std::string_view name, double value) {
  key(name);
  char digits[64];
  std::snprintf(digits, sizeof digits, "%.6g", std::isfinite(value) ? value : 0.0);
  body_ += digits;
  return *this;
}

JsonLine& JsonLine::integer(std::string_view name, std::uint64_t value) {
  key(name);
  body_ += std::to_string(value);
  return *this;
}

JsonLine& JsonLine::boolean(std::string_view name, bool value) {
  key(name);
  body_ += value ? "true" : "false";
  return *this;
}

JsonLine& JsonLine::object(std::string_view name, std::string_view object) {
  key(name);
  body_ += object;
  return *this;
}

std::string JsonLine::str() const {
  std::string line;
  line.append("{").append(body_).append("}");
  return line;
}

void JsonLine::print() const {
  const std::string line = str();
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

std::uint64_t integer_in(std::string_view line, std::string_view key) {
  std::string quoted;
  quoted.append("\"").append(key).append("\":");
  const auto at = line.find(quoted);
  if (at == std::string_view::npos) return 0;
  std::uint64_t value = 0;
  const char* digits = line.data() + at + quoted.size();
  std::from_chars(digits, line.data() + line.size(), value);
  return value;
}

}  // namespace bench
