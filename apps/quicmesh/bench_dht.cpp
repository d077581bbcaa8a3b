// `quicmesh bench dht`: a DHT of real nodes on loopback, in a few processes. All of them know one
// node and nothing else; one client puts values, and another one, which has heard of none of them,
// gets them.
//
// Every lookup makes connections, so the yardstick of the same run is one round trip on a
// connection that stands (`echo_us`) and a dial with both ids proved (`dial_ms`): what a lookup of
// one hop over a warm, and over a cold connection would take. Processor time is that of all
// processes together, what they do to keep their tables included.
//
//   --set nodes=N (200)   --set processes=N (4)   --set lookups=N (200)
#include <unistd.h>

#include <algorithm>
#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "async.hpp"
#include "bench_peer.hpp"
#include "quicmesh/dht.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t nodes_default = 200;
constexpr std::uint64_t nodes_max = 2'000;
constexpr std::uint64_t lookups_max = 100'000;
constexpr std::size_t contacts_wanted = 10;  // of a node that has joined
constexpr Duration look_every = 10ms;
constexpr Duration join_limit = 60s;
constexpr Duration phase_limit = 300s;
constexpr Duration settling = 3s;
constexpr std::size_t value_bytes = 100;
constexpr int echoes = 500;

/// What a role of this benchmark has, in a process of its own.
struct Role {
  BenchValues values;
  std::shared_ptr<Runtime> runtime;
  std::vector<NodeAddress> bootstrap;
  asio::io_context context{1};
  std::string error;
};

asio::awaitable<std::shared_ptr<Node>> start_node(Role& role, DhtRole part) {
  Config config;
  config.listen.push_back({IpAddress::loopback(IpFamily::v4), 0});
  config.runtime = role.runtime;
  config.dht = part;
  config.bootstrap = role.bootstrap;
  auto starting = Node::start(role.context.get_executor(), std::move(config));
  auto node = co_await std::move(starting);
  if (!node) role.error = describe(node.error());
  co_return node ? *node : nullptr;
}

/// Milliseconds until the node knows enough others; nothing if it never does.
asio::awaitable<std::optional<double>> join(std::shared_ptr<Node> node) {
  const auto start = std::chrono::steady_clock::now();
  while (seconds_since(start) * 1s < join_limit) {
    auto asking = node->dht_status();
    const auto status = co_await std::move(asking);
    if (status && status->contacts >= contacts_wanted) co_return seconds_since(start) * 1e3;
    auto resting = pause_for(look_every);
    co_await std::move(resting);
  }
  co_return std::nullopt;
}

/// False at the end of stdin.
asio::awaitable<bool> next_order(asio::posix::stream_descriptor& input) {
  std::array<char, 64> buffer;
  constexpr auto token = asio::as_tuple(asio::use_awaitable);
  const auto space = asio::buffer(buffer);
  auto reading = input.async_read_some(space, token);
  const auto [code, size] = co_await std::move(reading);
  co_return !code;
}

asio::awaitable<void> note_join(std::shared_ptr<Node> node, Figure& joined, std::size_t& open) {
  auto joining = join(std::move(node));
  if (const auto took = co_await std::move(joining)) joined.add(*took);
  --open;
}

/// Role `nodes`: serves until its stdin ends, and answers each line with its own figures.
asio::awaitable<void> serve_nodes(Role& role) {
  asio::posix::stream_descriptor input(role.context, ::dup(STDIN_FILENO));
  const std::uint64_t count = role.values.count("nodes", 1, nodes_max);
  std::vector<std::shared_ptr<Node>> nodes;
  Figure joined;
  std::size_t open = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    auto starting = start_node(role, DhtRole::server);
    auto node = co_await std::move(starting);
    if (!node) co_return;
    nodes.push_back(node);
    (void)node->handle(std::string(echo_protocol), echo_streams);
    if (role.bootstrap.empty()) {
      role.bootstrap.push_back(NodeAddress::parse(node->node_address()).value());
    } else {
      ++open;
      auto noting = note_join(node, joined, open);
      asio::co_spawn(role.context, std::move(noting), asio::detached);
    }
  }
  while (open > 0) {
    auto resting = pause_for(look_every);
    co_await std::move(resting);
  }
  print_line({{"address", nodes.front()->node_address()},
              {"joined", joined.count()},
              {"join_ms", joined.median()},
              {"join_ms_max", joined.quantile(1)}});
  for (;;) {
    auto waiting = next_order(input);
    if (!co_await std::move(waiting)) co_return;
    print_line(own_figures());
  }
}

