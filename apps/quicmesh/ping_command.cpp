// `quicmesh ping NODE`: dials a node and measures round trips.
#include "invocation.hpp"
#include "node_command.hpp"

namespace quicmesh::cli {
namespace {

struct PingFlags {
  std::string node;
  int count = 4;
  double interval = 1;
  double timeout = 10;
  bool until_direct = false;
};

}  // namespace

void add_ping_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("ping", "dial a node and measure round trips");
  auto flags = std::make_shared<PingFlags>();
  command.add_option("NODE", flags->node, "NODEID or NODEID@host:port")->required();
  command.add_option("--count", flags->count, "pings to send (4)")
      ->check(CLI::Range(1, 1'000'000'000));
  command.add_option("--interval", flags->interval, "seconds between pings (1)")
      ->check(number_between(0, 86'400));
  command
      .add_option("--timeout", flags->timeout, "seconds to wait for the dial and each pong (10)")
      ->check(number_between(0.001, 86'400));
  command.add_flag("--until-direct", flags->until_direct, "stop when the path is direct");
  add_node_settings(command, invocation);
  add_example(command, "quicmesh ping NODEID@192.0.2.1:4433 --count 3");
  command.callback([&invocation, flags] {
    invocation.run = [flags](const Settings& settings, Output& output) {
      boost::json::object request{{"cmd", "ping"},
                                  {"node", flags->node},
                                  {"count", flags->count},
                                  {"interval", flags->interval},
                                  {"timeout", flags->timeout},
                                  {"until_direct", flags->until_direct}};
      if (const auto parsed = node_of(request, "node"); !parsed) {
        output.fail(parsed.error());
        return parsed.error().exit_code;
      }
      return run_with_node(settings, output, {.request = std::move(request)});
    };
  });
}

}  // namespace quicmesh::cli
