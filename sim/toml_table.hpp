// Reads TOML tables by rules of one line each; used by scenario_file.cpp only.
//
// Reading goes on after a mistake with default values, and the first mistake is what is reported,
// with its file and line. A TableReader notes which keys were asked for, so that a misspelt one is
// found without a second list of names. Any value may be a parameter, "$name"; see
// scenario_file.hpp.
#pragma once

#include <toml++/toml.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "quicmesh/socket_address.hpp"
#include "sim/scenario.hpp"
#include "sim/scenario_file.hpp"
#include "sim/scenario_values.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {

/// What is shared by all tables of one file.
class Reading {
 public:
  using Value = ScenarioSettings::Value;

  explicit Reading(std::string_view file) : file_(file) {}

  [[nodiscard]] std::string where(int line) const { return file_ + ":" + std::to_string(line); }
  void fail(int line, const std::string& message) {
    if (!error_) error_ = ScenarioError{SimErrc::scenario_value, where(line) + ": " + message};
  }
  [[nodiscard]] const std::optional<ScenarioError>& error() const { return error_; }

  std::map<std::string, Value, std::less<>> parameters;

  /// The scalar in `node`, or that of the parameter it names.
  std::optional<Value> resolve(const toml::node& node, std::string_view key) {
    const std::optional<Value> own = scalar(node);
    const int line = line_of(node);
    if (!own) {
      fail(line, std::string(key) +
                     " must be a string, a whole number, true or false; a fraction is a string");
      return std::nullopt;
    }
    const auto* text = std::get_if<std::string>(&*own);
    if (text == nullptr || !text->starts_with('$')) return own;
    const auto parameter = parameters.find(std::string_view(*text).substr(1));
    if (parameter == parameters.end()) {
      fail(line, std::string(key) + " refers to the parameter " + *text +
                     ", which [parameters] does not have");
      return std::nullopt;
    }
    return parameter->second;
  }

  static int line_of(const toml::node& node) { return static_cast<int>(node.source().begin.line); }
  static std::optional<Value> scalar(const toml::node& node) {
    if (const auto* text = node.as_string()) return Value(text->get());
    if (const auto* number = node.as_integer()) return Value(number->get());
    if (const auto* flag = node.as_boolean()) return Value(flag->get());
    return std::nullopt;
  }

 private:
  std::string file_;
  std::optional<ScenarioError> error_;
};

inline std::string as_string(const Reading::Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* flag = std::get_if<bool>(&value)) return *flag ? "true" : "false";
  return std::to_string(std::get<std::int64_t>(value));
}

class TableReader {
 public:
  using Value = Reading::Value;
  static constexpr std::size_t name_length_max = 64;

  TableReader(Reading& reading, const toml::table& table, std::string_view what)
      : reading_(reading), table_(table), what_(what) {}

  [[nodiscard]] int line() const { return Reading::line_of(table_); }
  [[nodiscard]] bool has(std::string_view key) const { return table_.contains(key); }

  const toml::node* node(std::string_view key) {
    used_.emplace(key);
    return table_.get(key);
  }

  std::optional<std::string> text(std::string_view key) {
    const auto value = scalar(key);
    if (!value) return std::nullopt;
    if (!std::holds_alternative<std::string>(*value)) wrong(key, "a string");
    return as_string(*value);
  }

  std::string required_text(std::string_view key) {
    const auto value = text(key);
    if (!value) missing(key);
    return value.value_or("");
  }

  /// A text that names something: letters, digits, "-" and "_".
  std::string required_name(std::string_view key) {
    std::string name = required_text(key);
    const bool fits = !name.empty() && name.size() <= name_length_max &&
                      std::all_of(name.begin(), name.end(), [](char c) {
                        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                               (c >= '0' && c <= '9') || c == '-' || c == '_';
                      });
    if (!fits && has(key)) {
      wrong(key, "1 to 64 of the characters a-z A-Z 0-9 - _, not \"" + name + "\"");
    }
    return name;
  }

