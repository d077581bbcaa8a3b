// `quicmesh bench list` and `quicmesh bench NAME`: the benchmarks of bench_registry.hpp.
#include <filesystem>

#include <fmt/format.h>

#include "bench_registry.hpp"
#include "invocation.hpp"

namespace quicmesh::cli {
namespace {

struct BenchFlags {
  std::string name;
  double seconds = 5;
  std::uint64_t connections = 0;  // 0 for the benchmark's own number
  std::vector<std::string> values;
};

int list_benches(Output& output) {
  for (const Bench& bench : benches())
    output.event({{"event", "bench"}, {"name", bench.name}, {"description", bench.description}});
  return exit_done;
}

Outcome<BenchOptions> options_of(const BenchFlags& flags) {
  BenchOptions options{.seconds = flags.seconds};
  std::error_code error;
  options.binary_folder =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path().string();
  for (const std::string& value : flags.values) {
    const std::size_t equals = value.find('=');
    if (equals == std::string::npos || equals == 0)
      return std::unexpected(usage_failure("--set " + value + ": is no key=value"));
    options.values[value.substr(0, equals)] = value.substr(equals + 1);
  }
  if (flags.connections > 0) options.values["connections"] = std::to_string(flags.connections);
  return options;
}

int run_bench(Output& output, const BenchFlags& flags) {
  if (flags.name == "list") return list_benches(output);
  for (const Bench& bench : benches()) {
    if (bench.name != flags.name) continue;
    const auto options = options_of(flags);
    if (!options) {
      output.fail(options.error());
      return options.error().exit_code;
    }
    const BenchReport report = bench.run(*options);
    output.event(report.figures);
    return report.exit_code;
  }
  output.fail(usage_failure(fmt::format("there is no benchmark \"{}\"", flags.name),
                            "`quicmesh bench list` names them"));
  return exit_usage;
}

}  // namespace

void add_bench_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("bench", "measure; `bench list` says what");
  auto flags = std::make_shared<BenchFlags>();
  command.add_option("NAME", flags->name, "a benchmark, or `list`")->required();
  command.add_option("--seconds", flags->seconds, "how long to measure (5)")
      ->check(number_between(0.1, 3600));
  command
      .add_option("--connections", flags->connections,
                  "how many are held, where the benchmark has a number of them")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000}));
  command.add_option("--set", flags->values, "key=value, for this benchmark")
      ->allow_extra_args(false);
  add_example(command, "quicmesh bench list");
  command.callback([&invocation, flags] {
    invocation.run = [flags](const Settings&, Output& output) { return run_bench(output, *flags); };
  });
}

}  // namespace quicmesh::cli
