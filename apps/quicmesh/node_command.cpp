// See node_command.hpp.
#include "node_command.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>

#include "control_client.hpp"
#include "control_server.hpp"
#include "data_folder.hpp"

namespace quicmesh::cli {
namespace {

using namespace asio::experimental::awaitable_operators;

constexpr Duration look_for_clients_every = 20ms;
constexpr int attempts_max = 5;

/// One process that has a node. The members are declared in the order in which they must outlive
/// each other: the frames of the coroutines die with the context and refer to host and control.
struct HostProcess {
  NodeHost host;
  const DataFolder& folder;
  Output& output;
  NodeRun run;
  ControlState control;
  int code = exit_failed;
};

asio::awaitable<int> run_body(HostProcess& process) {
  int code = exit_failed;
  try {
    EventSink emit = process.output.sink();
    if (process.run.body) {
      auto running = process.run.body(process.host, std::move(emit));
      code = co_await std::move(running);
    } else {
      Operation operation{
          .host = process.host, .request = process.run.request, .emit = std::move(emit)};
      auto running = run_operation(std::move(operation));
      code = co_await std::move(running);
    }
  } catch (const std::exception& error) {
    spdlog::debug("operation: {}", error.what());  // cancelled, as a rule
  }
  co_return code;
}

asio::awaitable<void> serve_clients_to_their_end(HostProcess& process) {
  while (process.control.clients > 0) {
    auto resting = pause_for(look_for_clients_every);
    co_await std::move(resting);
  }
}

// Hashing and file system calls that may block; one long hash must not hold up the others.
constexpr std::size_t blocking_threads = 4;

// Whoever interrupts twice does not want to wait: for peers, or for the hash of a large file.
void exit_at_next_signal(asio::signal_set& signals) {
  signals.async_wait([](boost::system::error_code error, int) {
    if (!error) std::_Exit(exit_interrupted);
  });
}

asio::awaitable<void> wait_for_signal(asio::signal_set& signals) {
  auto waiting = signals.async_wait(asio::as_tuple(asio::use_awaitable));
  const auto [error, number] = co_await std::move(waiting);
  if (!error) exit_at_next_signal(signals);
}

/// Waits for the reader of a pipe to go: a node that says nothing for hours would not notice it by
/// writing.
asio::awaitable<void> watch_reader(Output& output) {
  struct stat status{};
  if (::fstat(STDOUT_FILENO, &status) != 0 || !S_ISFIFO(status.st_mode)) co_return;
  // Opened anew, since Asio makes it non-blocking, and stdout is shared with others who write
  // there.
  const int own = ::open("/proc/self/fd/1", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  if (own < 0) {
    if (errno == ENXIO) output.on_reader_gone();
    co_return;
  }
  asio::posix::stream_descriptor pipe(co_await asio::this_coro::executor, own);
  auto waiting = pipe.async_wait(asio::posix::stream_descriptor::wait_error,
                                 asio::as_tuple(asio::use_awaitable));
  const auto [error] = co_await std::move(waiting);
  if (!error) output.on_reader_gone();
}

/// The work of a started host, until it ends by itself or by a signal.
asio::awaitable<int> work(HostProcess& process, asio::signal_set& signals) {
  auto running = run_body(process);
  auto signalled = wait_for_signal(signals);
  auto race = std::move(running) || std::move(signalled);
  const auto outcome = co_await std::move(race);
  if (process.control.close) process.control.close();
  if (outcome.index() == 1) {
    process.output.hurry();
    co_return process.host.files_cut_short > 0 ? exit_interrupted : process.run.interrupted_code;
  }
  auto serving = serve_clients_to_their_end(process);
  auto signalled_then = wait_for_signal(signals);
  auto second_race = std::move(serving) || std::move(signalled_then);
  (void)co_await std::move(second_race);
  co_return std::get<0>(outcome);
}

/// Not `nohup`: then the terminal may go.
bool ends_with_terminal() {
  struct sigaction action{};
  return ::sigaction(SIGHUP, nullptr, &action) == 0 && action.sa_handler == SIG_DFL;
}

asio::awaitable<void> run_host(HostProcess& process, asio::io_context& context,
                               asio::thread_pool& pool) {
  asio::signal_set signals(context, SIGINT, SIGTERM);
  if (ends_with_terminal()) signals.add(SIGHUP);
  asio::co_spawn(context, watch_reader(process.output), asio::detached);
  auto starting = process.host.start(pool);
  auto started = co_await std::move(starting);
  if (started) started = start_control_server(context, process.folder, process.control);
  if (started) {
    auto working = work(process, signals);
    process.code = co_await std::move(working);
  } else {
    process.output.fail(started.error());
    process.code = started.error().exit_code;
  }
  exit_at_next_signal(signals);
  if (process.host.node()) {
    auto closing = process.host.close();
    co_await std::move(closing);
  }
}

std::string what_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& exception) {
    return exception.what();
  }
}

/// The flags that say nothing to a node that is up: those of its own that `request` does not carry.
std::string flags_without_effect(const Settings& settings, const boost::json::object& request) {
  constexpr std::array<std::string_view, 3> of_this_process{"data", "log", "json"};
  std::string flags;
  for (const SettingSpec& spec : setting_specs()) {
    const std::string& source = settings.value(spec.key).source;
    if (!source.starts_with("--") || request.contains(spec.key)) continue;
    if (std::ranges::find(of_this_process, spec.key) != of_this_process.end()) continue;
    flags += (flags.empty() ? "" : ", ") + source;
  }
  return flags;
}

int run_host_process(const Settings& settings, const DataFolder& folder, Output& output,
                     NodeRun run) {
  HostProcess process{.host = NodeHost(settings),
                      .folder = folder,
                      .output = output,
                      .run = std::move(run),
                      .control = {}};
  process.control.host = &process.host;
  // What stays up says first where it is.
  const bool stays = process.run.body || text_of(process.run.request, "cmd") == "recv";
  output.write_in_background(stays);
  process.host.stays = stays;
  {
    asio::io_context context(1);
    asio::thread_pool pool(blocking_threads);
    asio::co_spawn(context, run_host(process, context, pool), [&](const std::exception_ptr& error) {
      if (error)
        process.output.fail({.code = "internal", .message = "unexpected: " + what_of(error)});
      context.stop();
    });
    context.run();
    pool.join();
  }
  return process.code;
}

}  // namespace

