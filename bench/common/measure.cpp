// Clocks, CPU time, memory and order statistics; see measure.hpp.
#include "common/measure.hpp"

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>

namespace bench {

namespace {

double cpu_of(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& value) {
    return static_cast<double>(value.tv_sec) + static_cast<double>(value.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

std::uint64_t now_ns() {
  timespec value{};
  clock_gettime(CLOCK_MONOTONIC, &value);
  return static_cast<std::uint64_t>(value.tv_sec) * ns_per_s +
         static_cast<std::uint64_t>(value.tv_nsec);
}

double process_cpu_s() {
  return cpu_of(RUSAGE_SELF);
}

double thread_cpu_s() {
  return cpu_of(RUSAGE_THREAD);
}

double resident_kib() {
  FILE* file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr) fail("cannot read /proc/self/statm");
  unsigned long size = 0;
  unsigned long resident = 0;
  const int fields = std::fscanf(file, "%lu %lu", &size, &resident);
  std::fclose(file);
  if (fields != 2) fail("cannot parse /proc/self/statm");
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / 1024.0;
}

double heap_kib() {
  const auto info = mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd) / 1024.0;
}

void pin_to_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (sched_setaffinity(0, sizeof set, &set) != 0) fail("cannot pin to the requested core");
}

void fail(std::string_view message) {
  std::fprintf(stderr, "error: %.*s\n", static_cast<int>(message.size()), message.data());
  std::exit(1);
}

std::uint64_t percentile(std::vector<std::uint64_t>& samples, double fraction) {
  if (samples.empty()) return 0;
  const auto last = static_cast<double>(samples.size() - 1);
  const auto rank = static_cast<std::ptrdiff_t>(fraction * last + 0.5);
  std::nth_element(samples.begin(), samples.begin() + rank, samples.end());
  return samples[static_cast<std::size_t>(rank)];
}

double gbit_per_s(std::uint64_t bytes, double seconds) {
  return seconds > 0 ? static_cast<double>(bytes) * 8e-9 / seconds : 0;
}

void Stopwatch::start() {
  started_ns_ = now_ns();
  cpu_start_s_ = process_cpu_s();
  stopped_ns_ = started_ns_;
  cpu_end_s_ = cpu_start_s_;
}

void Stopwatch::stop() {
  stopped_ns_ = now_ns();
  cpu_end_s_ = process_cpu_s();
}

double Stopwatch::wall_s() const {
  return static_cast<double>(stopped_ns_ - started_ns_) / static_cast<double>(ns_per_s);
}

}  // namespace bench
