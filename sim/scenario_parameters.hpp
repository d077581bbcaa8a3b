// What may be set of a scenario with --set: the file's [parameters] with their defaults and
// comments, and, where the file's program reads numbers within bounds, those bounds, as the program
// has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "sim/scenario_runner.hpp"

namespace quicmesh::sim {

struct ScenarioParameter {
  std::string name;
  std::string fallback;             // the default, as it is written with --set
  std::vector<std::string> values;  // those that a suite goes through, if it does
  std::optional<std::pair<std::int64_t, std::int64_t>> bounds;
  std::string meaning;  // the comment behind it in the file
};

/// In the order of the file. The overrides of the request are the defaults.
ScenarioResult<std::vector<ScenarioParameter>> parameters_of(const ScenarioRequest& request);

}  // namespace quicmesh::sim
