// Clocks, CPU time, memory and order statistics for the yardsticks.
//
// The yardsticks are programs of their own: they share no code with the library that is measured
// against them. Every rate is reported twice, per second of wall time and per second of CPU time,
// because on a machine whose cores are shared only the second is stable.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace bench {

constexpr std::uint64_t ns_per_s = 1'000'000'000;
constexpr std::uint64_t ns_per_ms = 1'000'000;

/// The monotonic clock, in nanoseconds.
[[nodiscard]] std::uint64_t now_ns();

/// User plus system time of this process so far, all threads, in seconds.
[[nodiscard]] double process_cpu_s();

/// User plus system time of the calling thread so far, in seconds.
[[nodiscard]] double thread_cpu_s();

/// Resident set of this process in KiB, from /proc/self/statm.
[[nodiscard]] double resident_kib();

/// Bytes handed out by malloc and not yet freed, in KiB; the difference to the resident set is
/// fragmentation, stacks and code.
[[nodiscard]] double heap_kib();

/// Pins the calling thread to one core. A core that does not exist is an error on stderr and exit
/// 1, since an unpinned run would be reported as a pinned one.
void pin_to_cpu(int cpu);

/// Prints the message on stderr and ends the process with status 1.
[[noreturn]] void fail(std::string_view message);

/// The sample below which `fraction` of all samples lie (nearest rank); 0 if there are none.
/// Reorders `samples`. `fraction` in [0, 1].
[[nodiscard]] std::uint64_t percentile(std::vector<std::uint64_t>& samples, double fraction);

/// Gigabits a second, 0 where the time is 0.
[[nodiscard]] double gbit_per_s(std::uint64_t bytes, double seconds);

/// Wall and CPU time between start() and stop(); stop() may be called again to extend the span.
class Stopwatch {
 public:
  void start();
  void stop();
  [[nodiscard]] bool running() const { return started_ns_ != 0; }
  [[nodiscard]] double wall_s() const;
  [[nodiscard]] double cpu_s() const { return cpu_end_s_ - cpu_start_s_; }

 private:
  std::uint64_t started_ns_ = 0;
  std::uint64_t stopped_ns_ = 0;
  double cpu_start_s_ = 0;
  double cpu_end_s_ = 0;
};

}  // namespace bench
