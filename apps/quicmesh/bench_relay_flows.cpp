// R4: many sessions at one UDP port, all of them active: throughput and CPU time beside one session
// with the same trains, and what the relay's memory grows by.
//
// Every client has as many sessions as a relay allows by default (64): half of them asked for by
// itself, which is its burst of requests. So 10,000 flows are those of 313 clients, each of which
// reaches the next 32 of a ring.
#include "bench_relay.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t flows_default = 10'000;
constexpr std::uint64_t flows_max = 65'536;
constexpr std::uint64_t reservations_default = 1'000;
constexpr std::uint64_t reservations_max = 16'000;
constexpr std::size_t asked_by_each = 32;
constexpr std::size_t segments = 10;
constexpr std::size_t window = 24;
constexpr double reservation_kib_wanted = 48;

std::vector<ClientPair> ring(std::size_t clients, std::size_t flows) {
  std::vector<ClientPair> pairs;
  for (std::size_t step = 1; step <= asked_by_each; ++step) {
    for (std::size_t i = 0; i < clients && pairs.size() < flows; ++i)
      pairs.push_back({i, (i + step) % clients});
  }
  return pairs;
}

}  // namespace

Measured<void> measure_relay_flows(const RelayBench& bench, RelayFigures& out) {
  const auto relay = BenchRelay::start(bench.options, {});
  if (!relay) return std::unexpected(relay.error());
  const std::uint64_t flows_wanted = bench.values.count("flows", flows_default, flows_max);
  // A ring in which nobody meets the same one twice.
  const std::size_t needed = std::max<std::size_t>(
      (flows_wanted + asked_by_each - 1) / asked_by_each, 2 * asked_by_each + 1);
  const std::size_t reservations = std::max<std::size_t>(
      needed, bench.values.count("reservations", reservations_default, reservations_max));
  const auto empty = relay->resident_kib();
  auto clients = start_relay_clients(relay->address(), reservations);
  if (!clients) return std::unexpected(clients.error());
  const auto reserved = relay->resident_kib();
  if (!empty || !reserved) return std::unexpected("the relay does not tell its memory");

  const std::vector<ClientPair> pairs = ring(needed, flows_wanted);
  if (const auto open = open_sessions(*clients, pairs); !open) return open;
  std::vector<LoadFlow> flows;
  for (const ClientPair& pair : pairs) {
    const auto relayed = relayed_pair(*clients, pair);
    if (!relayed) return std::unexpected(relayed.error());
    flows.push_back(relayed->there);
  }
  const auto open_kib = relay->resident_kib();
  if (!open_kib) return std::unexpected(open_kib.error());

  const LoadShape shape{
      .datagram_bytes = bench.datagram_bytes, .segments = segments, .window = window};
  const auto us = [](const LoadResult& result) {
    return result.forwarder_cpu_s * 1e6 / static_cast<double>(result.received);
  };
  Figure many_us;
  Figure one_us;
  Figure many_gbit;
  for (std::uint64_t run = 0; run < bench.runs; ++run) {
    const LoadResult many = carry(flows, shape, bench.seconds, relay->pid());
    const LoadResult one = carry(std::span(flows).first(1), shape, bench.seconds / 2, relay->pid());
    const auto kept = drive(*clients, [] { return true; }, 1s);
    if (!kept) return kept;
    many_us.add(us(many));
    one_us.add(us(one));
    many_gbit.add(static_cast<double>(many.received * shape.datagram_bytes) * 8e-9 / many.seconds);
  }
  const auto after = relay->resident_kib();
  out.figures["flows"] = flows.size();
  out.figures["flows_clients"] = needed;
  many_gbit.put(out.figures, "flows_gbit_s");
  out.figures["flows_cpu_us_per_packet"] = rounded(many_us.median());
  out.figures["one_flow_cpu_us_per_packet"] = rounded(one_us.median());
  out.figures["reservations"] = reservations;
  out.at_most("reservation_kib", (*reserved - *empty) / static_cast<double>(reservations),
              reservation_kib_wanted);
  out.figures["session_kib"] = rounded((*open_kib - *reserved) / static_cast<double>(flows.size()));
  out.figures["relay_resident_kib"] = rounded(after.value_or(*open_kib));
  leave_relay(*clients);
  return {};
}

}  // namespace quicmesh::cli
