// Program "dht-calibrate": the same lookups among whole nodes in the packet simulator and among
// bare cores in the peer-level one. What is off by more than 15 % fails; resolves are judged if
// there are enough, as in small worlds most records are known before anybody asks.
#include <cmath>

#include "sim/dht_calibration.hpp"
#include "sim/dht_settings.hpp"
#include "sim/program_registry.hpp"

namespace quicmesh::sim {
namespace {

constexpr double off_max_percent = 15;
constexpr std::size_t judged_min = 100;

void compare(ScenarioReport& report, std::string_view what, double packets, double peers,
             bool judged) {
  const std::string name(what);
  const double off = 100 * (peers / std::max(1e-3, packets) - 1);
  report.add(name + "_packets", packets);
  report.add(name + "_peers", peers);
  report.add(name + "_off_percent", off);
  if (!judged || std::abs(off) <= off_max_percent) return;
  report.ok = false;
  report.message += name + " is off by " + std::to_string(off) + " %; ";
}

}  // namespace

ScenarioResult<ScenarioReport> run_dht_calibrate(const Scenario& scenario, const PeerRun& run) {
  if (auto known =
          scenario.settings.only({"nodes", "lookups", "loss_percent", "k", "links", "express"});
      !known) {
    return std::unexpected(known.error());
  }
  CalibrationConfig config;
  config.seed = run.seed;
  const auto nodes = bounded_setting(scenario, run, "nodes", 200, 2, 16'384);
  if (!nodes) return std::unexpected(nodes.error());
  const auto lookups = bounded_setting(scenario, run, "lookups", 1000, 1, 1'000'000);
  if (!lookups) return std::unexpected(lookups.error());
  const auto loss = bounded_setting(scenario, run, "loss_percent", 0, 0, 50);
  if (!loss) return std::unexpected(loss.error());
  const auto k = bounded_setting(scenario, run, "k", 20, dht::k_min, dht::k_max);
  if (!k) return std::unexpected(k.error());
  const auto links = bounded_setting(scenario, run, "links", 64, 1, 1000);
  if (!links) return std::unexpected(links.error());
  const auto express = scenario.settings.flag("express", true);
  if (!express) return std::unexpected(express.error());
  config.nodes = static_cast<std::size_t>(*nodes);
  config.lookups = static_cast<std::size_t>(*lookups);
  config.loss = {static_cast<std::uint64_t>(*loss), 100};
  config.dht.k = static_cast<std::uint8_t>(*k);
  config.dht.links_server = static_cast<std::size_t>(*links);
  config.dht.express = *express;

  if (run.bounds != nullptr) return ScenarioReport();
  ScenarioReport report;
  const auto [packets, peers] = calibrate(config);
  for (const auto& [name, real, model] :
       {std::tuple("find", packets.finds, peers.finds),
        std::tuple("resolve", packets.resolves, peers.resolves)}) {
    const std::string kind(name);
    report.add(kind + "s_packets", static_cast<std::int64_t>(real.counted));
    report.add(kind + "s_peers", static_cast<std::int64_t>(model.counted));
    report.add(kind + "_failed_packets", static_cast<std::int64_t>(real.failed));
    report.add(kind + "_failed_peers", static_cast<std::int64_t>(model.failed));
    const bool judged = real.counted >= judged_min;
    compare(report, kind + "_p50_ms", real.p50_ms, model.p50_ms, judged);
    compare(report, kind + "_p95_ms", real.p95_ms, model.p95_ms, judged);
    // Express needs no queries: there is nothing to divide by.
    compare(report, kind + "_queries", real.queries, model.queries, judged && kind == "find");
  }
  compare(report, "handshakes", packets.handshakes, peers.handshakes, true);
  compare(report, "contacts", packets.contacts, peers.contacts, false);
  compare(report, "connections", packets.connections, peers.connections, false);
  if (!report.ok) report.message += "replay: " + run.replay;
  return report;
}

}  // namespace quicmesh::sim
