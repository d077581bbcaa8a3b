// See scenario_catalog.hpp.
#include "sim/scenario_catalog.hpp"

#include <fstream>
#include <sstream>

#include "sim/sim_errc.hpp"

namespace quicmesh::sim {

std::optional<EmbeddedScenario> find_embedded_scenario(std::string_view name) {
  for (const EmbeddedScenario& scenario : embedded_scenarios()) {
    if (scenario.name == name) return scenario;
  }
  return std::nullopt;
}

ScenarioResult<ScenarioText> load_scenario_text(std::string_view name) {
  if (name.ends_with(".toml")) {
    std::ifstream file{std::string(name), std::ios::binary};
    std::ostringstream text;
    if (file.is_open()) text << file.rdbuf();
    if (!file.is_open() || file.bad()) {
      return std::unexpected(ScenarioError{SimErrc::scenario_not_found,
                                           std::string(name) + ": the file cannot be read"});
    }
    return ScenarioText{std::string(name), text.str()};
  }
  if (const auto embedded = find_embedded_scenario(name)) {
    return ScenarioText{std::string(name) + ".toml", std::string(embedded->text)};
  }
  std::string names;
  for (const EmbeddedScenario& scenario : embedded_scenarios()) {
    names += (names.empty() ? "" : ", ") + std::string(scenario.name);
  }
  return std::unexpected(ScenarioError{
      SimErrc::scenario_not_found, std::string(name) + ": no such scenario; there are " + names +
                                       ", or give a path to a .toml file"});
}

}  // namespace quicmesh::sim
