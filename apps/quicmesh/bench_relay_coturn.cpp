// R2: CPU time of the relay for each packet that arrived, beside coturn's for the same packets: the
// same size, sent in trains (as a QUIC sender does) and one by one.
//
// Each has as many under way as its receive buffer holds, which is what a congestion controller
// would find out: coturn's 64 KiB take 24 packets. With so few the relay is measured as well: it
// then wakes up for each handful, as it does when there is little traffic.
//
// coturn has one allocation and a peer without one: each packet crosses it once, as it crosses the
// relay once. Between two clients of TURN it would cross it twice.
#include <algorithm>

#include "bench_coturn.hpp"
#include "bench_relay.hpp"

namespace quicmesh::cli {
namespace {

constexpr double ratio_wanted = 10;

struct Costs {
  Figure trains;
  Figure few;  // a train of 24, and nothing until it has arrived
  Figure singles;
  Figure lost;  // percent, of singles
};

double us_per_packet(const LoadResult& result) {
  return result.received == 0 ? 0
                              : result.forwarder_cpu_s * 1e6 / static_cast<double>(result.received);
}

LoadShape few_trains(const RelayBench& bench) {
  LoadShape shape = bench.trains();
  shape.segments = std::min(shape.segments, bench.singles().window);
  shape.window = 1;
  return shape;
}

void add(Costs& costs, const RelayBench& bench, const LoadFlow& flow, pid_t forwarder) {
  const double seconds = bench.seconds / 3;
  costs.few.add(us_per_packet(carry({&flow, 1}, few_trains(bench), seconds, forwarder)));
  const LoadResult singles = carry({&flow, 1}, bench.singles(), seconds, forwarder);
  costs.singles.add(us_per_packet(singles));
  costs.lost.add(100 -
                 100 * static_cast<double>(singles.received) / static_cast<double>(singles.sent));
}

}  // namespace

Measured<void> measure_relay_coturn(const RelayBench& bench, RelayFigures& out) {
  const auto relay = BenchRelay::start(bench.options, {});
  if (!relay) return std::unexpected(relay.error());
  auto clients = start_relay_clients(relay->address(), 2);
  if (!clients) return std::unexpected(clients.error());
  const ClientPair ends{0, 1};
  if (const auto open = open_sessions(*clients, {ends}); !open) return open;
  const auto pair = relayed_pair(*clients, ends);
  if (!pair) return std::unexpected(pair.error());
  const bool installed = !BenchCoturn::program().empty();
  std::unique_ptr<BenchCoturn> coturn;
  if (installed) {
    // It has no option for this: it inherits the core.
    if (const auto pinned = pin_to_cpu(server_cpu); !pinned) return pinned;
    auto started = BenchCoturn::start();
    if (const auto pinned = pin_to_cpu(client_cpu); !pinned) return pinned;
    if (!started) return std::unexpected(started.error());
    coturn = std::move(*started);
  }
  Costs ours;
  Costs theirs;
  for (std::uint64_t run = 0; run < bench.runs; ++run) {
    const LoadResult full =
        carry({&pair->there, 1}, bench.trains(), bench.seconds / 3, relay->pid());
    ours.trains.add(us_per_packet(full));
    add(ours, bench, pair->there, relay->pid());
    if (const auto kept = drive(*clients, [] { return true; }, 1s); !kept) return kept;
    if (coturn) add(theirs, bench, coturn->flow(bench.datagram_bytes), coturn->pid());
  }
  ours.trains.put(out.figures, "cpu_us_per_packet");
  ours.few.put(out.figures, "few_cpu_us_per_packet");
  ours.singles.put(out.figures, "single_cpu_us_per_packet");
  leave_relay(*clients);
  if (!coturn) {
    out.figures["coturn"] = "turnserver is not installed";
    return {};
  }
  theirs.few.put(out.figures, "coturn_cpu_us_per_packet");
  theirs.singles.put(out.figures, "coturn_single_cpu_us_per_packet");
  const double best = std::min(theirs.few.median(), theirs.singles.median());
  out.at_least("coturn_ratio", best / ours.trains.median(), ratio_wanted);
  out.figures["coturn_few_ratio"] = rounded(theirs.few.median() / ours.few.median());
  out.figures["coturn_single_ratio"] = rounded(theirs.singles.median() / ours.singles.median());
  out.figures["coturn_lost_percent"] = rounded(theirs.lost.median());
  return {};
}

}  // namespace quicmesh::cli
