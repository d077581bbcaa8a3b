// `quicmesh sim`: runs scenarios in virtual time. One seed gives one report; without --seed every
// variant runs over the seeds of its file, and medians are judged.
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <map>

#include <fmt/format.h>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value_from.hpp>

#include "invocation.hpp"
#include "sim/scenario_catalog.hpp"
#include "sim/scenario_parameters.hpp"
#include "sim/scenario_runner.hpp"

namespace quicmesh::cli {
namespace {

namespace json = boost::json;

struct SimFlags {
  std::string name;
  std::optional<std::uint64_t> seed;
  std::size_t seeds = 1000;
  std::optional<std::uint64_t> nodes;
  std::vector<std::string> sets;
  std::vector<std::string> compare;
  std::vector<std::string> more;  // the scenario behind `replay`
  bool help = false;
};

json::value to_json(const sim::Figure& figure) {
  return std::visit([](const auto& value) { return json::value(value); }, figure);
}

json::object to_json(const sim::ScenarioReport& report) {
  json::object object;
  for (const auto& [name, value] : report.figures)
    object[name] = to_json(value);
  object["ok"] = report.ok;
  if (!report.message.empty()) object["message"] = report.message;
  return object;
}

// A report on one line for people, in the order in which the program gave its figures.
std::string line_of(const json::object& report) {
  std::string line = report.at("ok").as_bool() ? "ok    " : "FAILED";
  for (const auto& [key, value] : report) {
    if (key == "ok" || key == "message") continue;
    const std::string name(key);
    line += value.is_double() ? fmt::format("  {}={:.1f}", name, value.as_double())
                              : fmt::format("  {}={}", name,
                                            value.is_string() ? std::string(value.as_string())
                                                              : json::serialize(value));
  }
  if (const auto* message = report.if_contains("message")) {
    line += fmt::format("\n        {}", std::string(message->as_string()));
  }
  return line;
}

void print(Output& output, const json::object& report) {
  if (output.json()) {
    output.event(report);
  } else {
    output.line(line_of(report));
  }
}

int fail(Output& output, const sim::ScenarioError& error) {
  output.fail(usage_failure(error.message,
                            "`quicmesh sim list` names the scenarios, and `quicmesh "
                            "sim SCENARIO --help` what may be set"));
  return exit_usage;
}

int list_scenarios(Output& output) {
  for (const sim::EmbeddedScenario& scenario : sim::embedded_scenarios()) {
    const auto parsed = sim::parse_scenario(scenario.text, scenario.name);
    if (!parsed) return fail(output, parsed.error());
    if (output.json()) {
      output.event(
          {{"scenario", scenario.name}, {"title", parsed->title}, {"claim", parsed->claim}});
    } else {
      output.line(
          fmt::format("{:<16} {}\n{:16} {}", scenario.name, parsed->title, "", parsed->claim));
    }
  }
  return exit_done;
}

/// "5 (from 0 to 100)", "full (or no-express, plain)".
std::string default_of(const sim::ScenarioParameter& parameter) {
  std::string text = parameter.fallback.empty() ? "\"\"" : parameter.fallback;
  if (parameter.bounds)
    text += fmt::format("  (from {} to {})", parameter.bounds->first, parameter.bounds->second);
  std::string others;
  for (const std::string& value : parameter.values)
    if (value != parameter.fallback) others += (others.empty() ? "" : ", ") + value;
  if (!others.empty()) text += fmt::format("  (or {})", others);
  return text;
}

int list_parameters(Output& output, const sim::ScenarioRequest& request) {
  const auto parameters = sim::parameters_of(request);
  if (!parameters) return fail(output, parameters.error());
  output.line(fmt::format("What --set NAME=VALUE changes of {}, with the defaults:", request.name));
  for (const sim::ScenarioParameter& one : *parameters) {
    if (output.json()) {
      json::object event{{"parameter", one.name}, {"default", one.fallback}};
      if (one.bounds) event["bounds"] = {one.bounds->first, one.bounds->second};
      if (!one.values.empty()) event["values"] = json::value_from(one.values);
      event["meaning"] = one.meaning;
      output.event(event);
    } else {
      output.line(fmt::format("  {:<18} {}", one.name, default_of(one)));
      if (!one.meaning.empty()) output.line(fmt::format("  {:<18}   {}", "", one.meaning));
    }
  }
  if (parameters->empty()) output.line("  nothing");
  output.line(fmt::format(
      "Example:\n  quicmesh sim {} --seed 1{}", request.name,
      parameters->empty()
          ? ""
          : fmt::format(" --set {}={}", parameters->front().name, parameters->front().fallback)));
  return exit_done;
}

int run_one(Output& output, const sim::ScenarioRequest& request, std::uint64_t seed) {
  const auto report = sim::run_scenario(request, seed);
  if (!report) return fail(output, report.error());
  json::object object{{"scenario", request.name}, {"seed", seed}};
  for (const auto& [key, value] : to_json(*report))
    object[key] = value;
  print(output, object);
  return report->ok ? exit_done : exit_failed;
}

// Runs a seed twice: equal trace hashes show that the run can be repeated at will.
int replay(Output& output, const sim::ScenarioRequest& request, std::uint64_t seed) {
  const auto first = sim::run_scenario(request, seed);
  if (!first) return fail(output, first.error());
  const auto second = sim::run_scenario(request, seed);
  if (!second) return fail(output, second.error());
  json::object object{{"scenario", request.name}, {"seed", seed}};
  for (const auto& [key, value] : to_json(*second))
    object[key] = value;
  const json::object before = to_json(*first);
  const bool same = before.at("trace_hash") == object.at("trace_hash");
  object["replayed"] = same;
  if (!same) {
    object["ok"] = false;
    object["message"] = "two runs of one seed took different courses";
  }
  print(output, object);
  return object.at("ok").as_bool() ? exit_done : exit_failed;
}

int run_all(Output& output, const sim::ScenarioRequest& request, std::size_t seeds) {
  const auto reports = sim::run_suite(request, seeds);
  if (!reports) return fail(output, reports.error());
  bool good = true;
  for (const sim::ScenarioReport& report : *reports) {
    print(output, to_json(report));
    good = good && report.ok;
  }
  return good ? exit_done : exit_failed;
}

// What tells the runs of two files apart: everything in a report that is not a measured number.
using Reports = std::map<std::string, json::object>;

Outcome<Reports> read_reports(const std::string& file) {
  std::ifstream in(file);
  if (!in) return std::unexpected(usage_failure(file + ": cannot be read"));
  Reports reports;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    json::object report;
    if (!parse_object(line, report)) {
      return std::unexpected(usage_failure(fmt::format("{}:{}: no JSON report", file, number)));
    }
    std::string key;
    for (const auto& [name, value] : report) {
      if (!value.is_string() || name == "trace_hash" || name == "message") continue;
      key += fmt::format("{}={} ", std::string(name), std::string(value.as_string()));
    }
    if (report.contains("seed")) key += "seed=" + json::serialize(report.at("seed"));
    reports[key] = report;
  }
  return reports;
}

int compare(Output& output, const std::vector<std::string>& files) {
  const auto before = read_reports(files.at(0));
  const auto after = read_reports(files.at(1));
  for (const auto* side : {&before, &after}) {
    if (*side) continue;
    output.fail(side->error());
    return exit_usage;
  }
  for (const auto& [key, report] : *after) {
    const auto former = before->find(key);
    if (former == before->end()) {
      output.line("only in the second: " + key);
      continue;
    }
    for (const auto& [name, value] : report) {
      const json::value* was = former->second.if_contains(name);
      if (was == nullptr || *was == value || !value.is_number() || !was->is_number()) continue;
      const double a = was->to_number<double>();
      const double b = value.to_number<double>();
      const double change = a != 0 ? (b - a) / a * 100 : 0;
      if (output.json()) {
        output.event({{"run", key}, {"figure", name}, {"before", a}, {"after", b}});
      } else {
        output.line(fmt::format("{}  {}: {:.1f} -> {:.1f} ({:+.1f} %)", key, std::string(name), a,
                                b, change));
      }
    }
  }
  return exit_done;
}

// What the simulator may read of this machine, for the reports of large runs.
sim::Meters meters() {
  return {[] {
            const auto now = std::chrono::steady_clock::now().time_since_epoch();
            return std::chrono::duration<double>(now).count();
          },
          [] {
            // proc(5): size and resident pages.
            std::ifstream file("/proc/self/statm");
            std::uint64_t size = 0;
            std::uint64_t resident = 0;
            file >> size >> resident;
            return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
          }};
}

int run_sim(Output& output, const SimFlags& flags) {
  if (!flags.compare.empty()) return compare(output, flags.compare);
  if (flags.name.empty() || flags.name == "list") return list_scenarios(output);
  sim::ScenarioRequest request{flags.name, {}, meters()};
  if (flags.help) return list_parameters(output, request);
  if (flags.nodes) request.overrides.push_back({"nodes", std::to_string(*flags.nodes)});
  for (const std::string& set : flags.sets) {
    const std::size_t equals = set.find('=');
    if (equals == std::string::npos || equals == 0) {
      output.fail(usage_failure("--set " + set + ": is no key=value"));
      return exit_usage;
    }
    if (flags.nodes && set.substr(0, equals) == "nodes") {
      output.fail(usage_failure("--nodes and --set nodes= say the same thing", "give one of them"));
      return exit_usage;
    }
    request.overrides.push_back({set.substr(0, equals), set.substr(equals + 1)});
  }
  if (flags.name == "replay") {
    if (flags.more.size() != 1) {
      output.fail(usage_failure("replay which scenario?", "quicmesh sim replay NAME --seed N"));
      return exit_usage;
    }
    request.name = flags.more[0];
    return replay(output, request, flags.seed.value_or(1));
  }
  if (flags.seed) return run_one(output, request, *flags.seed);
  return run_all(output, request, flags.seeds);
}

}  // namespace

