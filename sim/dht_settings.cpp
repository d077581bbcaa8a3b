#include "sim/dht_settings.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "sim/sim_errc.hpp"

namespace quicmesh::sim {

ScenarioError wrong_setting(const Scenario& scenario, std::string_view setting,
                            std::string_view what) {
  return {SimErrc::scenario_value,
          scenario.file + ":1: " + std::string(setting) + ": " + std::string(what)};
}

ScenarioResult<std::int64_t> bounded_setting(const Scenario& scenario, const PeerRun& run,
                                             std::string_view setting, std::int64_t fallback,
                                             std::int64_t low, std::int64_t high) {
  if (run.bounds != nullptr) run.bounds->push_back({std::string(setting), low, high});
  const auto value = scenario.settings.integer(setting, fallback);
  if (!value) return std::unexpected(value.error());
  if (*value >= low && *value <= high) return *value;
  return std::unexpected(wrong_setting(
      scenario, setting, "is not from " + std::to_string(low) + " to " + std::to_string(high)));
}

ScenarioResult<LatencyModel> latencies_of(const Scenario& scenario, const DhtSettings& settings) {
  if (settings.latencies.empty()) return LatencyModel::cities();
  std::ifstream in(settings.latencies);
  if (!in) return std::unexpected(wrong_setting(scenario, "latencies", "the file cannot be read"));
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  auto model = LatencyModel::from_text(text);
  if (!model) return std::unexpected(wrong_setting(scenario, "latencies", model.error()));
  return std::move(*model);
}

ScenarioResult<DhtSettings> dht_settings_of(const Scenario& scenario, const PeerRun& run) {
  DhtSettings settings;
  settings.world.seed = run.seed;
  struct Number {
    std::string_view name;
    std::int64_t fallback;
    std::int64_t low;
    std::int64_t high;
    std::int64_t value = 0;
  };
  std::array<Number, 8> numbers{{{"nodes", 1000, 2, 10'000'000},
                                 {"lookups", 1000, 1, 1'000'000},
                                 {"warm_up", 4, 0, 1000},
                                 {"join_minutes", 0, 0, 10'000},
                                 {"met_per_bucket", 60, 1, 10'000},
                                 {"clients_percent", 0, 0, 90},
                                 {"loss_percent", 0, 0, 50},
                                 {"threads", 1, 1, PeerFabricConfig::shards}}};
  for (Number& number : numbers) {
    const auto value =
        bounded_setting(scenario, run, number.name, number.fallback, number.low, number.high);
    if (!value) return std::unexpected(value.error());
    number.value = *value;
  }
  settings.world.nodes = static_cast<std::size_t>(numbers[0].value);
  settings.lookups = numbers[1].value;
  settings.warm_up = numbers[2].value;
  settings.join = numbers[3].value;
  settings.world.met_per_bucket = static_cast<std::size_t>(numbers[4].value);
  settings.world.clients = {static_cast<std::uint64_t>(numbers[5].value), 100};
  settings.world.loss = {static_cast<std::uint64_t>(numbers[6].value), 100};
  settings.world.threads = static_cast<std::size_t>(numbers[7].value);
  const auto ask = scenario.settings.text("ask", "record");
  if (!ask) return std::unexpected(ask.error());
  if (*ask != "record" && *ask != "node") {
    return std::unexpected(wrong_setting(scenario, "ask", "is neither record nor node"));
  }
  settings.world.ask = *ask == "record" ? Ask::record : Ask::node;
  const auto latencies = scenario.settings.text("latencies", "");
  if (!latencies) return std::unexpected(latencies.error());
  settings.latencies = *latencies;
  return settings;
}

void close_report(ScenarioReport& report, const PeerRun& run, const DhtWorld& world) {
  if (!report.ok) report.message += "; replay: " + run.replay;
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hash;
  for (int shift = 60; shift >= 0; shift -= 4)
    hash += digits[(world.fabric().trace_hash() >> static_cast<unsigned>(shift)) & 15U];
  report.add("trace_hash", hash);
}

}  // namespace quicmesh::sim