Bytes value_of(std::uint64_t number) {
  Bytes value(value_bytes, 0x5a);
  for (std::size_t i = 0; i < sizeof number; ++i)
    value[i] = static_cast<std::uint8_t>(number >> 8 * i);
  return value;
}

struct Puts {
  Figure took_ms;
  Figure stored;
  std::vector<ValueKey> keys;
};

Task<void> put_all(Node& node, std::uint64_t count, Puts& puts) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto putting = node.dht_put(value_of(i));
    const auto stored = co_await std::move(putting);
    if (!stored) co_return failure(stored.error());
    puts.took_ms.add(seconds_since(start) * 1e3);
    puts.stored.add(stored->stored);
    puts.keys.push_back(stored->key);
  }
  co_return Result<void>();
}

struct Gets {
  Figure took_ms;
  Figure queries;
  Figure hops;
  std::uint64_t right = 0;
};

Task<void> get_all(Node& node, const std::vector<ValueKey>& keys, Gets& gets) {
  for (std::uint64_t i = 0; i < keys.size(); ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto getting = node.dht_get(keys[i]);
    const auto found = co_await std::move(getting);
    if (!found) co_return failure(found.error());
    gets.took_ms.add(seconds_since(start) * 1e3);
    gets.queries.add(found->figures.queries);
    gets.hops.add(found->figures.hops);
    if (found->value == value_of(i)) ++gets.right;
  }
  co_return Result<void>();
}

/// The yardsticks: a dial, and an echo on its connection.
Task<boost::json::object> measure_peer(Node& node, const NodeAddress& peer) {
  Figure dial_ms;
  Figure echo_us;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    auto dialling = node.connect(peer, std::string(echo_protocol));
    auto connection = co_await std::move(dialling);
    if (!connection) co_return failure(connection.error());
    dial_ms.add(seconds_since(start) * 1e3);
    if (i == 0) {
      auto opening = connection->open_stream();
      auto stream = co_await std::move(opening);
      if (!stream) co_return failure(stream.error());
      const Bytes message(value_bytes, 1);
      for (int j = 0; j < echoes; ++j) {
        const auto sent = std::chrono::steady_clock::now();
        auto writing = stream->write(ByteView(message));
        if (const auto written = co_await std::move(writing); !written)
          co_return failure(written.error());
        auto reading = stream->read_exactly(message.size());
        if (const auto answer = co_await std::move(reading); !answer)
          co_return failure(answer.error());
        echo_us.add(seconds_since(sent) * 1e6);
      }
    }
    auto closing = connection->close();
    (void)co_await std::move(closing);
  }
  co_return boost::json::object{{"dial_ms", dial_ms.median()}, {"echo_us", echo_us.median()}};
}

