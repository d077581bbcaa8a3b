// See bench_process.hpp.
#include "bench_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "output.hpp"

namespace quicmesh::cli {
namespace {

constexpr Duration yardstick_limit = 90s;
constexpr std::size_t line_max = 1u << 20;

using Clock = std::chrono::steady_clock;

int milliseconds_until(Clock::time_point end) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

[[noreturn]] void become(const std::vector<std::string>& arguments, int input, int output) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  (void)::dup2(input, STDIN_FILENO);
  (void)::dup2(output, STDOUT_FILENO);
  std::vector<char*> words;
  for (const std::string& argument : arguments)
    words.push_back(const_cast<char*>(argument.c_str()));
  words.push_back(nullptr);
  (void)::execv(words.front(), words.data());
  ::_exit(127);
}

struct Pipe {
  io::FileDescriptor reading;
  io::FileDescriptor writing;
};

/// Nothing, and errno, if there can be none.
std::optional<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  return Pipe{.reading = io::FileDescriptor(ends[0]), .writing = io::FileDescriptor(ends[1])};
}

}  // namespace

double rounded(double figure) {
  if (figure == 0 || !std::isfinite(figure)) return 0;
  const double scale = std::pow(10.0, 3 - std::floor(std::log10(std::fabs(figure))));
  return std::round(figure * scale) / scale;
}

double Figure::quantile(double fraction) const {
  if (values_.empty()) return 0;
  std::vector<double> sorted = values_;
  std::ranges::sort(sorted);
  const auto last = static_cast<double>(sorted.size() - 1);
  return sorted[static_cast<std::size_t>(std::lround(fraction * last))];
}

void Figure::put(boost::json::object& figures, const std::string& key) const {
  figures[key] = rounded(median());
  figures[key + "_min"] = rounded(quantile(0));
  figures[key + "_max"] = rounded(quantile(1));
}

Measured<void> pin_to_cpu(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) {
    return std::unexpected("cannot pin to core " + std::to_string(cpu) + ": " +
                           std::strerror(errno));
  }
  return {};
}

double process_cpu_seconds() {
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& value) {
    return static_cast<double>(value.tv_sec) + static_cast<double>(value.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double resident_kib() {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen("/proc/self/statm", "r"),
                                                       std::fclose);
  unsigned long size = 0;
  unsigned long resident = 0;
  if (!file || std::fscanf(file.get(), "%lu %lu", &size, &resident) != 2) return 0;
  return static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE)) / 1024.0;
}

Measured<std::unique_ptr<BenchProcess>> BenchProcess::start(
    const std::vector<std::string>& arguments) {
  auto input = make_pipe();
  auto output = make_pipe();
  if (!input || !output)
    return std::unexpected(std::string("cannot make a pipe: ") + std::strerror(errno));
  std::fflush(nullptr);
  const pid_t pid = ::fork();
  if (pid == 0) become(arguments, input->reading.get(), output->writing.get());
  if (pid < 0) return std::unexpected(std::string("cannot fork: ") + std::strerror(errno));
  return std::unique_ptr<BenchProcess>(new BenchProcess(
      arguments.front(), pid, std::move(input->writing), std::move(output->reading)));
}

BenchProcess::~BenchProcess() {
  (void)::kill(pid_, SIGKILL);
  (void)::waitpid(pid_, nullptr, 0);
}

Measured<boost::json::object> BenchProcess::next(Duration limit) {
  const Clock::time_point end = Clock::now() + limit;
  for (;;) {
    const std::size_t newline = pending_.find('\n');
    if (newline != std::string::npos) {
      const std::string line = pending_.substr(0, newline);
      pending_.erase(0, newline + 1);
      boost::json::object object;
      if (!parse_object(line, object)) return std::unexpected(name_ + " printed: " + line);
      const auto* error = object.if_contains("error");
      if (error != nullptr && error->is_string()) {
        return std::unexpected(std::string(error->as_string()));
      }
      return object;
    }
    pollfd wanted{output_.get(), POLLIN, 0};
    const int left = milliseconds_until(end);
    const int ready = left == 0 ? 0 : ::poll(&wanted, 1, left);
    if (ready == 0) return std::unexpected(name_ + " did not answer in time");
    if (ready < 0 && errno == EINTR) continue;
    std::array<char, 4096> buffer;
    const ssize_t count = ready < 0 ? -1 : ::read(output_.get(), buffer.data(), buffer.size());
    if (count < 0) return std::unexpected(name_ + " cannot be read: " + std::strerror(errno));
    if (count == 0) return std::unexpected(name_ + " ended without a report");
    pending_.append(buffer.data(), static_cast<std::size_t>(count));
    if (pending_.size() > line_max) return std::unexpected(name_ + " printed too much");
  }
}

Measured<boost::json::object> BenchProcess::ask(std::string_view line, Duration limit) {
  const std::string text = std::string(line) + "\n";
  if (::write(input_.get(), text.data(), text.size()) < 0) {
    return std::unexpected(name_ + " does not listen");
  }
  return next(limit);
}

Measured<boost::json::object> run_yardstick(const BenchOptions& options, const std::string& program,
                                            std::initializer_list<std::string> arguments) {
  std::vector<std::string> words = {options.binary_folder + "/" + program};
  if (::access(words.front().c_str(), X_OK) != 0) {
    return std::unexpected("the yardstick " + words.front() + " is not there");
  }
  words.insert(words.end(), arguments);
  const auto process = BenchProcess::start(words);
  if (!process) return std::unexpected(process.error());
  return (*process)->next(yardstick_limit);
}

Measured<std::unique_ptr<BenchProcess>> start_end(const BenchOptions& options,
                                                  const std::string& bench, const std::string& role,
                                                  std::vector<std::string> values) {
  std::vector<std::string> words = {
      options.binary_folder + "/quicmesh", "--json", "bench", bench, "--set", "role=" + role};
  for (std::string& value : values) {
    words.emplace_back("--set");
    words.push_back(std::move(value));
  }
  return BenchProcess::start(words);
}

double figure_in(const boost::json::object& object, std::string_view key, std::string_view inside) {
  if (!inside.empty()) {
    const auto* inner = object.if_contains(inside);
    return inner != nullptr && inner->is_object() ? number_of(inner->as_object(), key) : 0;
  }
  return number_of(object, key);
}

Measured<BenchValues> BenchValues::read(const BenchOptions& options,
                                        std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : options.values) {
    if (std::ranges::find(known, key) != known.end()) continue;
    std::string list;
    for (const std::string_view one : known)
      list += (list.empty() ? "" : ", ") + std::string(one);
    return std::unexpected("--set " + key + ": this benchmark knows " + list);
  }
  return BenchValues(options);
}

std::string BenchValues::text(std::string_view key, std::string_view fallback) const {
  const auto found = values_.find(key);
  return found == values_.end() ? std::string(fallback) : found->second;
}

std::uint64_t BenchValues::count(std::string_view key, std::uint64_t fallback,
                                 std::uint64_t max) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return fallback;
  std::uint64_t value = 0;
  const std::string& text = found->second;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  return parsed.ec == std::errc{} && value > 0 ? std::min(value, max) : fallback;
}

BenchReport failed_report(const std::string& error, int exit_code) {
  return {{{"error", error}, {"ok", false}}, exit_code};
}

BenchReport finished_report(boost::json::object figures, bool ok) {
  figures["ok"] = ok;
  return {std::move(figures), ok ? 0 : 1};
}

}  // namespace quicmesh::cli
