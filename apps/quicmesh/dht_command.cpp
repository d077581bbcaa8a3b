// `quicmesh dht put|get|find|resolve|provide|providers`: the DHT.
#include <array>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include "crypto/blake3.hpp"
#include "dht/value.hpp"
#include "dht_value.hpp"
#include "invocation.hpp"
#include "node_command.hpp"
#include "quicmesh/dht.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

struct DhtFlags {
  std::string key;
  std::optional<std::string> value;
  bool immutable = false;
  double timeout = 15;
};

struct ProvideFlags {
  std::vector<std::string> contents;
  bool stop = false;
  std::size_t wanted = 16;
  double timeout = 15;
};

/// The key of a file is the hash of what is in it. It is read here, where its name means something,
/// and not by the running node.
Outcome<ContentKey> content_of(const std::string& text) {
  if (const auto key = ContentKey::parse(text)) return *key;
  if (const auto value = ValueKey::parse(text); value && value->kind == ValueKey::Kind::immutable) {
    return ContentKey{value->bytes};
  }
  std::ifstream file;
  std::error_code error;
  if (std::filesystem::is_regular_file(text, error)) file.open(text, std::ios::binary);
  if (!file.is_open()) {
    return std::unexpected(usage_failure(
        fmt::format("\"{}\" is neither a key nor a file that can be read", printable(text)),
        "name a file, immutable:HEX, or 64 hexadecimal digits"));
  }
  Blake3 hash;
  std::array<char, 65536> piece{};
  while (file.read(piece.data(), piece.size()) || file.gcount() > 0) {
    hash.update(as_bytes(std::string_view(piece.data(), static_cast<std::size_t>(file.gcount()))));
  }
  if (file.bad()) {
    return std::unexpected(usage_failure(
        fmt::format("\"{}\" cannot be read to its end", printable(text)), "look at the disk"));
  }
  return ContentKey{hash.digest()};
}

/// The keys as the node understands them.
Outcome<boost::json::array> keys_of(const std::vector<std::string>& contents) {
  boost::json::array keys;
  for (const std::string& text : contents) {
    const auto key = content_of(text);
    if (!key) return std::unexpected(key.error());
    keys.emplace_back(key->to_string());
  }
  return keys;
}

