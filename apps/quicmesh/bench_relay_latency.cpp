// R3: what the relay adds to a round trip, idle and while it forwards half of what it can.
//
// A round trip by the relay is four legs. The legs alone are measured as the same round trip by the
// raw forwarder, which is nothing but a receive and a send on the relay's core; their median is
// taken off the relay's quantiles. The load and the pinger are one thread: of a quantile under load
// a part is the pinger's own, waiting for a train of the load to be sent. The bar is on that.
#include "bench_relay.hpp"

namespace quicmesh::cli {
namespace {

constexpr double p50_wanted_us = 60;
constexpr double p99_wanted_us = 500;
constexpr double load = 0.5;
constexpr std::size_t ping_bytes = 100;

void put(RelayFigures& out, const std::string& name, const Figure& round_trips,
         const Figure& legs) {
  out.figures[name + "_rtt_p50_us"] = rounded(round_trips.median());
  out.figures[name + "_rtt_p99_us"] = rounded(round_trips.quantile(0.99));
  const double p50 = round_trips.median() - legs.median();
  const double p99 = round_trips.quantile(0.99) - legs.median();
  if (name == "loaded") {
    out.at_most("added_p50_us", p50, p50_wanted_us);
    out.at_most("added_p99_us", p99, p99_wanted_us);
  } else {
    out.figures[name + "_added_p50_us"] = rounded(p50);
    out.figures[name + "_added_p99_us"] = rounded(p99);
  }
}

}  // namespace

Measured<void> measure_relay_latency(const RelayBench& bench, RelayFigures& out) {
  const auto relay = BenchRelay::start(bench.options, {});
  if (!relay) return std::unexpected(relay.error());
  auto clients = start_relay_clients(relay->address(), 4);
  if (!clients) return std::unexpected(clients.error());
  const ClientPair pinging{0, 1};
  const ClientPair loading{2, 3};
  if (const auto open = open_sessions(*clients, {pinging, loading}); !open) return open;
  const auto ping = relayed_pair(*clients, pinging);
  const auto bulk = relayed_pair(*clients, loading);
  if (!ping || !bulk) return std::unexpected("the relay gave no session");
  const auto raw = RawForwarder::start(bench.options);
  if (!raw) return std::unexpected(raw.error());
  const RelayedPair raw_pair = raw->pair();

  const LoadResult full = carry({&bulk->there, 1}, bench.trains(), bench.seconds, relay->pid());
  LoadShape half = bench.trains();
  half.datagrams_per_s = load * static_cast<double>(full.received) / full.seconds;
  const double seconds = bench.options.seconds / 3;
  const Figure legs = ping_pong(raw_pair.there, raw_pair.back, ping_bytes, seconds);
  const Figure idle = ping_pong(ping->there, ping->back, ping_bytes, seconds);
  PacedLoad background(bulk->there, half);
  const Figure loaded = ping_pong(ping->there, ping->back, ping_bytes, seconds,
                                  [&](double now_s) { background.advance(now_s); });
  if (legs.empty() || idle.empty() || loaded.empty()) return std::unexpected("no ping came back");
  out.figures["legs_rtt_p50_us"] = rounded(legs.median());
  out.figures["legs_rtt_p99_us"] = rounded(legs.quantile(0.99));
  put(out, "idle", idle, legs);
  put(out, "loaded", loaded, legs);
  const LoadResult& carried = background.result();
  out.figures["load_percent"] =
      rounded(100 * static_cast<double>(carried.received) / carried.seconds /
              (static_cast<double>(full.received) / full.seconds));
  leave_relay(*clients);
  return {};
}

}  // namespace quicmesh::cli
