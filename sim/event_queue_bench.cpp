// The hold model on both queues with the same random delays: uniform in (0, 1 s], drawn beforehand
// so that the generator is not measured. Each queue folds what it pops into a digest: the optimiser
// cannot drop the work, and the two digests agree exactly if the two orders do.
#include "sim/event_queue_bench.hpp"

#include <queue>
#include <vector>

#include "base/rng.hpp"
#include "sim/event_queue.hpp"

namespace quicmesh::sim {
namespace {

struct BenchPayload {
  std::uint32_t kind;
  std::uint32_t target;
  std::uint64_t id;
};

class Heap {
 public:
  void push(Instant at, const BenchPayload& payload) { heap_.push({at, sequence_++, payload}); }
  EventQueue<BenchPayload>::Entry pop() {
    const Item top = heap_.top();
    heap_.pop();
    return {top.at, top.payload};
  }

 private:
  struct Item {
    Instant at;
    std::uint64_t sequence;
    BenchPayload payload;
    bool operator>(const Item& other) const {
      return at != other.at ? at > other.at : sequence > other.sequence;
    }
  };
  std::priority_queue<Item, std::vector<Item>, std::greater<>> heap_;
  std::uint64_t sequence_ = 0;
};

struct HoldRun {
  double events_per_s;
  std::uint64_t digest;
};

template <class Queue>
HoldRun hold(const ClockSeconds& clock, const EventQueueBenchOptions& options,
             const std::vector<Duration>& delays) {
  Queue queue;
  std::uint64_t id = 0;
  auto next_delay = [&] { return delays[id % delays.size()]; };
  for (; id < options.pending; ++id)
    queue.push(Instant{} + next_delay(), {0, 0, id});
  std::uint64_t digest = 0;
  const double begin = clock();
  for (std::size_t i = 0; i < options.operations; ++i, ++id) {
    const auto entry = queue.pop();
    digest = digest * 0x9E3779B97F4A7C15u + entry.payload.id;
    queue.push(entry.at + next_delay(), {0, 0, id});
  }
  const double seconds = clock() - begin;
  return {seconds > 0 ? static_cast<double>(options.operations) / seconds : 0, digest};
}

}  // namespace

EventQueueBenchReport bench_event_queue(const ClockSeconds& clock,
                                        const EventQueueBenchOptions& options) {
  constexpr std::size_t delay_count = 1'000'003;  // a prime: no resonance with `pending`
  Rng rng(options.seed);
  std::vector<Duration> delays(delay_count);
  for (Duration& delay : delays)
    delay = rng.between(1ns, 1s);
  const HoldRun wheel = hold<EventQueue<BenchPayload>>(clock, options, delays);
  const HoldRun heap = hold<Heap>(clock, options, delays);
  return {.wheel_events_per_s = wheel.events_per_s,
          .heap_events_per_s = heap.events_per_s,
          .ratio = heap.events_per_s > 0 ? wheel.events_per_s / heap.events_per_s : 0,
          .same_order = wheel.digest == heap.digest};
}

}  // namespace quicmesh::sim
