// `quicmesh bench simulator`: the timing wheel of the simulator beside a binary heap, and the
// datagrams a second that one core simulates from end to end (goal M2).
//
//   --set runs=N (5)   --set pending=N (1000000): events in the queue
//   --set pairs=N (100): hosts that talk; --set datagrams=N (1000000) of each run
#include "async.hpp"
#include "bench_process.hpp"
#include "sim/event_queue_bench.hpp"
#include "sim/packet_bench.hpp"

namespace quicmesh::cli {
namespace {

constexpr double packets_wanted = 2e6;
constexpr std::uint64_t events_max = 20'000'000;
constexpr std::uint64_t pairs_max = 10'000;
constexpr std::uint64_t datagrams_max = 100'000'000;

BenchReport measure(const BenchValues& values) {
  sim::EventQueueBenchOptions queue;
  queue.pending = values.count("pending", queue.pending, events_max);
  queue.operations = queue.pending;
  sim::PacketBenchOptions packets;
  packets.pairs = static_cast<std::uint32_t>(values.count("pairs", packets.pairs, pairs_max));
  packets.datagrams = values.count("datagrams", 1'000'000, datagrams_max);
  const auto start = std::chrono::steady_clock::now();
  const sim::ClockSeconds clock = [start] { return seconds_since(start); };
  Figure wheel;
  Figure heap;
  Figure rate;
  Figure real_time;
  bool right = true;
  for (std::uint64_t run = 0; run < values.count("runs", bench_runs, bench_runs_max); ++run) {
    queue.seed = packets.seed = run + 1;
    const auto events = sim::bench_event_queue(clock, queue);
    wheel.add(events.wheel_events_per_s);
    heap.add(events.heap_events_per_s);
    const auto simulated = sim::bench_packets(clock, packets);
    rate.add(simulated.packets_per_s);
    real_time.add(simulated.times_real_time);
    right = right && events.same_order && simulated.ok;
  }
  boost::json::object figures;
  rate.put(figures, "packets_s");
  real_time.put(figures, "times_real_time");
  wheel.put(figures, "wheel_events_s");
  heap.put(figures, "heap_events_s");
  figures["ratio"] = rounded(wheel.median() / heap.median());
  figures["pending"] = queue.pending;
  figures["correct"] = right;
  figures["bar"] = packets_wanted;
  return finished_report(std::move(figures), right && rate.median() >= packets_wanted);
}

}  // namespace

BenchReport bench_simulator(const BenchOptions& options) {
  const auto values = BenchValues::read(options, {"runs", "pending", "pairs", "datagrams"});
  if (!values) return failed_report(values.error(), 2);
  if (const auto pinned = pin_to_cpu(client_cpu); !pinned) return failed_report(pinned.error());
  return measure(*values);
}

}  // namespace quicmesh::cli
