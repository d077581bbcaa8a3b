// Programs "dht-lookup", "dht-churn" and "dht-blackout": the DHT's own core in thousands to a
// million nodes over the peer-level simulator, beside plain Kademlia on the same places, ids and
// pairs. docs/guide/dht-simulator.md says what the figures are measured against.
#include <algorithm>

#include "sim/dht_settings.hpp"
#include "sim/dht_world.hpp"
#include "sim/lookup_figures.hpp"
#include "sim/program_registry.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

// What the ablation switches off. Plain Kademlia is the paper's: 20 and 3, buckets in which
// nearness in RTT does not count; "cold" also has no connections from before.
bool apply_variant(std::string_view variant, DhtSettings& settings) {
  dht::Config& dht = settings.world.dht;
  if (variant == "full") return true;
  if (variant == "no-express") {
    dht.express = false;
  } else if (variant == "no-tiers") {
    dht.tiers = false;
  } else if (variant == "no-near") {
    dht.near_buckets = false;
  } else if (variant == "no-adaptation") {
    dht.adaptive = false;
  } else if (variant == "plain" || variant == "plain-cold") {
    dht.tiers = dht.near_buckets = dht.adaptive = dht.express = false;
    if (variant == "plain-cold") settings.warm_up = 0;
  } else {
    return false;
  }
  return true;
}

void populate(DhtWorld& world, const DhtSettings& settings) {
  if (settings.join > 0) {
    world.make_by_joining(settings.join * Duration(1min));
    world.fabric().run_for(1min);
  } else {
    world.make_full();
  }
  if (settings.warm_up > 0) world.warm_up(static_cast<std::size_t>(settings.warm_up), 2min);
}

void add_lookups(ScenarioReport& report, const LookupFigures& figures,
                 const TrafficFigures& traffic) {
  report.add("lookups", static_cast<std::int64_t>(figures.counted));
  report.add("success_percent", figures.success_percent);
  report.add("ratio_p50", figures.ratio_p50);
  report.add("ratio_p95", figures.ratio_p95);
  report.add("to_target_p50", figures.to_target_p50);
  report.add("to_target_p95", figures.to_target_p95);
  report.add("express_percent", figures.express_percent);
  report.add("p50_ms", figures.p50_ms);
  report.add("p95_ms", figures.p95_ms);
  report.add("direct_p50_ms", figures.direct_p50_ms);
  report.add("hops", figures.hops);
  report.add("queries", figures.queries);
  report.add("slow_tier_queries", figures.slow_queries);
  report.add("unanswered", figures.failures);
  report.add("messages", traffic.messages);
  report.add("handshakes", traffic.handshakes);
  report.add("kilobytes", traffic.bytes / 1000);
}

void add_census(ScenarioReport& report, const DhtWorld& world) {
  const DhtWorld::Census census = world.census();
  report.add("contacts", census.contacts);
  report.add("dead_contacts", census.dead_contacts);
  report.add("connections", census.connections);
  report.add("tiers", census.tiers);
  report.add("k", census.k);
  report.add("alpha", census.alpha);
  report.add("core_kib", census.core_bytes / 1024);
  report.add("fabric_kib", census.fabric_bytes / 1024);
}

void expect_success(ScenarioReport& report, const LookupFigures& figures, double percent,
                    std::size_t nodes) {
  if (figures.counted > 0 && figures.success_percent >= percent) return;
  report.ok = false;
  if (figures.counted == 0) {
    report.message = "no lookup was possible: among " + std::to_string(nodes) +
                     " nodes no two were strangers to each other; take more, as --nodes 1000";
    return;
  }
  report.message = "only " + std::to_string(figures.success_percent) + " % of " +
                   std::to_string(figures.counted) + " lookups found their node";
}

/// The traffic of `lookups`, without what the nodes would have sent in that minute anyhow.
TrafficFigures less_upkeep(TrafficFigures all, const TrafficFigures& upkeep_of_node,
                           std::size_t nodes, std::size_t lookups) {
  const double nodes_a_lookup =
      static_cast<double>(nodes) / static_cast<double>(std::max<std::size_t>(1, lookups));
  all.messages = std::max(0.0, all.messages - upkeep_of_node.messages * nodes_a_lookup);
  all.handshakes = std::max(0.0, all.handshakes - upkeep_of_node.handshakes * nodes_a_lookup);
  all.bytes = std::max(0.0, all.bytes - upkeep_of_node.bytes * nodes_a_lookup);
  return all;
}

}  // namespace

