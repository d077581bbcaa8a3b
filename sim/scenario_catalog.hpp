// The scenarios that are part of the program: the text of every file of sim/scenarios, embedded at
// build time, so that an installed binary has them without a data folder.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sim/scenario.hpp"

namespace quicmesh::sim {

struct EmbeddedScenario {
  std::string_view name;  // the file's without ".toml"
  std::string_view text;
};

/// All of them, by name. Generated (sim/embed_scenarios.cmake).
std::span<const EmbeddedScenario> embedded_scenarios();

std::optional<EmbeddedScenario> find_embedded_scenario(std::string_view name);

struct ScenarioText {
  std::string file;  // for messages
  std::string text;
};

/// The text of the scenario `name`: a path if it ends in ".toml", else an embedded one.
/// Error: scenario_not_found, also for a file that cannot be read.
ScenarioResult<ScenarioText> load_scenario_text(std::string_view name);

}  // namespace quicmesh::sim
