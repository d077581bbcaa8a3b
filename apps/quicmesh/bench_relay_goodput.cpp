// R1: trains through the relay, beside the same trains through the raw forwarder in the same run.
// The bar is on the wall clock and on the CPU seconds of the forwarding process: where the load is
// what limits both, only the second tells them apart.
#include "bench_relay.hpp"

namespace quicmesh::cli {
namespace {

constexpr double ratio_wanted = 0.6;

double gbit(const LoadResult& result, std::size_t bytes) {
  return static_cast<double>(result.received) * static_cast<double>(bytes) * 8e-9;
}

struct Rates {
  Figure wall;
  Figure cpu;
  Figure busy;  // percent of its core that the forwarder used
  Figure lost;  // percent

  void add(const LoadResult& result, std::size_t bytes) {
    wall.add(gbit(result, bytes) / result.seconds);
    cpu.add(gbit(result, bytes) / result.forwarder_cpu_s);
    busy.add(100 * result.forwarder_cpu_s / result.seconds);
    lost.add(100 - 100 * static_cast<double>(result.received) / static_cast<double>(result.sent));
  }
};

}  // namespace

Measured<void> measure_relay_goodput(const RelayBench& bench, RelayFigures& out) {
  const auto relay = BenchRelay::start(bench.options, {});
  if (!relay) return std::unexpected(relay.error());
  auto clients = start_relay_clients(relay->address(), 2);
  if (!clients) return std::unexpected(clients.error());
  const ClientPair ends{0, 1};
  if (const auto open = open_sessions(*clients, {ends}); !open) return open;
  const auto pair = relayed_pair(*clients, ends);
  if (!pair) return std::unexpected(pair.error());
  const auto raw = RawForwarder::start(bench.options);
  if (!raw) return std::unexpected(raw.error());
  const LoadFlow raw_flow = raw->pair().there;
  const LoadShape shape = bench.trains();
  const std::size_t payload = shape.datagram_bytes - relay_header_size;
  Rates relayed;
  Rates bare;
  for (std::uint64_t run = 0; run < bench.runs; ++run) {
    relayed.add(carry({&pair->there, 1}, shape, bench.seconds, relay->pid()), payload);
    const auto kept = drive(*clients, [] { return true; }, 1s);
    if (!kept) return kept;
    bare.add(carry({&raw_flow, 1}, shape, bench.seconds, raw->pid()), shape.datagram_bytes);
  }
  relayed.wall.put(out.figures, "gbit_s");
  bare.wall.put(out.figures, "raw_gbit_s");
  out.at_least("ratio", relayed.wall.median() / bare.wall.median(), ratio_wanted);
  relayed.cpu.put(out.figures, "gbit_per_cpu_s");
  bare.cpu.put(out.figures, "raw_gbit_per_cpu_s");
  out.at_least("cpu_ratio", relayed.cpu.median() / bare.cpu.median(), ratio_wanted);
  out.figures["relay_busy_percent"] = rounded(relayed.busy.median());
  out.figures["raw_busy_percent"] = rounded(bare.busy.median());
  out.figures["lost_percent"] = rounded(relayed.lost.median());
  out.figures["segments"] = shape.segments;
  leave_relay(*clients);
  return {};
}

}  // namespace quicmesh::cli