ScenarioResult<ScenarioReport> run_dht_lookup(const Scenario& scenario, const PeerRun& run) {
  if (auto known = scenario.settings.only({"variant", "ask", "nodes", "lookups", "warm_up",
                                           "join_minutes", "met_per_bucket", "clients_percent",
                                           "loss_percent", "latencies", "threads"});
      !known) {
    return std::unexpected(known.error());
  }
  auto settings = dht_settings_of(scenario, run);
  if (!settings) return std::unexpected(settings.error());
  const auto variant = scenario.settings.text("variant", "full");
  if (!variant) return std::unexpected(variant.error());
  if (!apply_variant(*variant, *settings)) {
    return std::unexpected(wrong_setting(scenario, "variant", "there is no '" + *variant + "'"));
  }
  auto model = latencies_of(scenario, *settings);
  if (!model) return std::unexpected(model.error());
  if (run.bounds != nullptr) return ScenarioReport();

  const Cost cost(run.meters);
  ScenarioReport report;
  DhtWorld world(settings->world, std::move(*model));
  populate(world, *settings);
  // What the nodes say to each other anyhow, to keep tables and connections, is no lookup's cost.
  const PeerFabricCounters quiet = world.fabric().counters();
  world.fabric().run_for(1min);
  const PeerFabricCounters before = world.fabric().counters();
  const Instant measured_from = world.fabric().now();
  const auto lookups = world.measure(static_cast<std::size_t>(settings->lookups), 1min);
  world.fabric().run_until(measured_from + 1min);
  const LookupFigures figures = figures_of(lookups, settings->world.dht.lookup_deadline);
  const TrafficFigures upkeep = traffic_of(quiet, before, world.live().size());
  report.add("variant", *variant);
  report.add("nodes", static_cast<std::int64_t>(world.live().size()));
  add_lookups(report, figures,
              less_upkeep(traffic_of(before, world.fabric().counters(), figures.counted), upkeep,
                          world.live().size(), figures.counted));
  report.add("upkeep_messages", upkeep.messages);
  report.add("upkeep_bytes", upkeep.bytes);
  add_census(report, world);
  cost.add(report, world);
  expect_success(report, figures, 99, world.live().size());
  close_report(report, run, world);
  return report;
}

