// Program "nat-rebinding": the dialler's NAT forgets its mappings in the middle of a transfer, so
// that its packets come from another port; the acceptor must follow, and no byte may be lost.
#include "sim/program_registry.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {

ScenarioResult<ScenarioReport> run_nat_rebinding(const Scenario& scenario, Simulation& simulation,
                                                 ProgramFaults&) {
  if (auto known = scenario.settings.only({"dialler", "acceptor", "bytes", "sender"}); !known) {
    return std::unexpected(known.error());
  }
  const auto dialler_host = host_of_setting(scenario, simulation, "dialler", "dialler");
  if (!dialler_host) return std::unexpected(dialler_host.error());
  const auto acceptor_host = host_of_setting(scenario, simulation, "acceptor", "acceptor");
  if (!acceptor_host) return std::unexpected(acceptor_host.error());
  const auto bytes = scenario.settings.bytes("bytes", 16u << 20);
  if (!bytes) return std::unexpected(bytes.error());
  const auto sender = scenario.settings.text("sender", "dialler");
  if (!sender) return std::unexpected(sender.error());

  MeshNode dialler(simulation, *dialler_host);
  MeshNode acceptor(simulation, *acceptor_host);
  Network& network = simulation.network();
  const NetworkPath path = dialler.path(network.interfaces_of(*dialler_host)[0],
                                        acceptor.address(network.interfaces_of(*acceptor_host)[0]));
  std::int64_t rebindings = 0;
  acceptor.listen([&](Instant, const NodeEvent& event) {
    if (std::holds_alternative<PeerPathChanged>(event)) ++rebindings;
  });
  (void)dialler.command([&](NodeCore& core, Instant now) {
    return core.connect(now, acceptor.id(), std::vector{path});
  });
  const auto ready = [&] {
    return dialler.core().connectivity().connected(acceptor.id()) &&
           acceptor.core().connectivity().connected(dialler.id());
  };
  RunResult result = simulation.run_until(ready, scenario.duration);
  ScenarioReport report;
  std::optional<VerifiedTransfer> transfer;
  const Instant started = simulation.now();
  if (result) {
    MeshNode& from = *sender == "acceptor" ? acceptor : dialler;
    MeshNode& to = *sender == "acceptor" ? dialler : acceptor;
    transfer.emplace(from, to, *bytes, simulation.config().seed);
    result = simulation.run_until([&] { return transfer->finished(); }, scenario.duration);
    if (!transfer->finished() || transfer->wrong_bytes() > 0) {
      report.ok = false;
      report.message = "transfer not complete and unchanged: " + transfer->trouble();
    } else if (rebindings == 0) {
      report.ok = false;
      report.message = "no rebinding happened: the scenario tests nothing";
    }
    const Duration stall = transfer->longest_gap(started, simulation.now());
    report.add("bytes", static_cast<std::int64_t>(transfer->received_bytes()));
    report.add("wrong_bytes", static_cast<std::int64_t>(transfer->wrong_bytes()));
    report.add("seconds", std::chrono::duration<double>(simulation.now() - started).count());
    report.add("stall_ms", std::chrono::duration<double, std::milli>(stall).count());
  }
  report.add("rebindings", rebindings);
  conclude(report, simulation, result);
  return report;
}

}  // namespace quicmesh::sim
