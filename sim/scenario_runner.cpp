#include "sim/scenario_runner.hpp"

#include <algorithm>

#include "sim/program_registry.hpp"
#include "sim/scenario_build.hpp"
#include "sim/scenario_catalog.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

const ProgramInfo* find_program(std::string_view name) {
  const auto all = programs();
  const auto found = std::ranges::find(all, name, &ProgramInfo::name);
  return found == all.end() ? nullptr : &*found;
}

ScenarioResult<Scenario> read(const ScenarioRequest& request) {
  const auto text = load_scenario_text(request.name);
  if (!text) return std::unexpected(text.error());
  return parse_scenario(text->text, text->file, request.overrides);
}

bool is_fixed(const ScenarioRequest& request, const std::string& parameter) {
  return std::ranges::find(request.overrides, parameter, &ScenarioOverride::name) !=
         request.overrides.end();
}

// Every combination of the dimensions that the request leaves open.
std::vector<ScenarioRequest> variants_of(const ScenarioRequest& request,
                                         const std::vector<VariantDimension>& dimensions) {
  std::vector<ScenarioRequest> variants{request};
  for (const VariantDimension& dimension : dimensions) {
    if (is_fixed(request, dimension.parameter)) continue;
    std::vector<ScenarioRequest> wider;
    for (const ScenarioRequest& variant : variants) {
      for (const std::string& value : dimension.values) {
        wider.push_back(variant);
        wider.back().overrides.push_back({dimension.parameter, value});
      }
    }
    variants = std::move(wider);
  }
  return variants;
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<double> column(const std::vector<ScenarioReport>& runs, std::string_view name) {
  std::vector<double> values;
  for (const ScenarioReport& run : runs)
    values.push_back(run.number(name));
  return values;
}

ScenarioReport summarise(const ProgramInfo& program, const ScenarioRequest& variant,
                         const std::vector<ScenarioReport>& runs) {
  ScenarioReport summary;
  summary.add("scenario", variant.name);
  for (const ScenarioOverride& set : variant.overrides)
    summary.add(set.name, set.value);
  summary.add("seeds", static_cast<std::int64_t>(runs.size()));
  for (const ScenarioReport& run : runs) {
    if (run.ok || !summary.ok) continue;
    summary.ok = false;
    summary.message = run.message;
  }
  for (const std::string_view name : program.measured) {
    const std::vector<double> values = column(runs, name);
    summary.add(std::string(name) + "_median", median(values));
    summary.add(std::string(name) + "_max", *std::ranges::max_element(values));
  }
  for (const auto& [figure, bar] : program.bars) {
    const double limit = median(column(runs, bar));
    summary.add("bar", limit);
    if (median(column(runs, figure)) > limit && summary.ok) {
      summary.ok = false;
      summary.message = "the median of " + std::string(figure) + " is above the bar";
    }
  }
  return summary;
}

}  // namespace

double ScenarioReport::number(std::string_view name) const {
  for (const auto& [key, value] : figures) {
    if (key != name) continue;
    if (const auto* real = std::get_if<double>(&value)) return *real;
    if (const auto* whole = std::get_if<std::int64_t>(&value)) return static_cast<double>(*whole);
  }
  return 0;
}

std::vector<std::string_view> program_names() {
  std::vector<std::string_view> names;
  for (const ProgramInfo& program : programs())
    names.push_back(program.name);
  return names;
}

ScenarioResult<ScenarioReport> run_scenario(const ScenarioRequest& request, std::uint64_t seed) {
  const auto scenario = read(request);
  if (!scenario) return std::unexpected(scenario.error());
  const ProgramInfo* program = find_program(scenario->program);
  if (program == nullptr) {
    return std::unexpected(ScenarioError{
        SimErrc::scenario_value,
        scenario->file + ":1: there is no program called '" + scenario->program + "'"});
  }
  const std::string replay = replay_command(request.name, seed, request.overrides);
  if (program->run == nullptr) return program->run_peers(*scenario, {seed, replay, request.meters});
  if (scenario->hosts.empty()) {
    return std::unexpected(ScenarioError{
        SimErrc::scenario_value,
        scenario->file + ":1: the program '" + scenario->program + "' needs [[hosts]]"});
  }
  Simulation simulation({.seed = seed, .replay = replay});
  ProgramFaults faults;
  const auto built = build_scenario(*scenario, simulation, [&](const ScenarioFault& fault) {
    if (faults) faults(fault);
  });
  if (!built) return std::unexpected(built.error());
  return program->run(*scenario, simulation, faults);
}

ScenarioResult<std::vector<ScenarioReport>> run_suite(const ScenarioRequest& request,
                                                      std::size_t seeds_max) {
  const auto scenario = read(request);
  if (!scenario) return std::unexpected(scenario.error());
  const ProgramInfo* program = find_program(scenario->program);
  std::vector<VariantDimension> dimensions;
  if (program != nullptr) dimensions = program->dimensions;
  std::vector<ScenarioReport> summaries;
  for (const ScenarioRequest& variant : variants_of(request, dimensions)) {
    std::vector<ScenarioReport> runs;
    for (const std::uint64_t seed : scenario->seeds) {
      if (runs.size() >= seeds_max) break;
      auto report = run_scenario(variant, seed);
      if (!report) return std::unexpected(report.error());
      runs.push_back(std::move(*report));
    }
    summaries.push_back(summarise(*program, variant, runs));
  }
  return summaries;
}

}  // namespace quicmesh::sim