namespace {

// Churn and loss of one cell, and how long nodes come and go before and while it is measured.
struct ChurnCell {
  SessionShape shape = SessionShape::exponential;
  std::int64_t percent = 0;  // of the nodes leave in a minute
  std::int64_t settle = 0;   // minutes
  std::int64_t measured = 0;
};

ScenarioResult<ChurnCell> cell_of(const Scenario& scenario, const PeerRun& run) {
  ChurnCell cell;
  const auto percent = bounded_setting(scenario, run, "churn_percent", 5, 0, 100);
  if (!percent) return std::unexpected(percent.error());
  const auto settle = bounded_setting(scenario, run, "settle_minutes", 5, 0, 10'000);
  if (!settle) return std::unexpected(settle.error());
  const auto measured = bounded_setting(scenario, run, "measured_minutes", 5, 1, 10'000);
  if (!measured) return std::unexpected(measured.error());
  const auto shape = scenario.settings.text("sessions", "exponential");
  if (!shape) return std::unexpected(shape.error());
  if (*shape == "weibull") {
    cell.shape = SessionShape::weibull;
  } else if (*shape == "log-normal") {
    cell.shape = SessionShape::log_normal;
  } else if (*shape != "exponential") {
    return std::unexpected(wrong_setting(scenario, "sessions", "there is no '" + *shape + "'"));
  }
  cell.percent = *percent;
  cell.settle = *settle;
  cell.measured = *measured;
  return cell;
}

struct CellOutcome {
  LookupFigures figures;
  TrafficFigures traffic;
};

// One setting of k and alpha, or the adaptive one, in one cell.
CellOutcome run_cell(const DhtSettings& settings, const LatencyModel& model, const ChurnCell& cell,
                     ScenarioReport* report, const PeerRun& run) {
  const Cost cost(run.meters);
  DhtWorld world(settings.world, model);
  populate(world, settings);
  if (cell.percent > 0) {
    world.churn(SessionLengths(cell.shape, Duration(1min) * 100 / cell.percent), Departure::silent);
  }
  world.fabric().run_for(cell.settle * Duration(1min));
  const PeerFabricCounters before = world.fabric().counters();
  const auto lookups =
      world.measure(static_cast<std::size_t>(settings.lookups), cell.measured * Duration(1min));
  CellOutcome outcome{figures_of(lookups, settings.world.dht.lookup_deadline), {}};
  outcome.traffic = traffic_of(before, world.fabric().counters(), outcome.figures.counted);
  if (report != nullptr) {
    report->add("nodes", static_cast<std::int64_t>(world.live().size()));
    add_lookups(*report, outcome.figures, outcome.traffic);
    add_census(*report, world);
    cost.add(*report, world);
    close_report(*report, run, world);
  }
  return outcome;
}

}  // namespace

ScenarioResult<ScenarioReport> run_dht_churn(const Scenario& scenario, const PeerRun& run) {
  if (auto known = scenario.settings.only(
          {"nodes", "ask", "lookups", "warm_up", "join_minutes", "met_per_bucket",
           "clients_percent", "loss_percent", "latencies", "threads", "churn_percent",
           "settle_minutes", "measured_minutes", "sessions", "grid"});
      !known) {
    return std::unexpected(known.error());
  }
  auto settings = dht_settings_of(scenario, run);
  if (!settings) return std::unexpected(settings.error());
  const auto cell = cell_of(scenario, run);
  if (!cell) return std::unexpected(cell.error());
  const auto grid = scenario.settings.flag("grid", false);
  if (!grid) return std::unexpected(grid.error());
  const auto model = latencies_of(scenario, *settings);
  if (!model) return std::unexpected(model.error());
  if (run.bounds != nullptr) return ScenarioReport();

  ScenarioReport report;
  report.add("churn_percent", cell->percent);
  report.add("loss_percent", static_cast<std::int64_t>(settings->world.loss.numerator));
  const CellOutcome adaptive = run_cell(*settings, *model, *cell, &report, run);
  report.add("mean_ms", adaptive.figures.mean_ms);
  if (*grid) {
    // Regret: how much more time the adaptive node takes than the best of all fixed ones, which
    // nobody knows beforehand. A failed lookup counts with its deadline.
    double best = 0;
    std::string best_name;
    settings->world.dht.adaptive = false;
    for (const int k : {10, 20, 30, 40}) {
      for (const int alpha : {2, 3, 5, 10}) {
        settings->world.dht.k = static_cast<std::uint8_t>(k);
        settings->world.dht.alpha = static_cast<std::uint8_t>(alpha);
        const CellOutcome fixed = run_cell(*settings, *model, *cell, nullptr, run);
        if (best != 0 && fixed.figures.mean_ms >= best) continue;
        best = fixed.figures.mean_ms;
        best_name = "k=" + std::to_string(k) + " alpha=" + std::to_string(alpha);
      }
    }
    report.add("best_fixed", best_name);
    report.add("best_fixed_ms", best);
    report.add("regret_percent", 100 * (adaptive.figures.mean_ms / std::max(1e-3, best) - 1));
  }
  return report;
}

ScenarioResult<ScenarioReport> run_dht_blackout(const Scenario& scenario, const PeerRun& run) {
  if (auto known = scenario.settings.only({"nodes", "ask", "lookups", "warm_up", "join_minutes",
                                           "met_per_bucket", "clients_percent", "loss_percent",
                                           "latencies", "threads", "kill_percent"});
      !known) {
    return std::unexpected(known.error());
  }
  auto settings = dht_settings_of(scenario, run);
  if (!settings) return std::unexpected(settings.error());
  const auto killed = bounded_setting(scenario, run, "kill_percent", 50, 0, 99);
  if (!killed) return std::unexpected(killed.error());
  auto model = latencies_of(scenario, *settings);
  if (!model) return std::unexpected(model.error());
  if (run.bounds != nullptr) return ScenarioReport();

  const Cost cost(run.meters);
  ScenarioReport report;
  DhtWorld world(settings->world, std::move(*model));
  populate(world, *settings);
  world.kill({static_cast<std::uint64_t>(*killed), 100});
  const auto count = static_cast<std::size_t>(settings->lookups);
  const LookupFigures first =
      figures_of(world.measure(count, 1min), settings->world.dht.lookup_deadline);
  const PeerFabricCounters before = world.fabric().counters();
  const LookupFigures after =
      figures_of(world.measure(count, 1min), settings->world.dht.lookup_deadline);
  report.add("nodes_left", static_cast<std::int64_t>(world.live().size()));
  report.add("first_minute_success_percent", first.success_percent);
  report.add("first_minute_ratio_p95", first.ratio_p95);
  add_lookups(report, after, traffic_of(before, world.fabric().counters(), after.counted));
  add_census(report, world);
  cost.add(report, world);
  expect_success(report, after, 99, world.live().size());
  close_report(report, run, world);
  return report;
}

}  // namespace quicmesh::sim