/// Role `client`: one line for each phase, each of which begins with a line on stdin.
asio::awaitable<void> run_client(Role& role) {
  asio::posix::stream_descriptor input(role.context, ::dup(STDIN_FILENO));
  const std::uint64_t count = role.values.count("lookups", 200, lookups_max);
  std::vector<std::shared_ptr<Node>> nodes;  // one puts, one gets, one without the DHT dials
  for (const DhtRole part : {DhtRole::client, DhtRole::client, DhtRole::off}) {
    auto starting = start_node(role, part);
    auto node = co_await std::move(starting);
    if (!node) co_return;
    nodes.push_back(node);
    if (part == DhtRole::off) continue;
    auto joining = join(node);
    const auto joined = co_await std::move(joining);
    if (!joined) {
      role.error = "a client did not get into the DHT";
      co_return;
    }
  }
  auto measuring = measure_peer(*nodes[2], role.bootstrap.front());
  auto yardstick = co_await std::move(measuring);
  if (!yardstick) {
    role.error = describe(yardstick.error());
    co_return;
  }
  print_line(*yardstick);
  Puts puts;
  auto ordered = next_order(input);
  if (!co_await std::move(ordered)) co_return;
  auto putting = put_all(*nodes[0], count, puts);
  if (const auto done = co_await std::move(putting); !done) {
    role.error = describe(done.error());
    co_return;
  }
  boost::json::object report = own_figures();
  report["p50_ms"] = puts.took_ms.median();
  report["p99_ms"] = puts.took_ms.quantile(0.99);
  report["stored"] = puts.stored.median();
  print_line(report);
  Gets gets;
  auto ordered_again = next_order(input);
  if (!co_await std::move(ordered_again)) co_return;
  auto getting = get_all(*nodes[1], puts.keys, gets);
  if (const auto done = co_await std::move(getting); !done) {
    role.error = describe(done.error());
    co_return;
  }
  report = own_figures();
  report["p50_ms"] = gets.took_ms.median();
  report["p99_ms"] = gets.took_ms.quantile(0.99);
  report["queries"] = gets.queries.median();
  report["hops"] = gets.hops.median();
  report["right"] = gets.right;
  print_line(report);
  auto ordered_last = next_order(input);
  (void)co_await std::move(ordered_last);
}

BenchReport run_role(const BenchOptions& options, const std::string& name) {
  auto runtime = Runtime::start();
  if (!runtime) return failed_report(describe(runtime.error()));
  Role role{.values = BenchValues(options), .runtime = std::move(*runtime), .bootstrap = {}};
  const std::string bootstrap = role.values.text("bootstrap", "");
  if (!bootstrap.empty()) {
    const auto address = NodeAddress::parse(bootstrap);
    if (!address) return failed_report("--set bootstrap: " + describe(address.error()), 2);
    role.bootstrap.push_back(*address);
  }
  auto work = name == "nodes" ? serve_nodes(role) : run_client(role);
  asio::co_spawn(role.context, std::move(work), asio::detached);
  role.context.run();
  return role.error.empty() ? BenchReport{own_figures(), 0} : failed_report(role.error);
}

/// The processes of one run.
struct DhtProcesses {
  std::vector<std::unique_ptr<BenchProcess>> nodes;
  std::unique_ptr<BenchProcess> client;
  std::string bootstrap;
  std::uint64_t joined = 0;
  Figure join_ms;  // the median of each process
  double join_ms_max = 0;

  /// Of the nodes alone.
  Measured<double> cpu_seconds() {
    double sum = 0;
    for (const auto& process : nodes) {
      const auto figures = process->ask("figures", 10s);
      if (!figures) return std::unexpected(figures.error());
      sum += figure_in(*figures, "cpu_s");
    }
    return sum;
  }
  Measured<double> resident_kib() {
    double sum = 0;
    for (const auto& process : nodes) {
      const auto figures = process->ask("figures", 10s);
      if (!figures) return std::unexpected(figures.error());
      sum += figure_in(*figures, "resident_kib");
    }
    return sum;
  }
};

Measured<void> start_nodes(const BenchOptions& options, std::uint64_t nodes,
                           std::uint64_t processes, DhtProcesses& all) {
  for (std::uint64_t i = 0; i < processes; ++i) {
    const std::uint64_t share = nodes / processes + (i < nodes % processes ? 1 : 0);
    std::vector<std::string> values{"nodes=" + std::to_string(share)};
    if (!all.bootstrap.empty()) values.push_back("bootstrap=" + all.bootstrap);
    auto process = start_end(options, "dht", "nodes", std::move(values));
    if (!process) return std::unexpected(process.error());
    const auto ready = (*process)->next(join_limit + 30s);
    if (!ready) return std::unexpected(ready.error());
    if (all.bootstrap.empty()) all.bootstrap = std::string(ready->at("address").as_string());
    all.joined += static_cast<std::uint64_t>(figure_in(*ready, "joined"));
    all.join_ms.add(figure_in(*ready, "join_ms"));
    all.join_ms_max = std::max(all.join_ms_max, figure_in(*ready, "join_ms_max"));
    all.nodes.push_back(std::move(*process));
  }
  return {};
}