void add_provider_commands(CLI::App& dht, Invocation& invocation) {
  auto provide = std::make_shared<ProvideFlags>();
  CLI::App& provide_command =
      *dht.add_subcommand("provide", "tell others that this node has some content");
  provide_command
      .add_option("CONTENT", provide->contents, "files, or BLAKE3 hashes in 64 hexadecimal digits")
      ->required();
  provide_command.add_flag("--stop", provide->stop, "say it no more");
  provide_command.add_option("--timeout", provide->timeout, "seconds to wait for each (15)")
      ->check(number_between(0.001, 86'400));
  add_node_settings(provide_command, invocation);
  add_example(provide_command, "quicmesh dht provide holiday.mp4");
  provide_command.callback([&invocation, provide] {
    invocation.run = [provide](const Settings& settings, Output& output) {
      auto keys = keys_of(provide->contents);
      if (!keys) {
        output.fail(keys.error());
        return keys.error().exit_code;
      }
      boost::json::object request{{"cmd", "dht_provide"},
                                  {"keys", std::move(*keys)},
                                  {"stop", provide->stop},
                                  {"timeout", provide->timeout}};
      return run_with_node(settings, output, {.request = std::move(request)});
    };
  });

  auto find = std::make_shared<ProvideFlags>();
  CLI::App& find_command = *dht.add_subcommand("providers", "nodes that have some content");
  find_command
      .add_option("CONTENT", find->contents, "a file, or a BLAKE3 hash in 64 hexadecimal digits")
      ->required()
      ->expected(1);
  find_command.add_option("--wanted", find->wanted, "nodes that are enough, to 256 (16)")
      ->check(number_between(1, 256));
  find_command.add_option("--timeout", find->timeout, "seconds to wait (15)")
      ->check(number_between(0.001, 86'400));
  add_node_settings(find_command, invocation);
  add_example(find_command, "quicmesh dht providers holiday.mp4");
  find_command.callback([&invocation, find] {
    invocation.run = [find](const Settings& settings, Output& output) {
      const auto keys = keys_of(find->contents);
      if (!keys) {
        output.fail(keys.error());
        return keys.error().exit_code;
      }
      boost::json::object request{{"cmd", "dht_providers"},
                                  {"key", keys->front()},
                                  {"wanted", find->wanted},
                                  {"timeout", find->timeout}};
      return run_with_node(settings, output, {.request = std::move(request)});
    };
  });
}

/// All of stdin, or a little more than a value may have.
Outcome<std::string> read_stdin() {
  std::string bytes(dht::value_max + 1, '\0');
  std::cin.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (std::cin.bad()) return std::unexpected(usage_failure("stdin cannot be read"));
  bytes.resize(static_cast<std::size_t>(std::cin.gcount()));
  return bytes;
}

/// What is to be put, and its name unless that is its hash.
Outcome<boost::json::object> put_request(const DhtFlags& flags) {
  boost::json::object request{
      {"cmd", "dht_put"}, {"immutable", flags.immutable}, {"timeout", flags.timeout}};
  if (flags.immutable && flags.value) {
    return std::unexpected(
        usage_failure("an immutable value has no name", "quicmesh dht put --immutable VALUE"));
  }
  if (!flags.immutable) {
    const auto name = parse_value_name(flags.key);
    if (!name) return std::unexpected(name.error());
    if (!flags.value) {
      return std::unexpected(usage_failure(
          fmt::format("there is no VALUE to put under \"{}\"", printable(*name)),
          "quicmesh dht put NAME VALUE; `-` reads stdin, and \"\" puts an empty one"));
    }
    request["key"] = *name;
  }
  std::string value = flags.immutable ? flags.key : *flags.value;
  if (value == "-") {
    auto read = read_stdin();
    if (!read) return std::unexpected(read.error());
    value = std::move(*read);
  }
  add_value(request, value);
  return request;
}

/// Wrong here already, so that no node is started for it.
Outcome<void> check_key(const std::string& part, const std::string& key) {
  if (part != "get") return {};
  const auto sought = parse_key_or_name(key);
  if (!sought) return std::unexpected(sought.error());
  return {};
}

int run_request(const Settings& settings, Output& output, Outcome<boost::json::object> request) {
  if (request) return run_with_node(settings, output, {.request = std::move(*request)});
  output.fail(request.error());
  return request.error().exit_code;
}

CLI::App& add_part(CLI::App& parent, Invocation& invocation, const std::string& name,
                   const std::string& description, const std::shared_ptr<DhtFlags>& flags) {
  CLI::App& command = *parent.add_subcommand(name, description);
  command.add_option("--timeout", flags->timeout, "seconds to wait (15)")
      ->check(number_between(0.001, 86'400));
  add_node_settings(command, invocation);
  command.callback([&invocation, flags, name] {
    invocation.run = [flags, name](const Settings& settings, Output& output) {
      if (name == "put") return run_request(settings, output, put_request(*flags));
      boost::json::object request{
          {"cmd", "dht_" + name}, {"key", flags->key}, {"timeout", flags->timeout}};
      const auto right = check_key(name, flags->key);
      if (right) return run_request(settings, output, std::move(request));
      return run_request(settings, output, std::unexpected(right.error()));
    };
  });
  return command;
}

}  // namespace

void add_dht_command(CLI::App& app, Invocation& invocation) {
  CLI::App& dht = *app.add_subcommand("dht", "put and get values, find nodes and providers");
  dht.require_subcommand(1);
  add_example(dht, "quicmesh dht resolve NODEID --bootstrap NODEID@203.0.113.7:4433");

  auto put = std::make_shared<DhtFlags>();
  CLI::App& put_command =
      add_part(dht, invocation, "put", "keep a value under a name of this node's own", put);
  put_command
      .add_option("NAME", put->key, "at most 32 bytes; with --immutable the value stands here")
      ->required();
  put_command.add_option("VALUE", put->value, "at most 1024 bytes; `-` reads them from stdin");
  put_command.add_flag("--immutable", put->immutable,
                       "keep the value under its hash, with no name");
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

  add_provider_commands(dht, invocation);
}

}  // namespace quicmesh::cli
