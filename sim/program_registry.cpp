#include "sim/program_registry.hpp"

#include "sim/sim_errc.hpp"

namespace quicmesh::sim {

std::span<const ProgramInfo> programs() {
  static const std::vector<ProgramInfo> all = {
      {"transfer",
       run_transfer,
       {{"loss", {"0%", "2%", "10%", "25%"}}},
       {"seconds", "mbit_per_s"},
       {}},
      {"path-switch",
       run_path_switch,
       {{"begin_on", {"relay", "direct"}},
        {"sender", {"dialler", "acceptor"}},
        {"mover", {"dialler", "acceptor"}}},
       {"stall_ms"},
       {{"stall_ms", "bar_ms"}}},
      {"dead-path",
       run_dead_path,
       {{"begin_on", {"relay", "direct"}}, {"sender", {"dialler", "acceptor"}}},
       {"left_ms", "stall_ms"},
       {{"left_ms", "bar_ms"}}},
      {"nat-rebinding",
       run_nat_rebinding,
       {{"sender", {"dialler", "acceptor"}}},
       {"seconds", "stall_ms"},
       {}},
      {"nat-pairs",
       run_nat_pairs,
       {},
       {"direct_percent", "first_byte_p50_ms", "plain_p50_ms", "predicted_p50_ms",
        "birthday_p95_ms"},
       {}},
      {"many-nodes", run_many_nodes, {}, {"healed_ms", "connections"}, {}},
      {"dht-lookup",
       nullptr,
       {{"variant",
         {"full", "no-express", "no-tiers", "no-near", "no-adaptation", "plain", "plain-cold"}}},
       {"success_percent", "ratio_p50", "ratio_p95", "to_target_p50", "p50_ms", "p95_ms", "hops",
        "queries", "slow_tier_queries", "messages", "handshakes", "kilobytes", "upkeep_messages",
        "connections", "core_kib", "resident_kib_per_node", "events_per_s", "wall_s"},
       {},
       run_dht_lookup},
      {"dht-churn",
       nullptr,
       {{"churn_percent", {"0", "5", "20", "50"}}, {"loss_percent", {"0", "2", "10"}}},
       {"success_percent", "ratio_p50", "ratio_p95", "p50_ms", "p95_ms", "mean_ms", "queries",
        "unanswered", "dead_contacts", "regret_percent"},
       {},
       run_dht_churn},
      {"dht-million",
       nullptr,
       {},
       {"success_percent", "p50_ms", "p95_ms", "contacts", "events", "wall_s",
        "resident_kib_per_node"},
       {},
       run_dht_churn},
      {"dht-blackout",
       nullptr,
       {},
       {"first_minute_success_percent", "success_percent", "ratio_p50", "ratio_p95"},
       {},
       run_dht_blackout},
      {"dht-attack",
       nullptr,
       {{"attack", {"ground", "sybils", "poison", "restart", "old", "express", "near"}}},
       {"found_percent", "success_percent", "newest_percent", "honest_percent", "captured_percent",
        "bar"},
       {},
       run_dht_attack},
      {"dht-calibrate",
       nullptr,
       {},
       {"find_p50_ms_packets", "find_p50_ms_off_percent", "find_p95_ms_packets",
        "find_p95_ms_off_percent", "resolve_p50_ms_packets", "resolve_p50_ms_off_percent",
        "resolve_p95_ms_packets", "resolve_p95_ms_off_percent", "handshakes_off_percent"},
       {},
       run_dht_calibrate},
  };
  return all;
}

ScenarioResult<HostId> host_of_setting(const Scenario& scenario, Simulation& simulation,
                                       std::string_view setting, std::string_view fallback) {
  const auto name = scenario.settings.text(setting, fallback);
  if (!name) return std::unexpected(name.error());
  const auto host = simulation.network().find_host(*name);
  if (host) return *host;
  return std::unexpected(ScenarioError{
      SimErrc::scenario_value,
      scenario.file + ":1: " + std::string(setting) + ": there is no host '" + *name + "'"});
}

void conclude(ScenarioReport& report, const Simulation& simulation, const RunResult& result) {
  if (!result && report.ok) {
    report.ok = false;
    report.message = result.message;
  }
  if (!report.ok && report.message.find("--seed") == std::string::npos) {
    report.message += "; replay: " + simulation.config().replay;
  }
  report.add("simulated_s", std::chrono::duration<double>(simulation.elapsed()).count());
  report.add("events", static_cast<std::int64_t>(simulation.events()));
  report.add("trace_hash", const_cast<Simulation&>(simulation).trace().hash_text());
}

}  // namespace quicmesh::sim
