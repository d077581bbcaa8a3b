// The settings of a scenario's program; see scenario.hpp.
#include "sim/scenario.hpp"

#include <algorithm>
#include <array>

#include "sim/scenario_values.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::array<std::string_view, 11> action_names = {
    "link_down",      "link_up",    "blackhole", "set_link", "interface_down", "interface_up",
    "address_change", "nat_rebind", "partition", "heal",     "program"};

std::unexpected<ScenarioError> wrong(const ScenarioSettings::Entry& entry, std::string_view key,
                                     std::string_view wanted) {
  return std::unexpected(
      ScenarioError{SimErrc::scenario_value,
                    entry.where + ": " + std::string(key) + " must be " + std::string(wanted)});
}

}  // namespace

std::string_view name_of(FaultAction action) {
  return action_names[static_cast<std::size_t>(action)];
}

const ScenarioSettings::Entry* ScenarioSettings::find(std::string_view key) const {
  const auto found = entries_.find(key);
  return found == entries_.end() ? nullptr : &found->second;
}

ScenarioResult<std::int64_t> ScenarioSettings::integer(std::string_view key,
                                                       std::int64_t fallback) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return fallback;
  if (const auto* value = std::get_if<std::int64_t>(&entry->value)) return *value;
  return wrong(*entry, key, "a whole number");
}

ScenarioResult<bool> ScenarioSettings::flag(std::string_view key, bool fallback) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return fallback;
  if (const auto* value = std::get_if<bool>(&entry->value)) return *value;
  return wrong(*entry, key, "true or false");
}

ScenarioResult<std::string> ScenarioSettings::text(std::string_view key,
                                                   std::string_view fallback) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return std::string(fallback);
  if (const auto* value = std::get_if<std::string>(&entry->value)) return *value;
  return wrong(*entry, key, "a string");
}

ScenarioResult<Duration> ScenarioSettings::duration(std::string_view key, Duration fallback) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return fallback;
  if (const auto* value = std::get_if<std::string>(&entry->value)) {
    if (const auto parsed = parse_duration(*value)) return *parsed;
  }
  return wrong(*entry, key, "a duration such as \"1.5s\"");
}

ScenarioResult<std::uint64_t> ScenarioSettings::bytes(std::string_view key,
                                                      std::uint64_t fallback) const {
  const Entry* entry = find(key);
  if (entry == nullptr) return fallback;
  if (const auto* value = std::get_if<std::string>(&entry->value)) {
    if (const auto parsed = parse_byte_count(*value)) return *parsed;
  }
  if (const auto* value = std::get_if<std::int64_t>(&entry->value); value && *value >= 0) {
    return static_cast<std::uint64_t>(*value);
  }
  return wrong(*entry, key, "a byte count such as \"64KiB\"");
}

ScenarioResult<void> ScenarioSettings::only(std::initializer_list<std::string_view> known) const {
  for (const auto& [key, entry] : entries_) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      return std::unexpected(ScenarioError{SimErrc::scenario_value,
                                           entry.where + ": unknown setting \"" + key + "\""});
    }
  }
  return {};
}

}  // namespace quicmesh::sim
