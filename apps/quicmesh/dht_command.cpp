// `quicmesh dht put|get|find|resolve`: the DHT.
#include "invocation.hpp"
#include "node_command.hpp"

namespace quicmesh::cli {
namespace {

struct DhtFlags {
  std::string key;
  std::string value;
  bool immutable = false;
  double timeout = 15;
};

CLI::App& add_part(CLI::App& parent, Invocation& invocation, const std::string& name,
                   const std::string& description, const std::shared_ptr<DhtFlags>& flags) {
  CLI::App& command = *parent.add_subcommand(name, description);
  command.add_option("--timeout", flags->timeout, "seconds to wait (15)")
      ->check(number_between(0.001, 86'400));
  add_node_settings(command, invocation);
  command.callback([&invocation, flags, name] {
    invocation.run = [flags, name](const Settings& settings, Output& output) {
      boost::json::object request{{"cmd", "dht_" + name},
                                  {"key", flags->key},
                                  {"value", flags->value},
                                  {"immutable", flags->immutable},
                                  {"timeout", flags->timeout}};
      return run_with_node(settings, output, {.request = std::move(request)});
    };
  });
  return command;
}

}  // namespace

void add_dht_command(CLI::App& app, Invocation& invocation) {
  CLI::App& dht = *app.add_subcommand("dht", "put and get values, find nodes");
  dht.require_subcommand(1);
  add_example(dht, "quicmesh dht resolve NODEID --bootstrap NODEID@203.0.113.7:4433");

  auto put = std::make_shared<DhtFlags>();
  CLI::App& put_command =
      add_part(dht, invocation, "put", "keep a value under a name of this node's own", put);
  put_command.add_option("KEY", put->key, "the name, at most 32 bytes; with --immutable the value")
      ->required();
  put_command.add_option("VALUE", put->value, "at most 1024 bytes");
  put_command.add_flag("--immutable", put->immutable, "keep KEY itself, under its hash");
  add_example(put_command, "quicmesh dht put greeting hello");

  auto get = std::make_shared<DhtFlags>();
  CLI::App& get_command = add_part(dht, invocation, "get", "the value under a key", get);
  get_command
      .add_option("KEY", get->key,
                  "signed:HEX or immutable:HEX, as `put` tells it, or a name of one's own")
      ->required();
  add_example(get_command, "quicmesh dht get greeting");

  auto find = std::make_shared<DhtFlags>();
  CLI::App& find_command = add_part(dht, invocation, "find", "the nodes nearest to a key", find);
  find_command.add_option("KEY", find->key, "a NODEID, signed:HEX or immutable:HEX")->required();
  add_example(find_command, "quicmesh dht find NODEID");

  auto resolve = std::make_shared<DhtFlags>();
  CLI::App& resolve_command =
      add_part(dht, invocation, "resolve", "where a node says that it is", resolve);
  resolve_command.add_option("NODE", resolve->key, "NODEID")->required();
  add_example(resolve_command, "quicmesh dht resolve NODEID");
}

}  // namespace quicmesh::cli
