// `quicmesh bench rpc`: 64-byte messages there and back on one bidirectional stream, one at a time
// (latency) and 64 outstanding (rate), beside a UDP echo and beside bare ngtcp2+GnuTLS.
//
//   --set runs=N (5)      --set gso=off
//   --set outstanding=N   (64) of the second part; 1 there is the negative control
#include "async.hpp"

#include "bench_peer.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t message_bytes = 64;
constexpr std::uint64_t outstanding_default = 64;
constexpr std::uint64_t outstanding_max = 4096;
constexpr int warm_up = 200;
constexpr double echo_wanted_us = 93;
constexpr double rate_wanted = 306'000;

/// Message by message: each is written when the answer to the one before has been read whole.
Task<Figure> echo_singly(Stream& stream, double seconds) {
  const Bytes message(message_bytes, 0x5a);
  Figure latencies;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < warm_up || seconds_since(start) < seconds; ++i) {
    const auto sent = std::chrono::steady_clock::now();
    auto writing = stream.write(ByteView(message));
    const auto written = co_await std::move(writing);
    if (!written) co_return failure(written.error());
    auto reading = stream.read_exactly(message_bytes);
    const auto answer = co_await std::move(reading);
    if (!answer) co_return failure(answer.error());
    if (i >= warm_up) latencies.add(seconds_since(sent) * 1e6);
  }
  co_return latencies;
}

/// Always `outstanding` messages under way; each answer read lets one more go, in a write of its
/// own. The result is answers in a second.
Task<double> echo_many(Stream& stream, std::uint64_t outstanding, double seconds) {
  const Bytes message(message_bytes, 0x5a);
  std::uint64_t to_send = outstanding;
  std::uint64_t answers = 0;
  std::size_t bytes = 0;
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) < seconds) {
    for (; to_send > 0; --to_send) {
      auto writing = stream.write(ByteView(message));
      const auto written = co_await std::move(writing);
      if (!written) co_return failure(written.error());
    }
    auto reading = stream.read();
    const auto chunk = co_await std::move(reading);
    if (!chunk) co_return failure(chunk.error());
    bytes += chunk->size();
    to_send = bytes / message_bytes - answers;
    answers += to_send;
  }
  co_return static_cast<double>(answers) / seconds_since(start);
}

asio::awaitable<Measured<boost::json::object>> call(const BenchClient& client) {
  auto starting = start_bench_node(client.values, client.runtime);
  const auto node = co_await std::move(starting);
  if (!node) co_return std::unexpected(describe(node.error()));
  auto connecting = (*node)->connect(client.peers.front(), std::string(echo_protocol));
  auto connection = co_await std::move(connecting);
  if (!connection) co_return std::unexpected(describe(connection.error()));
  auto opening = connection->open_stream();
  auto stream = co_await std::move(opening);
  if (!stream) co_return std::unexpected(describe(stream.error()));
  auto first = echo_singly(*stream, client.seconds / 2);
  const auto latencies = co_await std::move(first);
  if (!latencies) co_return std::unexpected(describe(latencies.error()));
  const std::uint64_t outstanding =
      client.values.count("outstanding", outstanding_default, outstanding_max);
  auto second = echo_many(*stream, outstanding, client.seconds / 2);
  const auto rate = co_await std::move(second);
  if (!rate) co_return std::unexpected(describe(rate.error()));
  boost::json::object report;
  report["p50_us"] = latencies->median();
  report["p99_us"] = latencies->quantile(0.99);
  report["echoes_s"] = *rate;
  co_return report;
}

struct RpcFigures {
  Figure p50;
  Figure p99;
  Figure rate;
};

BenchReport measure(BenchOptions options, const BenchValues& values) {
  const std::uint64_t runs = values.count("runs", bench_runs, bench_runs_max);
  const std::string outstanding =
      std::to_string(values.count("outstanding", outstanding_default, outstanding_max));
  const std::vector<std::string> ends = {"outstanding=" + outstanding,
                                         "gso=" + values.text("gso", "on")};
  options.seconds /= static_cast<double>(runs);
  RpcFigures ours;
  RpcFigures udp;
  RpcFigures bare;
  for (std::uint64_t run = 0; run < runs; ++run) {
    const auto report = run_pair(options, "rpc", ends);
    if (!report) return failed_report(report.error());
    ours.p50.add(figure_in(*report, "p50_us"));
    ours.p99.add(figure_in(*report, "p99_us"));
    ours.rate.add(figure_in(*report, "echoes_s"));
    const auto raw = run_yardstick(options, "raw_udp", {"echo", "--count", "5000"});
    if (!raw) return failed_report(raw.error());
    udp.p50.add(figure_in(*raw, "p50_us"));
    udp.p99.add(figure_in(*raw, "p99_us"));
    const auto one = run_yardstick(options, "bare_quic", {"pair", "echo", "--count", "5000"});
    if (!one) return failed_report(one.error());
    bare.p50.add(figure_in(*one, "p50_us", "client"));
    const auto many = run_yardstick(
        options, "bare_quic", {"pair", "echo", "--count", "100000", "--outstanding", outstanding});
    if (!many) return failed_report(many.error());
    bare.rate.add(figure_in(*many, "echoes_s", "client"));
  }
  boost::json::object figures;
  ours.p50.put(figures, "echo_p50_us");
  ours.p99.put(figures, "echo_p99_us");
  ours.rate.put(figures, "echoes_s_64");
  udp.p50.put(figures, "udp_echo_p50_us");
  udp.p99.put(figures, "udp_echo_p99_us");
  bare.p50.put(figures, "bare_echo_p50_us");
  bare.rate.put(figures, "bare_echoes_s_64");
  figures["ratio"] = rounded(ours.p50.median() / udp.p50.median());
  figures["rate_ratio"] = rounded(ours.rate.median() / bare.rate.median());
  figures["bar"] =
      boost::json::object{{"echo_p50_us", echo_wanted_us}, {"echoes_s_64", rate_wanted}};
  const bool ok = ours.p50.median() <= echo_wanted_us && ours.rate.median() >= rate_wanted;
  return finished_report(std::move(figures), ok);
}

}  // namespace

BenchReport bench_rpc(const BenchOptions& options) {
  if (const auto end = run_end(options, call)) return *end;
  const auto values = BenchValues::read(options, {"runs", "outstanding", "gso"});
  if (!values) return failed_report(values.error(), 2);
  return measure(options, *values);
}

}  // namespace quicmesh::cli
