// Program "path-switch": in the middle of a verified transfer the connection is moved from one path
// to another, by the dialler or on the acceptor's hint. Measured: how long the reader saw nothing.
// Program "dead-path": the path in use dies without a word. Measured: how soon it is left, from
// when the last packet that was under way can have arrived.
#include <algorithm>

#include "sim/two_paths.hpp"

namespace quicmesh::sim {
namespace {

constexpr Duration observed = 3s;        // after the event
constexpr Duration warm_up_min = 800ms;  // a transfer in full swing, standby paths probed

double ms(Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

void report_transfer(ScenarioReport& report, TwoPathWorld& world) {
  const VerifiedTransfer& transfer = *world.transfer;
  report.add("bytes", static_cast<std::int64_t>(transfer.received_bytes()));
  report.add("wrong_bytes", static_cast<std::int64_t>(transfer.wrong_bytes()));
  if (report.ok && (!transfer.finished() || transfer.wrong_bytes() > 0)) {
    report.ok = false;
    report.message = "transfer not complete and unchanged: " + transfer.trouble();
  }
}

// When the event happens: the warm-up and a part of a second that differs from seed to seed.
Duration moment(Simulation& simulation) {
  return simulation.elapsed() + warm_up_min + simulation.rng("moment").between(0ms, 300ms);
}

// Connects, starts the transfer and waits for the moment.
RunResult begin(TwoPathWorld& world, const Scenario& scenario, Simulation& simulation) {
  RunResult result = world.connect_and_start(scenario.duration);
  if (result) result = simulation.run_until(moment(simulation));
  world.switched_at.reset();
  return result;
}

}  // namespace

ScenarioResult<ScenarioReport> run_path_switch(const Scenario& scenario, Simulation& simulation,
                                               ProgramFaults&) {
  auto made = TwoPathWorld::make(scenario, simulation);
  if (!made) return std::unexpected(made.error());
  TwoPathWorld& world = **made;
  ScenarioReport report;
  RunResult result = begin(world, scenario, simulation);
  if (result) {
    const Instant asked_at = simulation.now();
    if (const auto asked = world.ask_for_switch(); !asked) {
      report.ok = false;
      report.message = "no switch: " + asked.error().message();
    }
    result = simulation.run_until([&] { return world.transfer->finished(); }, scenario.duration);
    const Duration stall = world.transfer->longest_gap(asked_at, asked_at + observed);
    const Duration old_rtt = world.rtt(world.old_interface());
    const Duration new_rtt = world.rtt(world.new_interface());
    report.add("stall_ms", ms(stall));
    report.add("bar_ms", ms(std::max<Duration>({60ms, 2 * new_rtt, old_rtt * 3 / 2})));
    report.add("switched_ms", world.switched_at ? ms(*world.switched_at - asked_at) : -1.0);
    if (report.ok && !world.switched_at) {
      report.ok = false;
      report.message = "the connection never switched";
    }
    report_transfer(report, world);
  }
  conclude(report, simulation, result);
  return report;
}

ScenarioResult<ScenarioReport> run_dead_path(const Scenario& scenario, Simulation& simulation,
                                             ProgramFaults&) {
  auto made = TwoPathWorld::make(scenario, simulation);
  if (!made) return std::unexpected(made.error());
  TwoPathWorld& world = **made;
  ScenarioReport report;
  RunResult result = begin(world, scenario, simulation);
  if (result) {
    const NodeId& other =
        &world.sender() == &*world.dialler ? world.acceptor->id() : world.dialler->id();
    const Duration pto = world.sender().core().connectivity().path_info(other).probe_timeout;
    world.kill(world.old_interface());
    const Instant died_at = simulation.now();
    // What was under way still arrives: the ends cannot know of the death before that.
    const Instant silent_at = died_at + world.rtt(world.old_interface()) / 2;
    result = simulation.run_until([&] { return world.transfer->finished(); }, scenario.duration);
    const Duration new_rtt = world.rtt(world.new_interface());
    report.add("left_ms", world.switched_at ? ms(*world.switched_at - silent_at) : 1e9);
    report.add("bar_ms", ms(std::max<Duration>(150ms, 3 * pto) + new_rtt));
    report.add("sender_pto_ms", ms(pto));
    report.add("stall_ms", ms(world.transfer->longest_gap(died_at, died_at + observed)));
    report_transfer(report, world);
  }
  conclude(report, simulation, result);
  return report;
}

}  // namespace quicmesh::sim