int run_own_node(const Settings& settings, Output& output, NodeRun run) {
  const DataFolder folder(settings.text("data"));
  const auto lock = folder.try_lock();
  if (!lock) {
    output.fail(lock.error());
    return lock.error().exit_code;
  }
  if (!*lock) {
    output.fail({.code = "already_running",
                 .message = fmt::format("a node with the data folder {} runs already (process {})",
                                        folder.path(), folder.lock_owner()),
                 .hint = "stop it, or give this one a folder of its own with --data"});
    return exit_failed;
  }
  return run_host_process(settings, folder, output, std::move(run));
}

int run_with_node(const Settings& settings, Output& output, NodeRun run) {
  const DataFolder folder(settings.text("data"));
  for (int attempt = 1;; ++attempt) {
    const auto lock = folder.try_lock();
    if (!lock) {
      output.fail(lock.error());
      return lock.error().exit_code;
    }
    if (*lock) return run_host_process(settings, folder, output, std::move(run));
    if (const std::string flags = flags_without_effect(settings, run.request);
        attempt == 1 && !flags.empty()) {
      spdlog::warn("the node of {} is up already and keeps its settings: {} has no effect",
                   folder.path(), flags);
    }
    const auto code = ask_running_node(folder, run.request, output.sink(), run.interrupted_code);
    if (code) return *code;
    // The process that had the folder has ended meanwhile.
    if (code.error().code == "not_running" && attempt < attempts_max) continue;
    output.fail(code.error());
    return code.error().exit_code;
  }
}

int run_with_running_node(const Settings& settings, Output& output,
                          const boost::json::object& request) {
  const DataFolder folder(settings.text("data"));
  const auto code = ask_running_node(folder, request, output.sink(), exit_interrupted);
  if (code) return *code;
  output.fail(code.error());
  return code.error().exit_code;
}

}  // namespace quicmesh::cli
