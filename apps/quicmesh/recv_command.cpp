// `quicmesh recv`: takes the files that others send.
#include <boost/json/array.hpp>

#include "invocation.hpp"
#include "node_command.hpp"

namespace quicmesh::cli {
namespace {

struct RecvFlags {
  bool once = false;
  std::vector<std::string> from;
};

int run_recv(const Settings& settings, Output& output, const RecvFlags& flags) {
  boost::json::array from;
  for (const std::string& sender : flags.from) {
    if (const auto parsed = node_of({{"node", sender}}, "node"); !parsed) {
      output.fail(parsed.error());
      return parsed.error().exit_code;
    }
    from.emplace_back(sender);
  }
  boost::json::object request{{"cmd", "recv"},
                              {"out", absolute_path(settings.text("out"))},
                              {"once", flags.once},
                              {"from", std::move(from)}};
  // To be interrupted is how an open inbox ends, and no failure as long as nothing was arriving.
  return run_with_node(settings, output,
                       {.interrupted_code = flags.once ? exit_interrupted : exit_done,
                        .request = std::move(request)});
}

}  // namespace

void add_recv_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("recv", "receive files until interrupted");
  auto flags = std::make_shared<RecvFlags>();
  add_setting(command, invocation, "--out", "out");
  command.add_flag("--once", flags->once, "end with the first file");
  command.add_option("--from", flags->from, "take files of this node only; may be repeated")
      ->allow_extra_args(false);
  add_node_settings(command, invocation);
  add_example(command, "quicmesh recv --out ~/inbox --listen 0.0.0.0:4433");
  command.callback([&invocation, flags] {
    invocation.run = [flags](const Settings& settings, Output& output) {
      return run_recv(settings, output, *flags);
    };
  });
}

}  // namespace quicmesh::cli
