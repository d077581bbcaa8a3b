// Measures the timing wheel against std::priority_queue in the hold model (Vaucher & Duval 1975):
// with N events pending, take the next one and plan another at a random later time, again and
// again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace quicmesh::sim {

/// Seconds on any monotonic scale; the simulator reads no clock of its own.
using ClockSeconds = std::function<double()>;

struct EventQueueBenchOptions {
  std::size_t pending = 1'000'000;
  std::size_t operations = 4'000'000;
  std::uint64_t seed = 1;
};

struct EventQueueBenchReport {
  double wheel_events_per_s = 0;
  double heap_events_per_s = 0;
  double ratio = 0;         // wheel / heap
  bool same_order = false;  // both gave out the same events at the same times in the same order
};

EventQueueBenchReport bench_event_queue(const ClockSeconds& clock,
                                        const EventQueueBenchOptions& options);

}  // namespace quicmesh::sim
