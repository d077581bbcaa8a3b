// R5: one client floods a relay at ten times the rate of another, and at twice what the relay
// forwards in all: what the other loses of its goodput, and what its round trips get.
//
// The flood comes from a client of its own, to which the fair share applies. With `flood=same` it
// comes from the well-behaved client itself, in another session: its share is then used up by its
// own flood, and the figure must show that.
#include "bench_relay.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::uint64_t total_rate = 125'000'000;  // bytes a second: what a relay has by default
constexpr double good_part = 0.2;
constexpr double flood_factor = 10;
constexpr double lost_wanted_percent = 5;
constexpr double p99_growth_wanted = 2;
constexpr std::size_t good_segments = 4;
constexpr std::size_t flood_segments = 20;
constexpr std::size_t ping_bytes = 100;

double delivered_percent(const LoadResult& result) {
  return 100 * static_cast<double>(result.received) / static_cast<double>(result.sent);
}

}  // namespace

Measured<void> measure_relay_fairness(const RelayBench& bench, RelayFigures& out) {
  const auto relay = BenchRelay::start(bench.options, {.client = total_rate, .total = total_rate});
  if (!relay) return std::unexpected(relay.error());
  auto clients = start_relay_clients(relay->address(), 5);
  if (!clients) return std::unexpected(clients.error());
  const bool same = bench.values.text("flood", "other") == "same";
  const ClientPair good{0, 1};
  const ClientPair pinging{0, 2};
  const ClientPair flooding{same ? 0u : 3u, 4};
  if (const auto open = open_sessions(*clients, {good, pinging, flooding}); !open) return open;
  const auto bulk = relayed_pair(*clients, good);
  const auto ping = relayed_pair(*clients, pinging);
  const auto flood = relayed_pair(*clients, flooding);
  if (!bulk || !ping || !flood) return std::unexpected("the relay gave no session");

  const double rate = good_part * static_cast<double>(total_rate);
  LoadShape good_shape{.datagram_bytes = bench.datagram_bytes, .segments = good_segments};
  good_shape.datagrams_per_s = rate / static_cast<double>(bench.datagram_bytes);
  LoadShape flood_shape{.datagram_bytes = bench.datagram_bytes, .segments = flood_segments};
  flood_shape.datagrams_per_s = flood_factor * good_shape.datagrams_per_s;
  const double seconds = bench.options.seconds / 2;

  PacedLoad alone(bulk->there, good_shape);
  const Figure quiet = ping_pong(ping->there, ping->back, ping_bytes, seconds,
                                 [&](double now_s) { alone.advance(now_s); });
  PacedLoad beside(bulk->there, good_shape);
  PacedLoad flooded(flood->there, flood_shape);
  const Figure disturbed =
      ping_pong(ping->there, ping->back, ping_bytes, seconds, [&](double now_s) {
        beside.advance(now_s);
        flooded.advance(now_s);
      });
  const LoadResult& attack = flooded.result();
  out.figures["fair_alone_percent"] = rounded(delivered_percent(alone.result()));
  out.figures["fair_flooded_percent"] = rounded(delivered_percent(beside.result()));
  out.at_most("fair_lost_percent",
              100 - 100 * delivered_percent(beside.result()) / delivered_percent(alone.result()),
              lost_wanted_percent);
  out.figures["fair_p99_us"] = rounded(quiet.quantile(0.99));
  out.figures["flooded_p99_us"] = rounded(disturbed.quantile(0.99));
  const double growth = disturbed.empty() ? 1e9 : disturbed.quantile(0.99) / quiet.quantile(0.99);
  out.at_most("fair_p99_growth", growth, p99_growth_wanted);
  out.figures["flood_sent_mbyte_s"] =
      rounded(static_cast<double>(attack.sent) * static_cast<double>(bench.datagram_bytes) * 1e-6 /
              attack.seconds);
  out.figures["flood_delivered_percent"] = rounded(delivered_percent(attack));
  leave_relay(*clients);
  return {};
}

}  // namespace quicmesh::cli
