// Program "transfer": a client dials a server and sends it bytes over whatever line the scenario
// gives them; every byte is verified.
#include "sim/program_registry.hpp"
#include "sim/verified_transfer.hpp"

namespace quicmesh::sim {

ScenarioResult<ScenarioReport> run_transfer(const Scenario& scenario, Simulation& simulation,
                                            ProgramFaults&) {
  if (auto known = scenario.settings.only({"client", "server", "bytes"}); !known) {
    return std::unexpected(known.error());
  }
  const auto client_host = host_of_setting(scenario, simulation, "client", "client");
  if (!client_host) return std::unexpected(client_host.error());
  const auto server_host = host_of_setting(scenario, simulation, "server", "server");
  if (!server_host) return std::unexpected(server_host.error());
  const auto bytes = scenario.settings.bytes("bytes", 1u << 20);
  if (!bytes) return std::unexpected(bytes.error());

  MeshNode client(simulation, *client_host);
  MeshNode server(simulation, *server_host);
  Network& network = simulation.network();
  const NetworkPath path = client.path(network.interfaces_of(*client_host)[0],
                                       server.address(network.interfaces_of(*server_host)[0]));
  // A quarter of all handshakes fails for good at 25 % bursty loss: a user would dial again.
  const auto dial = [&] {
    (void)client.command([&](NodeCore& core, Instant now) {
      return core.connect(now, server.id(), std::vector{path});
    });
  };
  client.listen([&](Instant, const NodeEvent& event) {
    if (std::holds_alternative<PeerUnreachable>(event)) simulation.after(100ms, dial);
  });
  dial();
  RunResult result = simulation.run_until(
      [&] { return client.core().connectivity().connected(server.id()); }, scenario.duration);
  ScenarioReport report;
  const Instant started = simulation.now();
  std::optional<VerifiedTransfer> transfer;
  if (result) {
    transfer.emplace(client, server, *bytes, simulation.config().seed);
    result = simulation.run_until(
        [&] { return transfer->finished() || !transfer->trouble().empty(); }, scenario.duration);
    if (!transfer->finished() || transfer->wrong_bytes() > 0) {
      report.ok = false;
      report.message = "transfer: " + transfer->trouble();
    }
  }
  const double seconds = std::chrono::duration<double>(simulation.now() - started).count();
  report.add("bytes", static_cast<std::int64_t>(transfer ? transfer->received_bytes() : 0));
  report.add("wrong_bytes", static_cast<std::int64_t>(transfer ? transfer->wrong_bytes() : 0));
  report.add("seconds", seconds);
  report.add("mbit_per_s", seconds > 0 ? static_cast<double>(*bytes) * 8e-6 / seconds : 0.0);
  conclude(report, simulation, result);
  return report;
}

}  // namespace quicmesh::sim
