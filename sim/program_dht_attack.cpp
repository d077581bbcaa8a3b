// Program "dht-attack": hostile nodes among honest ones, all running the DHT's own core but for
// what DhtActor changes, and what becomes of lookups, values and tables. One attack a run; `bar` is
// what is asked for.
//
// `control` runs the same without the attack: hostile nodes behave, stand where others stand and
// have a network each. Of `restart`, `old` and `express` it is the reverse: the attack without the
// defence, a node that kept no contact of its own or believes the first answer.
#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "dht/value.hpp"
#include "quicmesh/keypair.hpp"
#include "sim/dht_settings.hpp"
#include "sim/dht_world.hpp"
#include "sim/lookup_figures.hpp"
#include "sim/program_registry.hpp"

namespace quicmesh::sim {
namespace {

struct Attack {
  DhtSettings settings;
  std::string name;
  std::int64_t percent = 0;  // of hostile nodes
  std::size_t values = 0;
};

Bytes text_of(std::uint64_t number) {
  Bytes bytes(24, 0);
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<std::uint8_t>(number >> (8 * i));
  return bytes;
}

std::vector<MeasuredValue> immutable_values(std::size_t count, Rng& rng) {
  std::vector<MeasuredValue> values(count);
  for (MeasuredValue& value : values) {
    value.kind = dht::ValueKind::immutable;
    value.bytes = text_of(rng.next());
    value.key = dht::immutable_key(value.bytes);
  }
  return values;
}

double found_percent(const std::vector<MeasuredValue>& values) {
  const auto found = std::ranges::count(values, true, &MeasuredValue::found);
  return 100 * static_cast<double>(found) /
         static_cast<double>(std::max<std::size_t>(1, values.size()));
}

void judge(ScenarioReport& report, std::string_view what, double value, double bar, bool at_least) {
  report.add("bar", bar);
  report.ok = at_least ? value >= bar : value <= bar;
  if (!report.ok) {
    report.message =
        std::string(what) + " is " + std::to_string(value) + ", the bar is " + std::to_string(bar);
  }
}

// TD1, TD2: ids ground around one key, whose holders they want to be. The value is put while they
// are there.
void ground(const Attack& attack, LatencyModel model, const PeerRun& run, ScenarioReport& report,
            bool behave) {
  DhtWorldConfig config = attack.settings.world;
  Rng rng = Rng(run.seed).fork("values");
  auto values = immutable_values(1, rng);
  config.key_under_attack = values[0].key;
  config.ground_ids = static_cast<std::size_t>(attack.percent);  // here a count
  if (behave) config.hostility = Hostility::none;
  DhtWorld world(config, std::move(model));
  world.make_full();
  world.warm_up(2, 1min);
  world.put_all(values, 1s);
  std::vector<MeasuredValue> wanted(attack.values, values[0]);
  world.get_all(wanted, 1min);
  report.add("found_percent", found_percent(wanted));
  judge(report, "found_percent", found_percent(wanted), 99, true);
}

// TD3: a share of all nodes.
void sybils(const Attack& attack, LatencyModel model, const PeerRun& run, ScenarioReport& report,
            bool behave) {
  DhtWorldConfig config = attack.settings.world;
  config.hostile = {static_cast<std::uint64_t>(attack.percent), 100};
  if (behave) config.hostility = Hostility::none;
  DhtWorld world(config, std::move(model));
  world.make_full();
  world.warm_up(2, 1min);
  Rng rng = Rng(run.seed).fork("values");
  auto values = immutable_values(attack.values, rng);
  world.put_all(values, 1min);
  world.get_all(values, 1min);
  const auto count = static_cast<std::size_t>(attack.settings.lookups);
  const LookupFigures lookups = figures_of(world.measure(count, 1min), config.dht.lookup_deadline);
  report.add("found_percent", found_percent(values));
  report.add("success_percent", lookups.success_percent);
  report.add("ratio_p50", lookups.ratio_p50);
  report.add("ratio_p95", lookups.ratio_p95);
  report.add("captured_percent", world.captured().contacts);
  const double bar = attack.percent <= 10 ? 99.9 : attack.percent <= 20 ? 99 : 95;
  judge(report, "success", std::min(found_percent(values), lookups.success_percent), bar, true);
}

// TD4: liars name peers that are not there; and all hostile nodes share a few public prefixes.
void poison(const Attack& attack, LatencyModel model, ScenarioReport& report, bool behave) {
  DhtWorldConfig config = attack.settings.world;
  config.hostile = {static_cast<std::uint64_t>(attack.percent), 100};
  config.hostility = behave ? Hostility::none : Hostility::lying;
  config.name_the_dead = true;
  config.hostile_groups = behave ? 0 : 4;
  DhtWorld world(config, std::move(model));
  world.make_full();
  world.warm_up(4, 2min);
  const DhtWorld::Captured captured = world.captured();
  report.add("dead_contacts", static_cast<std::int64_t>(captured.dead));
  report.add("captured_percent", captured.contacts);
  report.add("group_in_bucket", static_cast<std::int64_t>(captured.most_of_a_group_in_bucket));
  report.add("group_in_table", static_cast<std::int64_t>(captured.most_of_a_group_in_table));
  judge(report, "contacts that are not there", static_cast<double>(captured.dead), 0, false);
  if (captured.most_of_a_group_in_bucket > 2 || captured.most_of_a_group_in_table > 10) {
    report.ok = false;
    report.message = "one group has more than its places";
  }
}

// TD5: a node comes back after so long that nobody remembers it, to bootstraps of which nine in ten
// are hostile. One contact of its own has outlived the time, or none has.
void restart(const Attack& attack, LatencyModel model, ScenarioReport& report, bool without_old) {
  DhtWorldConfig config = attack.settings.world;
  config.hostile = {static_cast<std::uint64_t>(attack.percent), 100};
  DhtWorld world(config, std::move(model));
  world.make_full();
  double honest = 0;
  constexpr int nodes = 20;
  std::vector<PeerHandle> restarted;
  for (int i = 0; i < nodes; ++i) {
    std::vector<PeerHandle> known;
    while (known.size() < 9) {
      const PeerHandle other = world.random_live();
      if (world.is_hostile(other)) known.push_back(other);
    }
    if (!without_old) known.push_back(world.random_honest());
    restarted.push_back(world.join_by(known));
  }
  world.fabric().run_for(10min);
  for (const PeerHandle peer : restarted) {
    const DhtWorld::Captured captured = world.captured(peer);
    if (captured.all_near + captured.all_random > 0) honest += 100 - captured.contacts;
  }
  report.add("honest_percent", honest / nodes);
  judge(report, "honest_percent", honest / nodes, 50, true);
}

// TD6: some serve the first version of a value for ever. The control is a reader who takes the
// first answer instead of the newest of four.
void old_values(const Attack& attack, LatencyModel model, const PeerRun& run,
                ScenarioReport& report, bool take_first) {
  DhtWorldConfig config = attack.settings.world;
  config.hostile = {static_cast<std::uint64_t>(attack.percent), 100};
  config.hostility = Hostility::serving_old;
  DhtWorld world(config, std::move(model));
  world.make_full();
  Rng rng = Rng(run.seed).fork("values");
  std::vector<MeasuredValue> values(attack.values);
  std::vector<Keypair> owners;
  for (MeasuredValue& value : values) {
    std::array<std::uint8_t, 32> secret{};
    rng.fill(secret);
    owners.push_back(Keypair::from_seed(secret));
    value.kind = dht::ValueKind::signed_value;
    value.key = dht::signed_key(owners.back().public_key(), {});
  }
  const auto write = [&](std::uint64_t version) {
    const WallTime now = world.wall_time();
    for (std::size_t i = 0; i < values.size(); ++i) {
      const Bytes text = text_of(version);
      const WallTime expiry{std::to_underlying(now) + 3600};
      auto made = dht::make_signed_value(
          owners[i],
          {.sequence = dht::sequence_of(now), .expiry = expiry, .salt = {}, .value = text});
      values[i].older = std::move(values[i].bytes);
      if (made) values[i].bytes = std::move(*made);
    }
    world.put_all(values, 30s);
  };
  write(1);
  world.fabric().run_for(1min);
  write(2);
  world.get_all(values, 1min);
  const auto older = std::ranges::count(values, true, &MeasuredValue::first_was_older);
  const double first = 100 - 100 * static_cast<double>(older) / static_cast<double>(values.size());
  report.add("newest_percent", found_percent(values));
  report.add("newest_first_percent", first);
  judge(report, "newest_percent", take_first ? first : found_percent(values), 99, true);
}

// Express queries that hostile nodes answer falsely, or not at all; all else they do as others. The
// control is an asker who believes the first answer.
void express(const Attack& attack, LatencyModel model, ScenarioReport& report, bool believe) {
  DhtWorldConfig config = attack.settings.world;
  config.ask = Ask::record;
  config.hostile = {static_cast<std::uint64_t>(attack.percent), 100};
  config.hostility = config.hostility == Hostility::silent ? Hostility::withholding_express
                                                           : Hostility::forging_express;
  DhtWorld world(config, std::move(model));
  world.make_full();
  world.warm_up(2, 1min);
  const auto lookups = world.measure(static_cast<std::size_t>(attack.settings.lookups), 1min);
  const LookupFigures figures = figures_of(lookups, config.dht.lookup_deadline);
  const auto misled = std::ranges::count(lookups, true, &MeasuredLookup::first_express_false);
  const double believing = figures.success_percent -
                           100 * static_cast<double>(misled) / static_cast<double>(lookups.size());
  report.add("success_percent", figures.success_percent);
  report.add("first_answer_percent", believing);
  report.add("express_percent", figures.express_percent);
  report.add("p50_ms", figures.p50_ms);
  report.add("p95_ms", figures.p95_ms);
  judge(report, "success", believe ? believing : figures.success_percent, 99.9, true);
}

// TD10: hostile nodes that stand in every city, and so look near to everybody.
void near_ones(const Attack& attack, LatencyModel model, ScenarioReport& report, bool control) {
  DhtWorldConfig config = attack.settings.world;
  config.hostile = {static_cast<std::uint64_t>(attack.percent), 100};
  config.hostility = Hostility::none;
  config.hostile_everywhere = !control;
  DhtWorld world(config, std::move(model));
  world.make_full();
  world.warm_up(4, 2min);
  const DhtWorld::Captured captured = world.captured();
  report.add("captured_percent", captured.contacts);
  report.add("near_half_percent", captured.near_half);
  report.add("random_half_percent", captured.random_half);
  judge(report, "captured_percent", captured.contacts, 2.0 * static_cast<double>(attack.percent),
        false);
}

std::optional<Hostility> hostility_of(std::string_view name) {
  if (name == "silent") return Hostility::silent;
  if (name == "lying") return Hostility::lying;
  if (name == "forging") return Hostility::forging;
  return std::nullopt;
}

}  // namespace

ScenarioResult<ScenarioReport> run_dht_attack(const Scenario& scenario, const PeerRun& run) {
  if (auto known = scenario.settings.only({"attack", "hostility", "hostile", "control", "values",
                                           "nodes", "ask", "lookups", "warm_up", "met_per_bucket",
                                           "loss_percent", "latencies"});
      !known) {
    return std::unexpected(known.error());
  }
  Attack attack;
  auto settings = dht_settings_of(scenario, run);
  if (!settings) return std::unexpected(settings.error());
  attack.settings = std::move(*settings);
  const auto name = scenario.settings.text("attack", "sybils");
  if (!name) return std::unexpected(name.error());
  const auto kind = scenario.settings.text("hostility", "lying");
  if (!kind) return std::unexpected(kind.error());
  const auto hostility = hostility_of(*kind);
  if (!hostility) return std::unexpected(wrong_setting(scenario, "hostility", "is unknown"));
  attack.settings.world.hostility = *hostility;
  const auto control = scenario.settings.flag("control", false);
  if (!control) return std::unexpected(control.error());
  const auto hostile = bounded_setting(scenario, run, "hostile", 20, 0, 1000);
  if (!hostile) return std::unexpected(hostile.error());
  if (*name != "ground" && *hostile > 90) {
    return std::unexpected(wrong_setting(scenario, "hostile", "is over 90 %"));
  }
  attack.percent = *hostile;
  const auto values = bounded_setting(scenario, run, "values", 200, 1, 100'000);
  if (!values) return std::unexpected(values.error());
  attack.values = static_cast<std::size_t>(*values);
  auto model = latencies_of(scenario, attack.settings);
  if (!model) return std::unexpected(model.error());
  if (run.bounds != nullptr) return ScenarioReport();

  ScenarioReport report;
  report.add("attack", *name);
  report.add("hostile", *hostile);
  if (*name == "ground") {
    ground(attack, std::move(*model), run, report, *control);
  } else if (*name == "sybils") {
    sybils(attack, std::move(*model), run, report, *control);
  } else if (*name == "poison") {
    poison(attack, std::move(*model), report, *control);
  } else if (*name == "restart") {
    restart(attack, std::move(*model), report, *control);
  } else if (*name == "old") {
    old_values(attack, std::move(*model), run, report, *control);
  } else if (*name == "express") {
    express(attack, std::move(*model), report, *control);
  } else if (*name == "near") {
    near_ones(attack, std::move(*model), report, *control);
  } else {
    return std::unexpected(wrong_setting(scenario, "attack", "there is no '" + *name + "'"));
  }
  if (!report.ok) report.message += "; replay: " + run.replay;
  return report;
}

}  // namespace quicmesh::sim
