// Makes the network of a scenario in a simulation and plans its timeline.
#pragma once

#include <functional>

#include "sim/scenario.hpp"
#include "sim/simulation.hpp"

namespace quicmesh::sim {

/// Gets the "program" faults of the timeline when they are due, such as killing a node.
using ProgramFaultHook = std::function<void(const ScenarioFault&)>;

/// Builds hosts, NATs, paths and faults into `simulation`, which is new. All names are checked at
/// once; what only turns out at its time (an address taken by then) ends the run as failed.
/// Error: scenario_value, with file and line.
ScenarioResult<void> build_scenario(const Scenario& scenario, Simulation& simulation,
                                    ProgramFaultHook hook = {});

/// The names that a target stands for: itself, or "peer-3.if" ... "peer-5.if" for "peer-3..5.if".
/// Empty if a range is malformed, backwards or longer than `scenario_hosts_max`.
std::vector<std::string> expand_target(std::string_view target);

}  // namespace quicmesh::sim
