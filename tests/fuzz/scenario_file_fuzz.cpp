// Any bytes as a scenario file, and as an override: reading must end with a scenario or with an
// error that names file and line; a small scenario must also build, and run for a moment.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "sim/scenario_build.hpp"
#include "sim/scenario_file.hpp"

namespace {

using namespace quicmesh;
using namespace quicmesh::sim;

// Larger ones are valid, but would make the fuzzer slow.
constexpr std::uint32_t members_max = 64;
constexpr std::size_t faults_max = 64;

bool is_small(const Scenario& scenario) {
  std::uint64_t members = 0;
  std::uint64_t faults = 0;
  for (const auto& host : scenario.hosts)
    members += host.count * (1 + host.interfaces.size());
  for (const auto& nat : scenario.nats)
    members += nat.count * nat.addresses.size();
  for (const auto& fault : scenario.timeline)
    faults += fault.times;
  return members <= members_max && faults <= faults_max;
}

void require_place(const ScenarioError& error) {
  if (!error.code || !std::string_view(error.message).starts_with("f.toml:")) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string value(text.substr(0, 8));
  (void)parse_scenario(text, "f.toml", {{"loss", value}});  // must only end
  const auto scenario = parse_scenario(text, "f.toml");
  if (!scenario) {
    require_place(scenario.error());
    return 0;
  }
  if (!is_small(*scenario)) return 0;
  Simulation simulation({.event_budget = 1'000});
  if (const auto built = build_scenario(*scenario, simulation); !built) {
    require_place(built.error());
    return 0;
  }
  (void)simulation.run_until(1s);
  return 0;
}
