// See packet_bench.hpp.
#include "sim/packet_bench.hpp"

#include <memory>
#include <string>
#include <vector>

#include "sim/request_core.hpp"
#include "sim/simulation.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::uint16_t server_port = 7;

IpAddress address_of(std::uint32_t number) {
  return IpAddress::v4({10, static_cast<std::uint8_t>(number >> 16),
                        static_cast<std::uint8_t>(number >> 8), static_cast<std::uint8_t>(number)});
}

HostId add_host(Simulation& simulation, std::uint32_t number) {
  Network& network = simulation.network();
  const HostId host = network.add_host("h" + std::to_string(number)).value();
  const LinkConfig line{.delay = 5ms, .bits_per_s = 1'000'000'000, .queue_bytes = 1 << 20};
  (void)network  // cannot fail: names and addresses are unique
      .add_interface(host, {.name = "if", .address = address_of(number), .access = {line, line}})
      .value();
  return host;
}

}  // namespace

PacketBenchReport bench_packets(const ClockSeconds& clock, const PacketBenchOptions& options) {
  Simulation simulation({.seed = options.seed, .event_budget = ~std::uint64_t{0}});
  const auto requests = static_cast<std::uint32_t>(options.datagrams / 2 / options.pairs);
  std::uint64_t answered = 0;
  std::vector<CoreHandle<RequestCore>> clients;
  for (std::uint32_t pair = 0; pair < options.pairs; ++pair) {
    const HostId server = add_host(simulation, 2 * pair);
    const HostId client = add_host(simulation, 2 * pair + 1);
    const SocketId server_socket =
        simulation.host(server).open_socket({IpAddress{}, server_port}).value();
    const SocketId client_socket = simulation.host(client).open_socket({}).value();
    RequestCoreConfig config{.socket = server_socket,
                             .requests = requests,
                             .window = 8,
                             .datagram_bytes = options.datagram_bytes};
    (void)simulation.run(server, std::make_unique<RequestCore>(config, simulation.rng("server")));
    config.socket = client_socket;
    config.server = SocketAddress{address_of(2 * pair), server_port};
    clients.push_back(simulation.run(
        client,
        std::make_unique<RequestCore>(config, simulation.rng("client " + std::to_string(pair))),
        [&answered](Instant, const RequestAnswered&) { ++answered; }));
  }
  for (const auto& client : clients) {
    client.command([](RequestCore& core, Instant now) { core.begin(now); });
  }

  const double begin = clock();
  const RunResult result = simulation.run_until(
      [&] { return answered == std::uint64_t{requests} * options.pairs; }, Duration{24h});
  const double seconds = clock() - begin;

  PacketBenchReport report;
  report.ok = static_cast<bool>(result);
  report.delivered = simulation.network().counters().delivered;
  report.trace_hash = simulation.trace().hash();
  report.virtual_seconds = static_cast<double>(simulation.elapsed().count()) / 1e9;
  if (seconds > 0) {
    report.packets_per_s = static_cast<double>(report.delivered) / seconds;
    report.events_per_s = static_cast<double>(simulation.events()) / seconds;
    report.times_real_time = report.virtual_seconds / seconds;
  }
  return report;
}

}  // namespace quicmesh::sim
