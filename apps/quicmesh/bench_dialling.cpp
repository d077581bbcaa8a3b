// See bench_dialling.hpp.
#include "bench_dialling.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "async.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t parallel_max = 512;
constexpr int warm_up = 3;  // dials of each node that are not counted

struct Dialling {
  double seconds = 0;
  NodeAddress peer;
  std::vector<std::shared_ptr<Node>> nodes;
  std::size_t running = 0;
  std::chrono::steady_clock::time_point start;
  Figure latencies_ms;
  std::uint64_t connects = 0;
  std::string error;
};

Task<void> dial_once(Node& node, const Dialling& dialling) {
  auto connecting = node.connect(dialling.peer, std::string(echo_protocol));
  auto connection = co_await std::move(connecting);
  if (!connection) co_return failure(connection.error());
  auto closing = connection->close();
  co_return co_await std::move(closing);
}

Task<void> dial_timed(Node& node, Dialling& dialling) {
  const auto begin = std::chrono::steady_clock::now();
  auto connecting = node.connect(dialling.peer, std::string(echo_protocol));
  auto connection = co_await std::move(connecting);
  if (!connection) co_return failure(connection.error());
  dialling.latencies_ms.add(seconds_since(begin) * 1e3);
  ++dialling.connects;
  auto closing = connection->close();
  co_return co_await std::move(closing);
}

asio::awaitable<void> dial_until_over(std::shared_ptr<Node> node, Dialling& dialling,
                                      asio::steady_timer& over) {
  while (seconds_since(dialling.start) < dialling.seconds && dialling.error.empty()) {
    auto dial = dial_timed(*node, dialling);
    const auto done = co_await std::move(dial);
    if (!done) dialling.error = describe(done.error());
  }
  if (--dialling.running == 0) over.cancel();
}

}  // namespace

asio::awaitable<Measured<boost::json::object>> dial_repeatedly(const BenchClient& client) {
  Dialling dialling;
  dialling.seconds = client.seconds;
  dialling.peer = client.peers.front();
  const std::uint64_t parallel = client.values.count("parallel", 1, parallel_max);
  for (std::uint64_t i = 0; i < parallel; ++i) {
    auto starting = start_bench_node(client.values, client.runtime);
    auto node = co_await std::move(starting);
    if (!node) co_return std::unexpected(describe(node.error()));
    for (int j = 0; j < warm_up; ++j) {
      auto dial = dial_once(**node, dialling);
      const auto done = co_await std::move(dial);
      if (!done) co_return std::unexpected(describe(done.error()));
    }
    dialling.nodes.push_back(std::move(*node));
  }
  auto executor = co_await asio::this_coro::executor;
  asio::steady_timer over(executor, asio::steady_timer::time_point::max());
  const double cpu = process_cpu_seconds();
  dialling.start = std::chrono::steady_clock::now();
  dialling.running = parallel;
  for (const auto& node : dialling.nodes) {
    auto work = dial_until_over(node, dialling, over);
    asio::co_spawn(executor, std::move(work), asio::detached);
  }
  constexpr auto token = asio::as_tuple(asio::use_awaitable);
  auto waiting = over.async_wait(token);
  (void)co_await std::move(waiting);  // ends by being cancelled
  if (!dialling.error.empty()) co_return std::unexpected(dialling.error);
  boost::json::object report;
  report["connects"] = dialling.connects;
  report["connects_s"] = static_cast<double>(dialling.connects) / seconds_since(dialling.start);
  report["p50_ms"] = dialling.latencies_ms.median();
  report["p99_ms"] = dialling.latencies_ms.quantile(0.99);
  report["cpu_s"] = process_cpu_seconds() - cpu;
  co_return report;
}

}  // namespace quicmesh::cli
