// `quicmesh bench handshake`: connections a second of CPU time of both ends together (dial, both
// ids proved, confirmed, closed), beside the same TLS handshake through memory, with no packet and
// no socket (goal P4: half of it).
//
//   --set runs=N (5)   --set parallel=N (32)
#include "bench_dialling.hpp"

namespace quicmesh::cli {
namespace {

constexpr double ratio_wanted = 0.5;
constexpr std::uint64_t parallel_max = 512;

/// Of both ends; the server's CPU time before the first dial is a few milliseconds, and counted.
Measured<double> per_cpu(const Measured<boost::json::object>& report) {
  if (!report) return std::unexpected(report.error());
  const double cpu = figure_in(*report, "cpu_s") + figure_in(*report, "cpu_s", "server");
  return figure_in(*report, "connects") / cpu;
}

BenchReport measure(BenchOptions options, const BenchValues& values) {
  const std::uint64_t runs = values.count("runs", bench_runs, bench_runs_max);
  const std::string parallel = std::to_string(values.count("parallel", 32, parallel_max));
  options.seconds /= static_cast<double>(runs);
  Figure ours;
  Figure tls;
  Figure bare;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto rate = per_cpu(run_pair(options, "handshake", {"parallel=" + parallel}));
    if (!rate) return failed_report(rate.error());
    ours.add(*rate);
    const auto floor = run_yardstick(options, "tls_handshake", {"--seconds", "1"});
    if (!floor) return failed_report(floor.error());
    tls.add(figure_in(*floor, "handshakes_per_cpu_s"));
    const auto pair = run_yardstick(
        options, "bare_quic", {"pair", "handshakes", "--count", "1000", "--parallel", parallel});
    if (!pair) return failed_report(pair.error());
    const double client = figure_in(*pair, "handshakes_per_cpu_s", "client");
    const double server = figure_in(*pair, "handshakes_per_cpu_s", "server");
    bare.add(1 / (1 / client + 1 / server));
  }
  boost::json::object figures;
  ours.put(figures, "per_cpu_s");
  tls.put(figures, "tls_per_cpu_s");
  bare.put(figures, "bare_per_cpu_s");
  figures["ratio"] = rounded(ours.median() / tls.median());
  figures["bar"] = ratio_wanted;
  return finished_report(std::move(figures), ours.median() >= ratio_wanted * tls.median());
}

}  // namespace

BenchReport bench_handshake(const BenchOptions& options) {
  if (const auto end = run_end(options, dial_repeatedly)) return *end;
  const auto values = BenchValues::read(options, {"runs", "parallel"});
  if (!values) return failed_report(values.error(), 2);
  return measure(options, *values);
}

}  // namespace quicmesh::cli
