// Runs scenarios whose programs are whole nodes, and says what came of them.
//
// A program gives meaning to a scenario's own table: who dials whom, what is sent, what is measured
// and where the bar is. A run is one seed of one variant; a suite runs every variant over its seeds
// and judges the medians, because a bound that one lucky seed meets says nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "sim/meters.hpp"
#include "sim/scenario.hpp"
#include "sim/scenario_file.hpp"

namespace quicmesh::sim {

using Figure = std::variant<bool, std::int64_t, double, std::string>;

/// Names and values in the order in which they are to be printed.
struct ScenarioReport {
  bool ok = true;
  std::string message;  // what went wrong, and how to replay it
  std::vector<std::pair<std::string, Figure>> figures;

  void add(std::string name, Figure value) {
    figures.emplace_back(std::move(name), std::move(value));
  }
  /// The number called `name`; 0 if there is none.
  [[nodiscard]] double number(std::string_view name) const;
};

/// A parameter that a suite varies, unless --set fixed it.
struct VariantDimension {
  std::string parameter;
  std::vector<std::string> values;
};

struct ScenarioRequest {
  std::string name;  // as on the command line
  std::vector<ScenarioOverride> overrides;
  Meters meters{};  // programs that measure the machine report nothing of it without
};

/// Names of the programs that scenarios may ask for.
std::vector<std::string_view> program_names();

/// One run. Errors of the file or its values; a run that went wrong is a report with ok = false.
ScenarioResult<ScenarioReport> run_scenario(const ScenarioRequest& request, std::uint64_t seed);

/// All variants, all seeds of the file (or the first `seeds_max` of them): a report a variant, with
/// the medians of what the program measures.
ScenarioResult<std::vector<ScenarioReport>> run_suite(const ScenarioRequest& request,
                                                      std::size_t seeds_max);

}  // namespace quicmesh::sim
