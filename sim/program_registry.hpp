// The programs that a scenario can run, each in a file program_*.cpp.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "sim/scenario_runner.hpp"
#include "sim/simulation.hpp"

namespace quicmesh::sim {

/// Where a program gets what the timeline says to it ("program" faults).
using ProgramFaults = std::function<void(const ScenarioFault&)>;

/// A program's run: builds the nodes of `scenario` in `simulation` and measures.
/// It has been told nothing yet; it sets `faults` before it lets time pass.
using RunProgram = ScenarioResult<ScenarioReport> (*)(const Scenario& scenario,
                                                      Simulation& simulation,
                                                      ProgramFaults& faults);

/// Between which numbers a setting of a program is.
struct SettingBounds {
  std::string setting;
  std::int64_t low = 0;
  std::int64_t high = 0;
};

/// What a program on the peer-level simulator gets in place of a packet simulation.
struct PeerRun {
  std::uint64_t seed = 1;
  std::string replay;  // the command, for messages
  Meters meters;
  /// If set, the program only reads its settings, and puts their bounds here.
  std::vector<SettingBounds>* bounds = nullptr;
};
using RunPeerProgram = ScenarioResult<ScenarioReport> (*)(const Scenario& scenario,
                                                          const PeerRun& run);

struct ProgramInfo {
  std::string_view name;
  RunProgram run;  // null: `run_peers` is set
  std::vector<VariantDimension> dimensions;
  /// Figures of which a suite prints the median and the maximum over its seeds.
  std::vector<std::string_view> measured;
  /// Pairs of names: the median of the first must not exceed the median of the second.
  std::vector<std::pair<std::string_view, std::string_view>> bars;
  RunPeerProgram run_peers = nullptr;
};

std::span<const ProgramInfo> programs();

ScenarioResult<ScenarioReport> run_transfer(const Scenario&, Simulation&, ProgramFaults&);
ScenarioResult<ScenarioReport> run_path_switch(const Scenario&, Simulation&, ProgramFaults&);
ScenarioResult<ScenarioReport> run_dead_path(const Scenario&, Simulation&, ProgramFaults&);
ScenarioResult<ScenarioReport> run_nat_rebinding(const Scenario&, Simulation&, ProgramFaults&);
ScenarioResult<ScenarioReport> run_nat_pairs(const Scenario&, Simulation&, ProgramFaults&);
ScenarioResult<ScenarioReport> run_many_nodes(const Scenario&, Simulation&, ProgramFaults&);
ScenarioResult<ScenarioReport> run_dht_lookup(const Scenario&, const PeerRun&);
ScenarioResult<ScenarioReport> run_dht_churn(const Scenario&, const PeerRun&);
ScenarioResult<ScenarioReport> run_dht_blackout(const Scenario&, const PeerRun&);
ScenarioResult<ScenarioReport> run_dht_attack(const Scenario&, const PeerRun&);
ScenarioResult<ScenarioReport> run_dht_calibrate(const Scenario&, const PeerRun&);

/// The host called `name`; an error that names the setting if there is none.
ScenarioResult<HostId> host_of_setting(const Scenario& scenario, Simulation& simulation,
                                       std::string_view setting, std::string_view fallback);

/// Closes a report: what the run's end says, bytes wrong or missing, the trace hash.
void conclude(ScenarioReport& report, const Simulation& simulation, const RunResult& result);

}  // namespace quicmesh::sim
