// `quicmesh doctor`: what this network is like, and what it will allow.
#include <boost/json/array.hpp>

#include "invocation.hpp"
#include "node_command.hpp"

namespace quicmesh::cli {

void add_doctor_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command =
      *app.add_subcommand("doctor", "what this network is like and what it will allow");
  add_node_settings(command, invocation);
  add_example(command, "quicmesh doctor --stun 192.0.2.1:3478 --stun 192.0.2.2:3478");
  command.callback([&invocation] {
    invocation.run = [](const Settings& settings, Output& output) {
      boost::json::array stun;
      for (const SocketAddress& server : settings.addresses("stun"))
        stun.emplace_back(server.to_string());
      return run_with_node(settings, output,
                           {.request = {{"cmd", "doctor"}, {"stun", std::move(stun)}}});
    };
  });
}

}  // namespace quicmesh::cli
