// A few threads that do one task side by side, again and again, and wait for each other after each
// round: what runs the shards of a PeerFabric window by window (peer_fabric.hpp).
//
// A round may take microseconds, so whoever waits looks a while before it sleeps (spin, then futex
// by std::atomic::wait). What a thread wrote in a round is seen by all in the next one. One thread
// is none: the caller does it all.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace quicmesh::sim {

class BarrierPool {
 public:
  /// `threads`, at least one, are the caller's own and those that are started here. The task gets
  /// the number of its thread, the caller's being 0.
  BarrierPool(std::size_t threads, std::function<void(std::size_t)> task);
  ~BarrierPool();
  BarrierPool(const BarrierPool&) = delete;
  BarrierPool& operator=(const BarrierPool&) = delete;

  [[nodiscard]] std::size_t threads() const { return workers_.size() + 1; }

  /// One round: returns when every thread has done the task.
  void run();

 private:
  void work(std::size_t number);

  std::function<void(std::size_t)> task_;
  alignas(64) std::atomic<std::uint32_t> round_ = 0;
  alignas(64) std::atomic<std::uint32_t> busy_ = 0;  // workers that have not ended this round
  bool over_ = false;                                // written between rounds
  std::vector<std::jthread> workers_;
};

}  // namespace quicmesh::sim
