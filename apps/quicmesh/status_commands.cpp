// `quicmesh status`, `peers`, `paths NODE` and `why NODE`: ask a running node.
#include "invocation.hpp"
#include "node_command.hpp"

namespace quicmesh::cli {
namespace {

void add_question(CLI::App& app, Invocation& invocation, const std::string& name,
                  const std::string& description) {
  CLI::App& command = *app.add_subcommand(name, description);
  add_example(command, "quicmesh " + name + " --data ~/nodes/first --json");
  command.callback([&invocation, name] {
    invocation.run = [name](const Settings& settings, Output& output) {
      return run_with_running_node(settings, output, {{"cmd", name}});
    };
  });
}

void add_question_about_node(CLI::App& app, Invocation& invocation, const std::string& name,
                             const std::string& description) {
  CLI::App& command = *app.add_subcommand(name, description);
  auto node = std::make_shared<std::string>();
  command.add_option("NODE", *node, "NODEID of the peer")->required();
  add_example(command, "quicmesh " + name + " NODEID");
  command.callback([&invocation, node, name] {
    invocation.run = [node, name](const Settings& settings, Output& output) {
      const boost::json::object request{{"cmd", name}, {"node", *node}};
      if (const auto parsed = node_of(request, "node"); !parsed) {
        output.fail(parsed.error());
        return parsed.error().exit_code;
      }
      return run_with_running_node(settings, output, request);
    };
  });
}

}  // namespace

void add_status_commands(CLI::App& app, Invocation& invocation) {
  add_question(app, invocation, "status", "what the running node is and has done");
  add_question(app, invocation, "peers", "the peers of the running node, a line each");
  add_question_about_node(app, invocation, "paths", "the running node's paths to one peer");
  add_question_about_node(app, invocation, "why",
                          "why the connection to one peer is as it is, and what would help");
}

}  // namespace quicmesh::cli
