// See bench_peer.hpp.
#include "bench_peer.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/array.hpp>

#include "async.hpp"
#include "output.hpp"

namespace quicmesh::cli {
namespace {

constexpr Duration start_limit = 20s;
constexpr Duration run_limit = 120s;
constexpr std::uint64_t nodes_max = 1'000;

asio::awaitable<void> swallow(Stream stream) {
  for (;;) {
    auto reading = stream.read();
    const auto chunk = co_await std::move(reading);
    if (!chunk) co_return;
    if (chunk->empty()) break;
  }
  auto finishing = stream.finish();
  (void)co_await std::move(finishing);  // a peer that has gone needs no end
}

/// Answers until its stdin ends; the nodes live as long.
asio::awaitable<void> serve(BenchClient server, std::uint64_t count, std::string& error) {
  std::vector<std::shared_ptr<Node>> nodes;
  boost::json::array addresses;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto starting = start_bench_node(server.values, server.runtime);
    const auto node = co_await std::move(starting);
    if (!node) {
      error = describe(node.error());
      co_return;
    }
    (void)(*node)->handle(std::string(sink_protocol), swallow);  // a new node handles nothing yet
    (void)(*node)->handle(std::string(echo_protocol), echo_streams);
    addresses.emplace_back((*node)->node_address());
    nodes.push_back(*node);
  }
  boost::json::object ready;
  ready["event"] = "serving";
  ready["addresses"] = std::move(addresses);
  print_line(ready);
  auto executor = co_await asio::this_coro::executor;
  asio::posix::stream_descriptor input(executor, ::dup(STDIN_FILENO));
  std::array<char, 64> buffer;
  for (;;) {
    constexpr auto token = asio::as_tuple(asio::use_awaitable);
    const auto space = asio::buffer(buffer);
    auto reading = input.async_read_some(space, token);
    const auto [code, size] = co_await std::move(reading);
    if (code) co_return;
    print_line(own_figures());
  }
}

asio::awaitable<void> run_body(ClientBody body, const BenchClient& client,
                               Measured<boost::json::object>& result) {
  auto running = body(client);
  result = co_await std::move(running);
}

BenchReport run_server(BenchClient server) {
  asio::io_context context(1);
  std::string error;
  const std::uint64_t nodes = server.values.count("nodes", 1, nodes_max);
  asio::co_spawn(context, serve(std::move(server), nodes, error), asio::detached);
  context.run();
  return error.empty() ? BenchReport{own_figures(), 0} : failed_report(error);
}

BenchReport run_client(BenchClient client, ClientBody body) {
  std::string list = client.values.text("to", "");
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(' '), list.size());
    const auto address = NodeAddress::parse(list.substr(0, end));
    if (!address) return failed_report("--set to: " + describe(address.error()), 2);
    client.peers.push_back(*address);
    list.erase(0, std::min(end + 1, list.size()));
  }
  if (client.peers.empty()) return failed_report("the client needs --set to=ADDRESS", 2);
  asio::io_context context(1);
  Measured<boost::json::object> result = std::unexpected("the client did not finish");
  asio::co_spawn(context, run_body(body, client, result), asio::detached);
  context.run();
  if (!result) return failed_report(result.error());
  return {std::move(*result), 0};
}

}  // namespace

asio::awaitable<void> echo_streams(Stream stream) {
  for (;;) {
    auto reading = stream.read();
    auto chunk = co_await std::move(reading);
    if (!chunk) co_return;
    if (chunk->empty()) break;
    auto writing = stream.write(std::move(*chunk));
    const auto written = co_await std::move(writing);
    if (!written) co_return;
  }
  auto finishing = stream.finish();
  (void)co_await std::move(finishing);
}

void print_line(const boost::json::object& object) {
  std::printf("%s\n", to_text(object).c_str());
  std::fflush(stdout);
}

boost::json::object own_figures() {
  return {{"cpu_s", process_cpu_seconds()}, {"resident_kib", resident_kib()}};
}

Task<std::shared_ptr<Node>> start_bench_node(const BenchValues& values,
                                             std::shared_ptr<Runtime> runtime) {
  Config config;
  config.listen.push_back({IpAddress::loopback(IpFamily::v4), 0});
  config.runtime = std::move(runtime);
  config.segmentation_offload = values.flag("gso");
  if (values.text("cc", "bbr") == "cubic") config.congestion = Congestion::cubic;
  auto executor = co_await asio::this_coro::executor;
  auto starting = Node::start(executor, std::move(config));
  co_return co_await std::move(starting);
}

std::optional<BenchReport> run_end(const BenchOptions& options, ClientBody body) {
  const auto role = options.values.find("role");
  if (role == options.values.end()) return std::nullopt;
  BenchClient end{BenchValues(options), options.seconds, nullptr, {}};
  const bool server = role->second == "server";
  if (const auto pinned = pin_to_cpu(server ? server_cpu : client_cpu); !pinned) {
    return failed_report(pinned.error());
  }
  auto runtime = Runtime::start();
  if (!runtime) return failed_report(describe(runtime.error()));
  end.runtime = std::move(*runtime);
  return server ? run_server(std::move(end)) : run_client(std::move(end), body);
}

Measured<BenchPair> start_pair(const BenchOptions& options, const std::string& bench,
                               const std::vector<std::string>& values) {
  BenchPair pair;
  auto server = start_end(options, bench, "server", values);
  if (!server) return std::unexpected(server.error());
  pair.server = std::move(*server);
  const auto ready = pair.server->next(start_limit);
  if (!ready) return std::unexpected(ready.error());
  std::string to = "to=";
  for (const auto& address : ready->at("addresses").as_array()) {
    if (to.size() > 3) to += ' ';
    to += std::string_view(address.as_string());
  }
  std::vector<std::string> client_values = values;
  client_values.push_back(std::move(to));
  auto client = start_end(options, bench, "client", client_values);
  if (!client) return std::unexpected(client.error());
  pair.client = std::move(*client);
  return pair;
}

Measured<boost::json::object> run_pair(const BenchOptions& options, const std::string& bench,
                                       const std::vector<std::string>& values) {
  auto pair = start_pair(options, bench, values);
  if (!pair) return std::unexpected(pair.error());
  auto report = pair->client->next(run_limit);
  if (!report) return report;
  auto server = pair->server->ask("figures", start_limit);
  if (!server) return server;
  (*report)["server"] = std::move(*server);
  return report;
}

}  // namespace quicmesh::cli
