// `quicmesh bench connect`: dial, both ids proved, confirmed, closed; one at a time and 32 at once,
// beside bare ngtcp2+GnuTLS. The latency is that of one at a time.
//
//   --set runs=N (5)
#include "bench_dialling.hpp"

namespace quicmesh::cli {
namespace {

constexpr double p50_wanted_ms = 0.8;
constexpr double rate_wanted = 2'500;

Measured<double> bare_rate(const BenchOptions& options, const std::string& parallel) {
  const auto report = run_yardstick(
      options, "bare_quic", {"pair", "handshakes", "--count", "600", "--parallel", parallel});
  if (!report) return std::unexpected(report.error());
  return figure_in(*report, "handshakes_s", "client");
}

BenchReport measure(BenchOptions options, const BenchValues& values) {
  const std::uint64_t runs = values.count("runs", bench_runs, bench_runs_max);
  options.seconds /= 2 * static_cast<double>(runs);
  Figure p50;
  Figure p99;
  Figure rate_1;
  Figure rate_32;
  Figure bare_1;
  Figure bare_32;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto one = run_pair(options, "connect", {"parallel=1"});
    if (!one) return failed_report(one.error());
    p50.add(figure_in(*one, "p50_ms"));
    p99.add(figure_in(*one, "p99_ms"));
    rate_1.add(figure_in(*one, "connects_s"));
    const auto bare_one = bare_rate(options, "1");
    if (!bare_one) return failed_report(bare_one.error());
    bare_1.add(*bare_one);
    const auto many = run_pair(options, "connect", {"parallel=32"});
    if (!many) return failed_report(many.error());
    rate_32.add(figure_in(*many, "connects_s"));
    const auto bare_many = bare_rate(options, "32");
    if (!bare_many) return failed_report(bare_many.error());
    bare_32.add(*bare_many);
  }
  boost::json::object figures;
  p50.put(figures, "p50_ms");
  p99.put(figures, "p99_ms");
  rate_1.put(figures, "connects_s_1");
  rate_32.put(figures, "connects_s_32");
  bare_1.put(figures, "bare_connects_s_1");
  bare_32.put(figures, "bare_connects_s_32");
  figures["ratio"] = rounded(rate_32.median() / bare_32.median());
  figures["bar"] = boost::json::object{{"p50_ms", p50_wanted_ms}, {"connects_s_32", rate_wanted}};
  const bool ok = p50.median() <= p50_wanted_ms && rate_32.median() >= rate_wanted;
  return finished_report(std::move(figures), ok);
}

}  // namespace

BenchReport bench_connect(const BenchOptions& options) {
  if (const auto end = run_end(options, dial_repeatedly)) return *end;
  const auto values = BenchValues::read(options, {"runs"});
  if (!values) return failed_report(values.error(), 2);
  return measure(options, *values);
}

}  // namespace quicmesh::cli
