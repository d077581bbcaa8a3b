// `quicmesh bench memory`: resident memory of an idle connection at each end, with many held
// between two processes, and what that does to the latency of a busy one (goal P5: 48 KiB, and a
// p99 of less than twice that with one connection).
//
// Two peers have one connection, so both processes hold as many nodes as the square root of the
// connections, each of the one connected to each of the other. What a node itself takes is in the
// starting figure and not counted.
//
//   --connections N (10000)   --set runs=N (1): a run of 10,000 takes about half a minute
#include <cmath>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "async.hpp"
#include "bench_peer.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t connections_default = 10'000;
constexpr std::uint64_t connections_max = 100'000;
constexpr std::size_t diallers_max = 16;  // at once
constexpr std::size_t echo_bytes = 64;
constexpr int echoes = 4'000;
constexpr Duration settling = 2s;
constexpr Duration holding_limit = 300s;
constexpr double kib_wanted = 48;
constexpr double p99_growth_wanted = 2;

std::uint64_t nodes_for(std::uint64_t connections) {
  return static_cast<std::uint64_t>(std::ceil(std::sqrt(static_cast<double>(connections))));
}

struct Holding {
  std::vector<std::shared_ptr<Node>> nodes;
  std::vector<NodeAddress> peers;
  std::uint64_t wanted = 0;
  std::uint64_t next = 0;  // connection to dial
  std::size_t running = 0;
  std::vector<Connection> connections;
  std::string error;
};

asio::awaitable<void> dial_next(Holding& holding, asio::steady_timer& over) {
  while (holding.next < holding.wanted && holding.error.empty()) {
    const std::uint64_t number = holding.next++;
    Node& node = *holding.nodes[number % holding.nodes.size()];
    const NodeAddress& peer = holding.peers[number / holding.nodes.size()];
    auto dialling = node.connect(peer, std::string(echo_protocol));
    auto connection = co_await std::move(dialling);
    if (!connection) {
      holding.error = describe(connection.error());
    } else {
      holding.connections.push_back(std::move(*connection));
    }
  }
  if (--holding.running == 0) over.cancel();
}

/// Dials up to `wanted` connections, and waits until all of them stand.
asio::awaitable<void> hold(Holding& holding, std::uint64_t wanted) {
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer over(executor, asio::steady_timer::time_point::max());
  holding.wanted = wanted;
  holding.running = diallers_max;
  for (std::size_t i = 0; i < diallers_max; ++i) {
    auto work = dial_next(holding, over);
    asio::co_spawn(executor, std::move(work), asio::detached);
  }
  constexpr auto token = asio::as_tuple(asio::use_awaitable);
  auto waiting = over.async_wait(token);
  (void)co_await std::move(waiting);  // ends by being cancelled
}

/// The p99 of echoes on the first connection, in microseconds.
Task<double> busy_p99(Connection& connection) {
  auto opening = connection.open_stream();
  auto stream = co_await std::move(opening);
  if (!stream) co_return failure(stream.error());
  const Bytes message(echo_bytes, 0x5a);
  Figure latencies;
  for (int i = 0; i < echoes; ++i) {
    const auto sent = std::chrono::steady_clock::now();
    auto writing = stream->write(ByteView(message));
    const auto written = co_await std::move(writing);
    if (!written) co_return failure(written.error());
    auto reading = stream->read_exactly(echo_bytes);
    const auto answer = co_await std::move(reading);
    if (!answer) co_return failure(answer.error());
    latencies.add(seconds_since(sent) * 1e6);
  }
  co_return latencies.quantile(0.99);
}

