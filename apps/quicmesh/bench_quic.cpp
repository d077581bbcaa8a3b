// `quicmesh bench quic`: one stream in bulk, from the first byte written to the last one
// acknowledged, beside bare ngtcp2+GnuTLS with the same loop of system calls (goal P1: 0.9 of it)
// and beside UDP without any protocol.
//
//   --set bytes=N   of each run (512 MiB)      --set runs=N (5)
//   --set gso=off   the negative control: no segmentation offload on either side, bare pair
//                   included; the figure must fall several times
//   --set cc=cubic
#include "async.hpp"
#include "bench_peer.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t bytes_default = 512u << 20;
constexpr std::uint64_t bytes_max = 64ull << 30;
constexpr std::size_t write_bytes = 64u << 10;
constexpr double ratio_wanted = 0.9;

asio::awaitable<Measured<boost::json::object>> send_bulk(const BenchClient& client) {
  auto starting = start_bench_node(client.values, client.runtime);
  const auto node = co_await std::move(starting);
  if (!node) co_return std::unexpected(describe(node.error()));
  auto connecting = (*node)->connect(client.peers.front(), std::string(sink_protocol));
  auto connection = co_await std::move(connecting);
  if (!connection) co_return std::unexpected(describe(connection.error()));
  auto opening = connection->open_stream();
  auto stream = co_await std::move(opening);
  if (!stream) co_return std::unexpected(describe(stream.error()));

  const std::uint64_t bytes = client.values.count("bytes", bytes_default, bytes_max);
  const Bytes block(write_bytes, 0x5a);
  const double cpu = process_cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  for (std::uint64_t sent = 0; sent < bytes; sent += block.size()) {
    auto writing = stream->write(ByteView(block));
    const auto written = co_await std::move(writing);
    if (!written) co_return std::unexpected(describe(written.error()));
  }
  auto finishing = stream->finish();
  (void)co_await std::move(finishing);
  auto flushing = stream->flushed();
  const auto flushed = co_await std::move(flushing);
  const double seconds = seconds_since(start);
  if (!flushed) co_return std::unexpected(describe(flushed.error()));

  boost::json::object report;
  const double gigabits = static_cast<double>(bytes) * 8e-9;
  const double cpu_seconds = process_cpu_seconds() - cpu;
  report["gbit_s"] = gigabits / seconds;
  report["gbit_per_cpu_s"] = gigabits / cpu_seconds;
  auto asking = (*node)->status();
  const auto status = co_await std::move(asking);
  if (status && status->send_calls > 0) {
    const auto calls = static_cast<double>(status->send_calls);
    report["datagrams_per_call"] = static_cast<double>(status->datagrams_sent) / calls;
  }
  co_return report;
}

BenchReport measure(const BenchOptions& options, const BenchValues& values) {
  const std::uint64_t bytes = values.count("bytes", bytes_default, bytes_max);
  const bool offload = values.flag("gso");
  const std::vector<std::string> ends = {"bytes=" + std::to_string(bytes),
                                         "gso=" + values.text("gso", "on"),
                                         "cc=" + values.text("cc", "bbr")};
  Figure ours;
  Figure per_cpu;
  Figure receiver_cpu;
  Figure train;
  Figure bare;
  Figure raw;
  for (std::uint64_t run = 0; run < values.count("runs", bench_runs, bench_runs_max); ++run) {
    const auto report = run_pair(options, "quic", ends);
    if (!report) return failed_report(report.error());
    ours.add(figure_in(*report, "gbit_s"));
    per_cpu.add(figure_in(*report, "gbit_per_cpu_s"));
    receiver_cpu.add(figure_in(*report, "cpu_s", "server"));
    train.add(figure_in(*report, "datagrams_per_call"));
    const auto size = std::to_string(bytes);
    const auto yardstick =
        offload ? run_yardstick(options, "bare_quic", {"pair", "bulk", "--bytes", size})
                : run_yardstick(options, "bare_quic",
                                {"pair", "bulk", "--bytes", size, "--no-gso", "--no-gro"});
    if (!yardstick) return failed_report(yardstick.error());
    bare.add(figure_in(*yardstick, "gbit_s", "client"));
    const auto limit = run_yardstick(options, "raw_udp", {"bulk", "--seconds", "1"});
    if (!limit) return failed_report(limit.error());
    raw.add(figure_in(*limit, "gbit_s", "receiver"));
  }
  boost::json::object figures;
  ours.put(figures, "gbit_s");
  bare.put(figures, "bare_gbit_s");
  raw.put(figures, "raw_udp_gbit_s");
  figures["ratio"] = rounded(ours.median() / bare.median());
  figures["bar"] = ratio_wanted;
  figures["gbit_per_cpu_s"] = rounded(per_cpu.median());
  figures["receiver_cpu_s"] = rounded(receiver_cpu.median());
  figures["datagrams_per_call"] = rounded(train.median());
  figures["bytes"] = bytes;
  figures["gso"] = offload;
  return finished_report(std::move(figures), ours.median() >= ratio_wanted * bare.median());
}

}  // namespace

BenchReport bench_quic(const BenchOptions& options) {
  if (const auto end = run_end(options, send_bulk)) return *end;
  const auto values = BenchValues::read(options, {"bytes", "runs", "gso", "cc"});
  if (!values) return failed_report(values.error(), 2);
  return measure(options, *values);
}

}  // namespace quicmesh::cli
