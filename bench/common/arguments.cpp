// Command lines of the yardsticks; see arguments.hpp.
#include "common/arguments.hpp"

#include <charconv>

#include "common/measure.hpp"

namespace bench {

Arguments::Arguments(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (!argument.starts_with("--")) {
      words_.emplace_back(argument);
      continue;
    }
    const bool has_value = i + 1 < argc && !std::string_view(argv[i + 1]).starts_with("--");
    options_[std::string(argument.substr(2))] = has_value ? argv[i + 1] : "";
    if (has_value) ++i;
  }
}

std::string Arguments::word(std::size_t index, std::string_view otherwise) const {
  return index < words_.size() ? words_[index] : std::string(otherwise);
}

bool Arguments::flag(std::string_view name) const {
  asked_.emplace(name);
  const auto found = options_.find(name);
  if (found == options_.end()) return false;
  if (!found->second.empty()) fail("--" + std::string(name) + " takes no value");
  return true;
}

std::string Arguments::text(std::string_view name, std::string_view otherwise) const {
  asked_.emplace(name);
  const auto found = options_.find(name);
  if (found == options_.end()) return std::string(otherwise);
  if (found->second.empty()) fail("--" + std::string(name) + " needs a value");
  return found->second;
}

std::uint64_t Arguments::number(std::string_view name, std::uint64_t otherwise) const {
  const std::string value = text(name, std::to_string(otherwise));
  std::uint64_t parsed = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
  if (error != std::errc{} || end != value.data() + value.size()) {
    fail("--" + std::string(name) + " needs a number, not '" + value + "'");
  }
  return parsed;
}

void Arguments::reject_unknown() const {
  for (const auto& [name, value] : options_) {
    if (!asked_.contains(name)) fail("unknown option --" + name);
  }
}

}  // namespace bench
