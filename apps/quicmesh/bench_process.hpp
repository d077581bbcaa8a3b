// What the benchmarks of `quicmesh bench` share: processes that report by lines of JSON, figures of
// repeated runs, and the values that a user gives by --set.
//
// A benchmark has two ends, each a process of this very binary with the hidden value `role`,
// pinned to a core of its own; the command itself only starts them, waits and sums up. Yardsticks
// are the programs of bench/ beside the binary. The runs of both alternate, so that what else
// happens on the machine meets both.
#pragma once

#include <sys/types.h>

#include <expected>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <boost/json/object.hpp>

#include "bench_registry.hpp"
#include "io/file_descriptor.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::cli {

/// A value, or what went wrong in a sentence.
template <class T>
using Measured = std::expected<T, std::string>;

/// One figure, measured several times.
class Figure {
 public:
  void add(double value) { values_.push_back(value); }
  [[nodiscard]] bool empty() const { return values_.empty(); }
  [[nodiscard]] std::size_t count() const { return values_.size(); }
  /// The value below which `fraction` of all lie (nearest rank); 0 without any.
  [[nodiscard]] double quantile(double fraction) const;
  [[nodiscard]] double median() const { return quantile(0.5); }
  /// Puts the median as `key`, and the extremes as `key_min` and `key_max`.
  void put(boost::json::object& figures, const std::string& key) const;

 private:
  std::vector<double> values_;
};

/// `figure` rounded to what a reader can use: four digits.
[[nodiscard]] double rounded(double figure);

/// Pins this process, with the threads it starts from now on, to one core.
[[nodiscard]] Measured<void> pin_to_cpu(int cpu);
/// User and system time of this process, all threads.
[[nodiscard]] double process_cpu_seconds();
[[nodiscard]] double resident_kib();

/// A child that is told and answers in lines; it is killed with this process, or by the destructor.
class BenchProcess {
 public:
  static Measured<std::unique_ptr<BenchProcess>> start(const std::vector<std::string>& arguments);
  ~BenchProcess();
  BenchProcess(const BenchProcess&) = delete;
  BenchProcess& operator=(const BenchProcess&) = delete;

  [[nodiscard]] pid_t pid() const { return pid_; }
  /// The next line of its stdout, which must be a JSON object.
  Measured<boost::json::object> next(Duration limit);
  /// Writes a line to its stdin, and reads the answer.
  Measured<boost::json::object> ask(std::string_view line, Duration limit);

 private:
  BenchProcess(std::string name, pid_t pid, io::FileDescriptor input, io::FileDescriptor output)
      : name_(std::move(name)), pid_(pid), input_(std::move(input)), output_(std::move(output)) {}

  std::string name_;
  pid_t pid_;
  io::FileDescriptor input_;   // its stdin
  io::FileDescriptor output_;  // its stdout
  std::string pending_;
};

/// Runs a program of bench/ to its end and returns what it prints.
Measured<boost::json::object> run_yardstick(const BenchOptions& options, const std::string& program,
                                            std::initializer_list<std::string> arguments);

/// Starts one end of benchmark `bench` as a process of its own.
Measured<std::unique_ptr<BenchProcess>> start_end(const BenchOptions& options,
                                                  const std::string& bench, const std::string& role,
                                                  std::vector<std::string> values);

/// A number among the keys of `object` and of the object under `inside`, if that is not empty.
[[nodiscard]] double figure_in(const boost::json::object& object, std::string_view key,
                               std::string_view inside = {});

/// The values given by --set, all of which must be among `known`.
class BenchValues {
 public:
  explicit BenchValues(const BenchOptions& options) : values_(options.values) {}
  /// Refuses keys that this benchmark does not know.
  static Measured<BenchValues> read(const BenchOptions& options,
                                    std::initializer_list<std::string_view> known);
  [[nodiscard]] std::string text(std::string_view key, std::string_view fallback) const;
  /// A whole number in [1, max]; `fallback` if it is none.
  [[nodiscard]] std::uint64_t count(std::string_view key, std::uint64_t fallback,
                                    std::uint64_t max) const;
  /// True unless it is "off".
  [[nodiscard]] bool flag(std::string_view key) const { return text(key, "on") != "off"; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

[[nodiscard]] BenchReport failed_report(const std::string& error, int exit_code = 1);
/// Adds "ok", and the exit code that goes with it.
[[nodiscard]] BenchReport finished_report(boost::json::object figures, bool ok);

inline constexpr int client_cpu = 0;
inline constexpr int server_cpu = 1;
inline constexpr std::uint64_t bench_runs = 5;
inline constexpr std::uint64_t bench_runs_max = 100;

}  // namespace quicmesh::cli