/// One phase of the client: its report, with the processor time of everybody for each operation.
Measured<boost::json::object> run_phase(DhtProcesses& all, const char* name, double operations,
                                        double& client_cpu_s) {
  const auto before = all.cpu_seconds();
  if (!before) return std::unexpected(before.error());
  auto report = all.client->ask(name, phase_limit);
  if (!report) return report;
  const auto after = all.cpu_seconds();
  if (!after) return std::unexpected(after.error());
  const double client = figure_in(*report, "cpu_s");
  (*report)["cpu_us"] = (*after - *before + client - client_cpu_s) * 1e6 / operations;
  client_cpu_s = client;
  return report;
}

BenchReport measure(const BenchOptions& options, const BenchValues& values) {
  const std::uint64_t nodes = values.count("nodes", nodes_default, nodes_max);
  const std::uint64_t lookups = values.count("lookups", 200, lookups_max);
  DhtProcesses all;
  if (const auto started = start_nodes(options, nodes, values.count("processes", 4, 64), all);
      !started) {
    return failed_report(started.error());
  }
  // What joining has set in motion comes to rest.
  ::usleep(static_cast<useconds_t>(settling / 1us));
  auto client = start_end(options, "dht", "client",
                          {"lookups=" + std::to_string(lookups), "bootstrap=" + all.bootstrap});
  if (!client) return failed_report(client.error());
  all.client = std::move(*client);
  const auto yardstick = all.client->next(phase_limit);
  if (!yardstick) return failed_report(yardstick.error());
  double client_cpu_s = 0;
  if (const auto begun = all.cpu_seconds(); !begun) return failed_report(begun.error());
  const auto puts = run_phase(all, "put", static_cast<double>(lookups), client_cpu_s);
  if (!puts) return failed_report(puts.error());
  const auto gets = run_phase(all, "get", static_cast<double>(lookups), client_cpu_s);
  if (!gets) return failed_report(gets.error());
  const auto memory = all.resident_kib();
  if (!memory) return failed_report(memory.error());
  boost::json::object figures;
  figures["nodes"] = nodes;
  figures["joined"] = all.joined + 1;  // the first one knows nobody at first
  figures["join_ms"] = rounded(all.join_ms.median());
  figures["join_ms_max"] = rounded(all.join_ms_max);
  figures["put_p50_ms"] = rounded(figure_in(*puts, "p50_ms"));
  figures["put_p99_ms"] = rounded(figure_in(*puts, "p99_ms"));
  figures["put_stored"] = rounded(figure_in(*puts, "stored"));
  figures["put_cpu_us"] = rounded(figure_in(*puts, "cpu_us"));
  figures["get_p50_ms"] = rounded(figure_in(*gets, "p50_ms"));
  figures["get_p99_ms"] = rounded(figure_in(*gets, "p99_ms"));
  figures["get_queries"] = rounded(figure_in(*gets, "queries"));
  figures["get_hops"] = rounded(figure_in(*gets, "hops"));
  figures["get_cpu_us"] = rounded(figure_in(*gets, "cpu_us"));
  figures["gets_right"] = figure_in(*gets, "right");
  figures["echo_us"] = rounded(figure_in(*yardstick, "echo_us"));
  figures["dial_ms"] = rounded(figure_in(*yardstick, "dial_ms"));
  figures["kib_a_node"] = rounded(*memory / static_cast<double>(nodes));
  const bool ok =
      all.joined + 1 == nodes && figure_in(*gets, "right") == static_cast<double>(lookups);
  return finished_report(std::move(figures), ok);
}

}  // namespace

BenchReport bench_dht(const BenchOptions& options) {
  const auto role = options.values.find("role");
  if (role != options.values.end()) return run_role(options, role->second);
  const auto values = BenchValues::read(options, {"nodes", "processes", "lookups"});
  if (!values) return failed_report(values.error(), 2);
  return measure(options, *values);
}

}  // namespace quicmesh::cli