/// Prints one line for each of the two states; the command asks the server for its memory then.
asio::awaitable<Measured<boost::json::object>> hold_connections(const BenchClient& client) {
  Holding holding;
  holding.peers = client.peers;
  const std::uint64_t wanted =
      client.values.count("connections", connections_default, connections_max);
  for (std::uint64_t i = 0; i < nodes_for(wanted); ++i) {
    auto starting = start_bench_node(client.values, client.runtime);
    auto node = co_await std::move(starting);
    if (!node) co_return std::unexpected(describe(node.error()));
    holding.nodes.push_back(std::move(*node));
  }
  boost::json::object report;
  for (const std::uint64_t target : {std::uint64_t{1}, wanted}) {
    auto holding_more = hold(holding, target);
    co_await std::move(holding_more);
    if (!holding.error.empty()) co_return std::unexpected(holding.error);
    auto pause = pause_for(settling);
    co_await std::move(pause);
    auto echoing = busy_p99(holding.connections.front());
    const auto p99 = co_await std::move(echoing);
    if (!p99) co_return std::unexpected(describe(p99.error()));
    const bool first = target == 1;
    report[first ? "p99_us_one" : "p99_us_all"] = *p99;
    report[first ? "resident_kib_one" : "resident_kib_all"] = resident_kib();
    if (first) print_line(report);
  }
  // Holds them until the command has asked the server.
  print_line(report);
  auto lingering = pause_for(holding_limit);
  co_await std::move(lingering);
  co_return report;
}

struct MemoryRun {
  double client_kib = 0;
  double server_kib = 0;
  double p99_one = 0;
  double p99_all = 0;
};

Measured<MemoryRun> run_once(const BenchOptions& options, std::uint64_t connections) {
  const auto pair = start_pair(options, "memory",
                               {"connections=" + std::to_string(connections),
                                "nodes=" + std::to_string(nodes_for(connections))});
  if (!pair) return std::unexpected(pair.error());
  const auto first = pair->client->next(holding_limit);
  if (!first) return std::unexpected(first.error());
  const auto server_first = pair->server->ask("figures", 10s);
  if (!server_first) return std::unexpected(server_first.error());
  const auto last = pair->client->next(holding_limit);
  if (!last) return std::unexpected(last.error());
  const auto server_last = pair->server->ask("figures", 10s);
  if (!server_last) return std::unexpected(server_last.error());
  const auto more = static_cast<double>(connections - 1);
  MemoryRun run;
  run.client_kib =
      (figure_in(*last, "resident_kib_all") - figure_in(*first, "resident_kib_one")) / more;
  run.server_kib =
      (figure_in(*server_last, "resident_kib") - figure_in(*server_first, "resident_kib")) / more;
  run.p99_one = figure_in(*first, "p99_us_one");
  run.p99_all = figure_in(*last, "p99_us_all");
  return run;
}

BenchReport measure(const BenchOptions& options, const BenchValues& values) {
  const std::uint64_t connections =
      std::max<std::uint64_t>(2, values.count("connections", connections_default, connections_max));
  Figure client;
  Figure server;
  Figure bare;
  Figure one;
  Figure all;
  for (std::uint64_t i = 0; i < values.count("runs", 1, bench_runs_max); ++i) {
    const auto run = run_once(options, connections);
    if (!run) return failed_report(run.error());
    client.add(run->client_kib);
    server.add(run->server_kib);
    one.add(run->p99_one);
    all.add(run->p99_all);
    const auto yardstick =
        run_yardstick(options, "bare_quic", {"pair", "idle", "--connections", "2000"});
    if (!yardstick) return failed_report(yardstick.error());
    bare.add(figure_in(*yardstick, "rss_kib_per_connection", "client"));
  }
  const double kib = std::max(client.median(), server.median());
  boost::json::object figures;
  figures["connections"] = connections;
  figures["kib_per_connection"] = rounded(kib);
  client.put(figures, "dialler_kib");
  server.put(figures, "acceptor_kib");
  bare.put(figures, "bare_kib");
  figures["ratio"] = rounded(kib / bare.median());
  one.put(figures, "echo_p99_us_one");
  all.put(figures, "echo_p99_us_all");
  figures["bar"] = boost::json::object{{"kib_per_connection", kib_wanted},
                                       {"echo_p99_growth", p99_growth_wanted}};
  const bool ok = kib <= kib_wanted && all.median() < p99_growth_wanted * one.median();
  return finished_report(std::move(figures), ok);
}

}  // namespace

BenchReport bench_memory(const BenchOptions& options) {
  if (const auto end = run_end(options, hold_connections)) return *end;
  const auto values = BenchValues::read(options, {"connections", "runs"});
  if (!values) return failed_report(values.error(), 2);
  return measure(options, *values);
}

}  // namespace quicmesh::cli
