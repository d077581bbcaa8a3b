// See child_process.hpp.
#include "child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>

#include "interrupts.hpp"
#include "output.hpp"
#include "settings.hpp"

namespace quicmesh::cli {
namespace {

using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds look_every(20);

/// In the child, between fork and exec: async-signal-safe calls only.
[[noreturn]] void become(char* const* arguments, char* const* environment, int network, int output,
                         int log, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before the call above
  // Ctrl-C goes to the demo, which ends its children in order.
  ::setpgid(0, 0);
  if (network >= 0 && ::setns(network, CLONE_NEWNET) != 0) ::_exit(127);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execve("/proc/self/exe", arguments, environment);
  ::_exit(127);
}

std::vector<std::string> environment_without_settings(const std::string& config_folder) {
  constexpr std::string_view config_home = "XDG_CONFIG_HOME=";
  std::vector<std::string> variables{std::string(config_home) + config_folder};
  for (char** variable = ::environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    if (!text.starts_with(environment_prefix) && !text.starts_with(config_home))
      variables.emplace_back(text);
  }
  return variables;
}

/// What exec takes; it points into `texts`.
std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts)
    pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

ChildProcess::ChildProcess(ChildProcess&& other) noexcept {
  *this = std::move(other);
}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  std::swap(pid_, other.pid_);
  std::swap(output_, other.output_);
  std::swap(rest_, other.rest_);
  std::swap(events_, other.events_);
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

std::optional<ChildProcess> ChildProcess::start(const std::vector<std::string>& arguments,
                                                const Surroundings& surroundings) {
  std::vector<std::string> words{"quicmesh", "--json"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment_without_settings(surroundings.config_folder);
  variables.insert(variables.end(), surroundings.variables.begin(), surroundings.variables.end());
  const auto word_pointers = pointers_to(words);
  const auto variable_pointers = pointers_to(variables);
  const io::FileDescriptor log(
      ::open(surroundings.log_file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  io::FileDescriptor network;
  if (!surroundings.network.empty()) {
    network = io::FileDescriptor(::open(surroundings.network.c_str(), O_RDONLY | O_CLOEXEC));
    if (!network) return std::nullopt;
  }
  std::array<int, 2> ends{};
  if (!log || ::pipe2(ends.data(), O_CLOEXEC) != 0) return std::nullopt;
  ChildProcess child;
  child.output_ = io::FileDescriptor(ends[0]);
  const io::FileDescriptor writing(ends[1]);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return std::nullopt;
  if (pid == 0)
    become(word_pointers.data(), variable_pointers.data(), network.get(), writing.get(), log.get(),
           parent);
  child.pid_ = pid;
  return child;
}

bool ChildProcess::read_more(Clock::time_point until) {
  while (Clock::now() < until && !interrupted()) {
    pollfd watched{.fd = output_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&watched, 1, static_cast<int>(look_every.count())) <= 0) continue;
    std::array<char, 16'384> buffer{};
    const ssize_t size = ::read(output_.get(), buffer.data(), buffer.size());
    if (size <= 0) return false;
    rest_.append(buffer.data(), static_cast<std::size_t>(size));
    std::size_t begin = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos;
         end = rest_.find('\n', begin)) {
      boost::json::object event;
      if (parse_object(std::string_view(rest_).substr(begin, end - begin), event))
        events_.push_back(std::move(event));
      begin = end + 1;
    }
    rest_.erase(0, begin);
    return true;
  }
  return false;
}

std::optional<boost::json::object> ChildProcess::next(const Predicate& wanted, Milliseconds limit) {
  const auto until = Clock::now() + limit;
  while (true) {
    while (!events_.empty()) {
      boost::json::object event = std::move(events_.front());
      events_.pop_front();
      if (wanted(event)) return event;
    }
    if (!read_more(until)) return std::nullopt;
  }
}

std::optional<boost::json::object> ChildProcess::next(std::string_view event, Milliseconds limit) {
  return next([&](const boost::json::object& object) { return text_of(object, "event") == event; },
              limit);
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0) ::kill(pid_, number);
}

int ChildProcess::wait(Milliseconds limit) {
  const auto until = Clock::now() + limit;
  while (pid_ > 0) {
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (Clock::now() > until || interrupted()) break;
    std::this_thread::sleep_for(look_every / 4);
  }
  return -1;
}

}  // namespace quicmesh::cli