void add_sim_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("sim", "run a scenario in virtual time");
  auto flags = std::make_shared<SimFlags>();
  command.add_option("SCENARIO", flags->name,
                     "`list`, `replay`, a name, or a path to a .toml file");
  command.add_option("NAME", flags->more, "the scenario to replay");
  command.add_option("--seed", flags->seed, "one run of this seed, instead of all variants");
  command.add_option("--seeds", flags->seeds, "at most so many seeds of each variant")
      ->check(CLI::Range(1, 1'000'000));
  command.add_option("--nodes", flags->nodes, "short for --set nodes=N")
      ->check(CLI::Range(2, 10'000'000));
  command.add_option("--set", flags->sets, "key=value: a parameter of the scenario")
      ->allow_extra_args(false);
  command.add_option("--compare", flags->compare, "two files of JSON reports")->expected(2);
  add_example(command,
              "quicmesh sim path-switch --seed 7 --set sender=acceptor\n"
              "  quicmesh sim path-switch --help    what may be set of it");
  // Of a scenario it tells the parameters.
  command.set_help_flag();
  command.add_flag("-h,--help", flags->help, "of a scenario: what --set may change of it");
  command.callback([&invocation, &command, flags] {
    invocation.run = [&command, flags](const Settings&, Output& output) {
      if (!flags->help ||
          (!flags->name.empty() && flags->name != "list" && flags->name != "replay"))
        return run_sim(output, *flags);
      output.text(command.help());
      return exit_done;
    };
  });
}

}  // namespace quicmesh::cli
