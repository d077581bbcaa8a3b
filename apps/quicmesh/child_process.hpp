// ChildProcess: a `quicmesh --json ...` that this process starts, reads the events of, and ends.
//
// The child is told to die with its parent (PR_SET_PDEATHSIG), so that not even a killed demo
// leaves nodes behind. What it writes to stderr is kept apart, in a file. Everything that waits on
// a child gives up soon after an interrupt (interrupts.hpp).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/object.hpp>

#include "io/file_descriptor.hpp"

namespace quicmesh::cli {

class ChildProcess {
 public:
  ChildProcess() = default;
  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  /// Kills it if it still runs.
  ~ChildProcess();

  struct Surroundings {
    std::string log_file;       // stderr goes there
    std::string config_folder;  // stands for XDG_CONFIG_HOME
    std::string network;        // file of the network namespace to run in; empty for this one
    std::vector<std::string> variables;  // further ones, as NAME=value
  };

  /// Runs /proc/self/exe with `arguments`. Of the settings of this process, in its environment or
  /// its user's file, the child sees nothing. Empty if it cannot.
  static std::optional<ChildProcess> start(const std::vector<std::string>& arguments,
                                           const Surroundings& surroundings);

  [[nodiscard]] pid_t pid() const { return pid_; }

  /// The next event for which `wanted` holds; those before it are dropped. Nothing if the child
  /// ends or `limit` passes first.
  using Predicate = std::function<bool(const boost::json::object& event)>;
  std::optional<boost::json::object> next(const Predicate& wanted, std::chrono::milliseconds limit);
  std::optional<boost::json::object> next(std::string_view event, std::chrono::milliseconds limit);

  void signal(int number) const;
  /// Its exit code, 128 + the signal that ended it, or -1 after `limit`.
  int wait(std::chrono::milliseconds limit);

 private:
  bool read_more(std::chrono::steady_clock::time_point until);

  pid_t pid_ = -1;
  io::FileDescriptor output_;
  std::string rest_;
  std::deque<boost::json::object> events_;
};

}  // namespace quicmesh::cli
