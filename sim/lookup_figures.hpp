// What a set of measured lookups comes to, for reports: shares, percentiles, means.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/dht_world.hpp"
#include "sim/peer_fabric.hpp"
#include "sim/scenario_runner.hpp"

namespace quicmesh::sim {

struct LookupFigures {
  std::size_t counted = 0;  // that could succeed: origin and target stayed
  double success_percent = 0;
  /// The time taken over the round trip to whoever's answer ended the lookup; one that failed
  /// counts as if it had taken until its deadline, over the round trip to the target.
  double ratio_p50 = 0;
  double ratio_p95 = 0;
  /// Over the round trip to the target, whoever answered.
  double to_target_p50 = 0;
  double to_target_p95 = 0;
  double express_percent = 0;
  double p50_ms = 0;
  double p95_ms = 0;
  double mean_ms = 0;
  double direct_p50_ms = 0;
  double hops = 0;
  double queries = 0;
  double slow_queries = 0;
  double failures = 0;
};

[[nodiscard]] LookupFigures figures_of(std::span<const MeasuredLookup> lookups, Duration deadline);

/// What the network did between two readings of its counters, for each of `lookups`.
struct TrafficFigures {
  double messages = 0;
  double handshakes = 0;
  double bytes = 0;  // messages and handshakes
};
[[nodiscard]] TrafficFigures traffic_of(const PeerFabricCounters& before,
                                        const PeerFabricCounters& after, std::size_t lookups);

/// The value at `share` of the sorted values; 0 if there are none.
[[nodiscard]] double percentile(std::vector<double> values, double share);

}  // namespace quicmesh::sim
