// `quicmesh send FILE NODE`: sends a file; one that was broken off goes on where it was.
#include <filesystem>

#include "file_source.hpp"
#include "invocation.hpp"
#include "node_command.hpp"
#include "text.hpp"

namespace quicmesh::cli {
namespace {

struct SendFlags {
  std::string file;
  std::string node;
  std::string name;
  std::string rate;
};

/// What the kernel opens for `path`, named for a process with another working folder. Nothing is
/// taken out: ".." behind a link leads elsewhere than the text says.
std::string path_from_root(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.string();
}

int run_send(const Settings& settings, Output& output, const SendFlags& flags) {
  const std::string path = path_from_root(flags.file);
  boost::json::object request{
      {"cmd", "send"}, {"node", flags.node}, {"file", path}, {"name", flags.name}};
  if (const auto parsed = node_of(request, "node"); !parsed) {
    output.fail(parsed.error());
    return parsed.error().exit_code;
  }
  std::uint64_t rate = 0;
  if (!flags.rate.empty() && (!parse_bytes(flags.rate, rate) || rate == 0)) {
    output.fail(usage_failure("--rate " + flags.rate + ": is no number of bytes",
                              "write it like 500k, 20M or 1G"));
    return exit_usage;
  }
  request["rate"] = rate;
  // Said before a node is started for nothing.
  if (const auto source = FileSource::open(path); !source) {
    output.fail(source.error());
    return source.error().exit_code;
  }
  return run_with_node(settings, output, {.request = std::move(request)});
}

}  // namespace

void add_send_command(CLI::App& app, Invocation& invocation) {
  CLI::App& command = *app.add_subcommand("send", "send a file to a node that runs `recv`");
  auto flags = std::make_shared<SendFlags>();
  command.add_option("FILE", flags->file, "the file to send")->required();
  command.add_option("NODE", flags->node, "NODEID or NODEID@host:port")->required();
  command.add_option("--name", flags->name, "offer the file under another name");
  command.add_option("--rate", flags->rate, "at most so many bytes a second: 500k, 20M, 1G");
  add_node_settings(command, invocation);
  add_example(command, "quicmesh send photos.tar NODEID@192.0.2.1:4433");
  command.callback([&invocation, flags] {
    invocation.run = [flags](const Settings& settings, Output& output) {
      return run_send(settings, output, *flags);
    };
  });
}

}  // namespace quicmesh::cli