  /// A quantity written as text or number, read by `parse`.
  template <class T, class Parse>
  T quantity(std::string_view key, T fallback, Parse parse, std::string_view wanted) {
    const auto value = scalar(key);
    if (!value) return fallback;
    const std::string written = as_string(*value);
    const auto parsed = parse(written);
    if (parsed) return static_cast<T>(*parsed);
    wrong(key, std::string(wanted) + ", not \"" + written + "\"");
    return fallback;
  }
  Duration duration(std::string_view key, Duration fallback) {
    return quantity(key, fallback, parse_duration, "a duration such as \"1.5s\"");
  }
  Ratio probability(std::string_view key) {
    return quantity(key, Ratio{}, parse_probability, "a probability such as \"2.5%\"");
  }

  std::int64_t integer(std::string_view key, std::int64_t fallback, std::int64_t low,
                       std::int64_t high) {
    const auto value = scalar(key);
    if (!value) return fallback;
    const auto* number = std::get_if<std::int64_t>(&*value);
    if (number != nullptr && *number >= low && *number <= high) return *number;
    wrong(key, "a whole number in [" + std::to_string(low) + ", " + std::to_string(high) +
                   "], not \"" + as_string(*value) + "\"");
    return fallback;
  }

  bool flag(std::string_view key, bool fallback) {
    const auto value = scalar(key);
    if (!value) return fallback;
    if (const auto* flag = std::get_if<bool>(&*value)) return *flag;
    wrong(key, "true or false");
    return fallback;
  }

  template <class E, std::size_t N>
  E choice(std::string_view key, E fallback, const std::pair<std::string_view, E> (&names)[N]) {
    const auto value = text(key);
    if (!value) return fallback;
    std::string all;
    for (const auto& [name, choice] : names) {
      if (name == *value) return choice;
      all += (all.empty() ? "" : ", ") + std::string(name);
    }
    wrong(key, "one of " + all + ", not \"" + *value + "\"");
    return fallback;
  }

  IpAddress address(std::string_view key) {
    const std::string written = required_text(key);
    const auto parsed = IpAddress::parse(written);
    if (!parsed && has(key)) wrong(key, "an IP address, not \"" + written + "\"");
    return parsed.value_or(IpAddress{});
  }

  std::vector<std::string> texts(std::string_view key) {
    std::vector<std::string> result;
    const toml::array* list = array(key);
    if (list == nullptr) return result;
    for (const toml::node& item : *list) {
      const auto value = reading_.resolve(item, key);
      if (value) result.push_back(as_string(*value));
    }
    return result;
  }

  /// The array of `key`, nullptr if there is none.
  const toml::array* array(std::string_view key) {
    const toml::node* found = node(key);
    if (found == nullptr) return nullptr;
    const toml::array* list = found->as_array();
    if (list == nullptr) {
      wrong(key, "a list");
    } else if (list->size() > scenario_list_max) {
      wrong(key, "a list of at most " + std::to_string(scenario_list_max));
      return nullptr;
    }
    return list;
  }

  /// Calls `read(TableReader&)` for each table in the list of tables `key`.
  template <class Read>
  void each_table(std::string_view key, Read read) {
    const toml::array* list = array(key);
    if (list == nullptr) return;
    for (const toml::node& item : *list) {
      const toml::table* table = item.as_table();
      if (table == nullptr) return wrong(key, "a list of tables, [[" + std::string(key) + "]]");
      TableReader reader(reading_, *table, key);
      read(reader);
      reader.finish();
    }
  }

  void missing(std::string_view key) {
    reading_.fail(line(), what_ + " needs " + std::string(key));
  }
  void wrong(std::string_view key, const std::string& wanted) {
    const toml::node* found = table_.get(key);
    reading_.fail(found != nullptr ? Reading::line_of(*found) : line(),
                  std::string(key) + " must be " + wanted);
  }

  /// Finds the keys that nobody asked for.
  void finish() {
    for (const auto& [key, value] : table_) {
      if (!used_.contains(key.str())) {
        reading_.fail(Reading::line_of(value),
                      what_ + " has no key \"" + std::string(key.str()) + "\"");
      }
    }
  }

 private:
  std::optional<Value> scalar(std::string_view key) {
    const toml::node* found = node(key);
    if (found == nullptr) return std::nullopt;
    return reading_.resolve(*found, key);
  }

  Reading& reading_;
  const toml::table& table_;
  std::string what_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace quicmesh::sim
