// See invocation.hpp.
#include "invocation.hpp"

#include <fmt/format.h>

#include <charconv>

namespace quicmesh::cli {

void add_setting(CLI::App& command, Invocation& invocation, const std::string& name,
                 const std::string& key) {
  const std::string description(find_setting(key)->description);
  auto* option = command.add_option_function<std::vector<std::string>>(
      name,
      [&invocation, key](const std::vector<std::string>& texts) { invocation.flags[key] = texts; },
      description);
  option->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

void add_node_settings(CLI::App& command, Invocation& invocation) {
  add_setting(command, invocation, "--listen", "listen");
  add_setting(command, invocation, "--bootstrap", "bootstrap");
  add_setting(command, invocation, "--dht", "dht");
  add_setting(command, invocation, "--congestion", "congestion");
  add_setting(command, invocation, "--idle-timeout", "idle_timeout");
  add_setting(command, invocation, "--keep-alive", "keep_alive");
  add_setting(command, invocation, "--handshake-timeout", "handshake_timeout");
  add_setting(command, invocation, "--max-connections", "max_connections");
  add_setting(command, invocation, "--relay-via", "relay_via");
  add_setting(command, invocation, "--relay-tls", "relay_tls");
  add_setting(command, invocation, "--relay-tls-port", "relay_tls_port");
  add_setting(command, invocation, "--stun", "stun");
  add_setting(command, invocation, "--turn", "turn");
  command.add_flag_callback(
      "--relay", [&invocation] { invocation.flags["relay"] = {"true"}; }, "forward for others");
  auto* relay_only = command.add_flag_callback(
      "--relay-only", [&invocation] { invocation.flags["path"] = {"relay"}; },
      "reach others over relays alone");
  command.add_flag_callback(
      "--no-port-mapping", [&invocation] { invocation.flags["port_mapping"] = {"false"}; },
      "do not ask the gateway to forward the port");
  command.add_flag_callback(
      "--no-mdns", [&invocation] { invocation.flags["mdns"] = {"false"}; },
      "reserved: nothing is looked for yet");
  auto* direct_only = command.add_flag_callback(
      "--direct-only", [&invocation] { invocation.flags["path"] = {"direct"}; }, "use no relay");
  relay_only->excludes(direct_only);
  command.add_flag_callback(
      "--private", [&invocation] { invocation.flags["private"] = {"true"}; },
      "reserved: nothing is announced yet");
}

CLI::Validator number_between(double least, double most) {
  const auto check = [=](const std::string& text) -> std::string {
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    const bool good = error == std::errc{} && stop == end && value >= least && value <= most;
    return good ? "" : fmt::format("{} is no number from {} to {}", text, least, most);
  };
  return CLI::Validator(check, fmt::format("[{} - {}]", least, most));
}

void add_example(CLI::App& command, const std::string& example) {
  command.footer(
      "With every command: --data DIR, --json, --log LEVEL, --config FILE (`quicmesh --help`).\n\n"
      "Example:\n  " +
      example);
}

}  // namespace quicmesh::cli
