// See demo_mesh.hpp.
#include "demo_mesh.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "interrupts.hpp"
#include "output.hpp"

namespace quicmesh::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds look_every(50);

Failure demo_failure(std::string message) {
  return {.code = "demo",
          .message = std::move(message),
          .hint = "run it again with --log debug; what the nodes say is printed on stderr"};
}

}  // namespace

Outcome<DemoMesh> DemoMesh::create(const std::string& log_level) {
  std::error_code error;
  const auto base = std::filesystem::temp_directory_path(error);
  std::string folder = (base / "quicmesh-demo-XXXXXX").string();
  if (error || ::mkdtemp(folder.data()) == nullptr)
    return std::unexpected(
        make_failure("cannot make a temporary folder", {errno, std::generic_category()}));
  DemoMesh mesh;
  mesh.folder_ = folder;
  mesh.log_level_ = log_level;
  for (const char* name : names) {
    DemoNode node{
        .name = name, .data = folder + "/" + name, .inbox = folder + "/" + name + "-inbox"};
    std::filesystem::create_directory(node.inbox, error);
    mesh.nodes_.push_back(std::move(node));
  }
  return mesh;
}

DemoMesh::~DemoMesh() {
  nodes_.clear();  // kills what still runs
  if (folder_.empty()) return;
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

DemoNode& DemoMesh::node(std::string_view name) {
  for (DemoNode& node : nodes_) {
    if (node.name == name) return node;
  }
  return nodes_.front();
}

Outcome<ChildProcess> DemoMesh::begin(const DemoNode& node, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--data", node.data, "--log", log_level_});
  auto child = ChildProcess::start(arguments,
                                   {.log_file = log_file(), .config_folder = folder_ + "/config"});
  if (!child) return std::unexpected(demo_failure("cannot start another process"));
  return std::move(*child);
}

Outcome<void> DemoMesh::start(DemoNode& node) {
  // A peer that was killed says nothing: a short idle time-out lets the others notice soon.
  std::vector<std::string> arguments{"up",
                                     "--listen",
                                     node.listen.empty() ? "127.0.0.1:0" : node.listen,
                                     "--idle-timeout",
                                     "4",
                                     "--keep-alive",
                                     "1"};
  for (const DemoNode& other : nodes_) {
    if (&other == &node || other.listen.empty()) continue;
    arguments.insert(arguments.end(), {"--bootstrap", other.node_id + "@" + other.listen});
  }
  auto child = begin(node, std::move(arguments));
  if (!child) return std::unexpected(child.error());
  node.up = std::move(*child);
  const auto ready = node.up.next("ready", patience);
  if (!ready) return std::unexpected(demo_failure(node.name + " did not start"));
  node.node_id = text_of(*ready, "node_id");
  const auto* listen = ready->if_contains("listen");
  if (listen == nullptr || !listen->is_array() || listen->get_array().empty())
    return std::unexpected(demo_failure(node.name + " listens nowhere"));
  node.listen = std::string(listen->get_array().front().as_string());
  return {};
}

Outcome<void> DemoMesh::open_inbox(DemoNode& node) {
  auto child = begin(node, {"recv", "--out", node.inbox});
  if (!child) return std::unexpected(child.error());
  node.recv = std::move(*child);
  if (!node.recv.next("ready", patience))
    return std::unexpected(demo_failure(node.name + " does not receive"));
  return {};
}

DemoMesh::Ran DemoMesh::run(const DemoNode& node, std::vector<std::string> arguments) {
  Ran ran;
  auto child = begin(node, std::move(arguments));
  if (!child) return ran;
  // Every event is kept; the search for one that never comes ends with the child.
  (void)child->next(
      [&](const boost::json::object& event) {
        ran.events.push_back(event);
        return false;
      },
      patience);
  ran.exit_code = child->wait(patience);
  return ran;
}

boost::json::object DemoMesh::Ran::last(std::string_view event) const {
  for (auto it = events.rbegin(); it != events.rend(); ++it) {
    if (text_of(*it, "event") == event) return *it;
  }
  return {};
}

Outcome<void> DemoMesh::wait_until_connected() {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (const DemoNode& node : nodes_) {
    while (run(node, {"peers"}).events.size() + 1 < nodes_.size()) {
      if (interrupted() || std::chrono::steady_clock::now() > until)
        return std::unexpected(demo_failure(node.name + " does not reach all the others"));
      std::this_thread::sleep_for(look_every);
    }
  }
  return {};
}

std::uint64_t arriving_bytes(const std::string& folder) {
  std::error_code error;
  std::filesystem::directory_iterator entries(folder, error);
  for (; !error && entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    if (entries->path().extension() != ".part") continue;
    // It takes its final name, or goes, at any moment.
    const std::uintmax_t size = entries->file_size(error);
    return error ? 0 : size;
  }
  return 0;
}

std::string DemoMesh::stop() {
  std::string failed;
  for (DemoNode& node : nodes_) {
    node.recv.signal(SIGTERM);
    if (node.recv.pid() > 0) (void)node.recv.wait(patience);
  }
  for (DemoNode& node : nodes_)
    node.up.signal(SIGTERM);
  for (DemoNode& node : nodes_) {
    if (node.up.pid() > 0 && node.up.wait(patience) != 0) failed += " " + node.name;
  }
  return failed;
}

}  // namespace quicmesh::cli
