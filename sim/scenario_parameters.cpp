#include "sim/scenario_parameters.hpp"

#include <algorithm>
#include <sstream>
#include <string_view>

#include "sim/program_registry.hpp"
#include "sim/scenario_catalog.hpp"

namespace quicmesh::sim {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r";
  const std::size_t begin = std::min(text.find_first_not_of(blanks), text.size());
  text.remove_prefix(begin);
  return text.substr(0, text.find_last_not_of(blanks) + 1);
}

/// The comment that ends a line; a '#' inside of quotation marks is none.
std::string_view comment_of(std::string_view line) {
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    quoted ^= line[i] == '"';
    if (line[i] == '#' && !quoted) return trimmed(line.substr(i + 1));
  }
  return {};
}

/// Names and comments, by line: the reader of TOML keeps neither order nor comments.
std::vector<ScenarioParameter> named_in(const std::string& text) {
  std::vector<ScenarioParameter> parameters;
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    const std::string_view bare = trimmed(line);
    const std::size_t equals = bare.find('=');
    if (bare.starts_with('[')) {
      inside = bare.starts_with("[parameters]");
    } else if (inside && !bare.starts_with('#') && equals != std::string_view::npos) {
      ScenarioParameter& one = parameters.emplace_back();
      one.name = trimmed(bare.substr(0, equals));
      one.meaning = comment_of(bare);
    }
  }
  return parameters;
}

}  // namespace

ScenarioResult<std::vector<ScenarioParameter>> parameters_of(const ScenarioRequest& request) {
  const auto text = load_scenario_text(request.name);
  if (!text) return std::unexpected(text.error());
  const auto scenario = parse_scenario(text->text, text->file, request.overrides);
  if (!scenario) return std::unexpected(scenario.error());
  const auto all = programs();
  const auto program = std::ranges::find(all, scenario->program, &ProgramInfo::name);
  std::vector<SettingBounds> bounds;
  if (program != all.end() && program->run_peers != nullptr) {
    PeerRun reading;
    reading.bounds = &bounds;
    if (const auto read = program->run_peers(*scenario, reading); !read)
      return std::unexpected(read.error());
  }
  auto parameters = named_in(text->text);
  std::erase_if(parameters,
                [&](const auto& one) { return !scenario->parameters.contains(one.name); });
  for (ScenarioParameter& one : parameters) {
    one.fallback = scenario->parameters.at(one.name);
    if (const auto found = std::ranges::find(bounds, one.name, &SettingBounds::setting);
        found != bounds.end())
      one.bounds = {found->low, found->high};
    if (program == all.end()) continue;
    for (const VariantDimension& dimension : program->dimensions)
      if (dimension.parameter == one.name) one.values = dimension.values;
  }
  return parameters;
}

}  // namespace quicmesh::sim
