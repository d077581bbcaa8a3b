// `quicmesh demo`: five real nodes on this machine, and what a mesh can do, step by step.
//
// With --ci nothing waits, and the exit code is 0 only if every message and every byte arrived.
//
// The work is done by a child process. It can leave this machine's network for one of its own
// (demo_network.hpp) and, where that is refused, be replaced by one that stays. And whichever of
// the two is killed, the other one clears away: the nodes end with the child, and the child ends in
// order when its parent has died.
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/format.h>

#include "demo.hpp"
#include "demo_network.hpp"
#include "interrupts.hpp"
#include "invocation.hpp"

namespace quicmesh::cli {
namespace {

constexpr int exit_no_network = 99;  // between the child and its parent only
constexpr std::chrono::milliseconds look_every(20);

struct DemoRun {
  std::string folder;
  std::string log_level;
  Output& output;
  bool ci;
};

int work(const DemoRun& run, bool behind_nats) {
  if (behind_nats) {
    const auto entered = enter_demo_network(run.folder);
    if (interrupted()) return exit_interrupted;
    if (!entered) {
      run.output.event({{"event", "note"},
                        {"message", "! all on one network, for no NATs can be emulated here: " +
                                        to_line(entered.error())}});
      return exit_no_network;
    }
  }
  DemoMesh mesh(run.folder, run.log_level, behind_nats);
  Demo demo(mesh, run.output, run.ci);
  const bool good = demo.run();
  if (interrupted()) return exit_interrupted;
  demo.show_table();
  if (!good) demo.show_log();
  return good ? exit_done : exit_failed;
}

/// The exit code of a child that does the work; of one that was killed, 128 and the signal.
Outcome<int> work_in_child(const DemoRun& run, bool behind_nats) {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0)
    return std::unexpected(
        make_failure("cannot start another process", {errno, std::generic_category()}));
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    std::signal(SIGHUP, SIG_IGN);  // the parent ends by it, and with that this one in order
    int code = exit_interrupted;
    if (::getppid() == parent) code = work(run, behind_nats);
    // Nothing of the parent's is undone here.
    std::_Exit(run.output.finish(code));
  }
  for (bool told = false;; std::this_thread::sleep_for(look_every)) {
    int status = 0;
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (interrupted() && !told) told = ::kill(child, SIGTERM) == 0;
  }
}

int run_demo(const Settings& settings, Output& output, bool ci) {
  watch_for_interrupts();
  const auto folder = make_demo_folder();
  if (!folder) {
    output.fail(folder.error());
    return folder.error().exit_code;
  }
  const DemoRun run{
      .folder = *folder, .log_level = settings.text("log"), .output = output, .ci = ci};
  auto code = work_in_child(run, true);
  if (code == exit_no_network) code = work_in_child(run, false);
  remove_demo_folder(*folder);
  if (code) return *code;
  output.fail(code.error());
  return code.error().exit_code;
}

}  // namespace

void add_demo_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      *app.add_subcommand("demo", "a whole mesh on this machine in a minute, explained");
  auto ci = std::make_shared<bool>(false);
  command.add_flag("--ci", *ci, "end by itself, and fail if anything was lost");
  add_example(command, "quicmesh demo");
  command.callback([&invocation, ci] {
    invocation.run = [ci](const Settings& settings, Output& output) {
      return run_demo(settings, output, *ci);
    };
  });
}

}  // namespace quicmesh::cli
