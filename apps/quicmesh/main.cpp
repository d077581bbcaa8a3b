// The program `quicmesh`: reads the command line, then the settings, then runs one subcommand.
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>
#include <iostream>
#include <sstream>

#include <fmt/format.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include "invocation.hpp"

namespace quicmesh::cli {

namespace {

constexpr int heap_kept_bytes = 16 << 20;   // about the window of one bulk connection
constexpr int mapped_from_bytes = 4 << 20;  // larger blocks come and go with their pages

void add_global_settings(CLI::App& app, Invocation& invocation) {
  app.add_flag_callback(
      "--json", [&invocation] { invocation.flags["json"] = {"true"}; },
      std::string(find_setting("json")->description));
  add_setting(app, invocation, "--log", "log");
  add_setting(app, invocation, "--data", "data");
  app.add_option("--config", invocation.config_file, "settings in a TOML file");
  app.set_version_flag("--version", std::string("quicmesh ") + QUICMESH_VERSION);
  app.footer(
      "Order: flag > environment (QUICMESH_*) > file > default; see `quicmesh config show`.\n"
      "Exit codes: 0 done, 1 failed, 2 bad usage or configuration, 3 timed out,\n"
      "130 interrupted.\n\nExample:\n  quicmesh demo");
}

/// Before the settings are read, the command line alone tells how to speak.
bool wants_json(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--json") == 0) return true;
  }
  return false;
}

/// Drops what finds no room: a node must not wait for whoever reads its log.
class LogSink : public spdlog::sinks::stderr_color_sink_mt {
 public:
  void log(const spdlog::details::log_msg& message) override {
    pollfd room{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    if (::poll(&room, 1, 0) == 1) spdlog::sinks::stderr_color_sink_mt::log(message);
  }
};

void set_up_logging(const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("quicmesh", std::make_shared<LogSink>());
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e %^%l%$ %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
}

int parse_error(const CLI::App& app, const CLI::ParseError& error, Output& output) {
  std::string command = "quicmesh";
  for (const CLI::App* sub : app.get_subcommands())
    command += " " + sub->get_name();
  std::string message = error.what();
  for (char& character : message)
    character = character == '\n' ? ' ' : character;
  output.fail(usage_failure(message, fmt::format("see `{} --help`", command)));
  return exit_usage;
}

int run(int argc, char** argv) {
  Invocation invocation;
  invocation.program = argc > 0 ? argv[0] : "quicmesh";
  CLI::App app("Connect to a key: encrypted mesh networking.", "quicmesh");
  app.fallthrough();
  app.require_subcommand(0, 1);
  add_global_settings(app, invocation);
  add_id_command(app, invocation);
  add_up_command(app, invocation);
  add_status_commands(app, invocation);
  add_doctor_command(app, invocation);
  add_ping_command(app, invocation);
  add_dht_command(app, invocation);
  add_send_command(app, invocation);
  add_recv_command(app, invocation);
  add_config_command(app, invocation);
  add_limits_command(app, invocation);
  add_bench_command(app, invocation);
  add_sim_command(app, invocation);
  add_demo_command(app, invocation);
  Output early(wants_json(argc, argv));
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& help_or_version) {
    std::ostringstream shown;
    const int code = app.exit(help_or_version, shown, std::cerr);
    early.text(shown.str());
    return early.finish(code);
  } catch (const CLI::ParseError& error) {
    return parse_error(app, error, early);
  }
  if (!invocation.run) {
    std::fputs(app.help().c_str(), stderr);
    return exit_usage;
  }
  const auto settings = Settings::load(invocation.flags, invocation.config_file);
  if (!settings) {
    early.fail(settings.error());
    return settings.error().exit_code;
  }
  set_up_logging(settings->text("log"));
  Output output(settings->flag("json"));
  const int code = invocation.run(*settings, output);
  return output.finish(code);
}

/// Otherwise the first files that are opened would take the places of those that were closed, and
/// what is printed would land there.
void open_closed_standard_streams() {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; ++descriptor) {
    if (::fcntl(descriptor, F_GETFD) != -1) continue;
    if (::open("/dev/null", O_RDWR) != descriptor) std::_Exit(exit_failed);
  }
}

}  // namespace
}  // namespace quicmesh::cli

int main(int argc, char** argv) {
  quicmesh::cli::open_closed_standard_streams();
  // Chunks of a stream are freed by another thread than the one that fills the next. With glibc's
  // own limits the heap then shrinks and grows all the time: a quarter of a bulk receiver's CPU.
  (void)::mallopt(M_TRIM_THRESHOLD, quicmesh::cli::heap_kept_bytes);
  (void)::mallopt(M_MMAP_THRESHOLD, quicmesh::cli::mapped_from_bytes);
  // A reader that has gone and a full disk are errors of the calls that meet them.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  try {
    return quicmesh::cli::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "quicmesh: %s\n", error.what());
    return quicmesh::cli::exit_failed;
  }
}
