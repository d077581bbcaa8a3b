#include "sim/barrier_pool.hpp"

#include <utility>

#include "base/assert.hpp"

namespace quicmesh::sim {
namespace {

// Some ten microseconds: longer than most waits at a barrier, shorter than anybody minds.
constexpr int looks_before_sleep = 200;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void wait_while(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  for (int i = 0; i < looks_before_sleep; ++i) {
    if (value.load(std::memory_order_acquire) != old) return;
    relax();
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

BarrierPool::BarrierPool(std::size_t threads, std::function<void(std::size_t)> task)
    : task_(std::move(task)) {
  QM_ASSERT(threads > 0);
  for (std::size_t number = 1; number < threads; ++number)
    workers_.emplace_back([this, number] { work(number); });
}

BarrierPool::~BarrierPool() {
  over_ = true;
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
}

void BarrierPool::run() {
  if (workers_.empty()) return task_(0);
  busy_.store(static_cast<std::uint32_t>(workers_.size()), std::memory_order_relaxed);
  round_.fetch_add(1, std::memory_order_release);
  round_.notify_all();
  task_(0);
  while (const std::uint32_t left = busy_.load(std::memory_order_acquire))
    wait_while(busy_, left);
}

void BarrierPool::work(std::size_t number) {
  for (std::uint32_t round = 0;; ++round) {
    wait_while(round_, round);
    if (over_) return;
    task_(number);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) busy_.notify_one();
  }
}

}  // namespace quicmesh::sim
