// The benchmarks of `quicmesh bench`: each is one function, in a file bench_<name>.cpp of its own.
//
// To add one: declare its function here, and give it a line in the table of bench_registry.cpp.
// The function measures, and returns a report of flat keys; the command prints it, as one JSON line
// or as a table. Progress goes to stderr.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include <boost/json/object.hpp>

namespace quicmesh::cli {

/// What the user may say about every benchmark.
struct BenchOptions {
  double seconds = 5;                                      // of measuring
  std::map<std::string, std::string, std::less<>> values;  // --set key=value, of this benchmark
  std::string binary_folder;  // where `quicmesh` is: the yardsticks stand beside it
};

struct BenchReport {
  boost::json::object figures;  // flat keys of its own, and "ok"; "error" if it failed
  int exit_code = 0;            // 0 done, 1 failed or below its bar, 2 bad value in `values`
};

struct Bench {
  std::string_view name;
  std::string_view description;  // one line
  BenchReport (*run)(const BenchOptions& options) = nullptr;
};

BenchReport bench_quic(const BenchOptions& options);
BenchReport bench_rpc(const BenchOptions& options);
BenchReport bench_connect(const BenchOptions& options);
BenchReport bench_handshake(const BenchOptions& options);
BenchReport bench_memory(const BenchOptions& options);
BenchReport bench_relay(const BenchOptions& options);
BenchReport bench_dht(const BenchOptions& options);
BenchReport bench_simulator(const BenchOptions& options);

/// All benchmarks, in the order of `bench list`.
std::span<const Bench> benches();

}  // namespace quicmesh::cli
