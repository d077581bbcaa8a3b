// Measures how many datagrams a second one core simulates from end to end: pairs of hosts on access
// links exchange requests and answers over the whole path (sockets, two links, trace, checks).
#pragma once

#include <cstddef>
#include <cstdint>

#include "sim/event_queue_bench.hpp"

namespace quicmesh::sim {

struct PacketBenchOptions {
  std::uint32_t pairs = 100;
  std::uint64_t datagrams = 4'000'000;  // about; both directions together
  std::size_t datagram_bytes = 200;
  std::uint64_t seed = 1;
};

struct PacketBenchReport {
  double packets_per_s = 0;  // datagrams delivered to a core, by wall time
  double events_per_s = 0;
  double virtual_seconds = 0;
  double times_real_time = 0;
  std::uint64_t delivered = 0;
  std::uint64_t trace_hash = 0;
  bool ok = false;  // every request was answered
};

PacketBenchReport bench_packets(const ClockSeconds& clock, const PacketBenchOptions& options);

}  // namespace quicmesh::sim
