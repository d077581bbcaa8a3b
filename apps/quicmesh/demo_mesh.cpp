// See demo_mesh.hpp.
#include "demo_mesh.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include <fmt/format.h>

#include "demo_network.hpp"
#include "interrupts.hpp"
#include "output.hpp"

namespace quicmesh::cli {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr Milliseconds look_every(50);
constexpr int port = 4433;  // of nodes behind NATs and of their relay

Failure demo_failure(std::string message) {
  return {.code = "demo",
          .message = std::move(message),
          .hint = "run it again with --log debug; what the nodes say is printed on stderr"};
}

}  // namespace

std::optional<boost::json::object> DemoNode::hear(const ChildProcess::Predicate& wanted,
                                                  Milliseconds limit) {
  const auto known = std::ranges::find_if(heard, wanted);
  if (known != heard.end()) return *known;
  return up.next(
      [&](const boost::json::object& event) {
        heard.push_back(event);
        return wanted(event);
      },
      limit);
}

DemoMesh::DemoMesh(std::string folder, std::string log_level, bool behind_nats)
    : folder_(std::move(folder)), log_level_(std::move(log_level)), behind_nats_(behind_nats) {
  const auto node_of = [&](std::string name) {
    DemoNode node{.data = folder_ + "/" + name, .inbox = folder_ + "/" + name + "-inbox"};
    node.name = std::move(name);
    return node;
  };
  relay_ = node_of(std::string(demo_relay));
  for (const DemoHost& host : demo_hosts) {
    nodes_.push_back(node_of(std::string(host.name)));
    std::error_code ignored;  // its `recv` will say so
    std::filesystem::create_directory(nodes_.back().inbox, ignored);
  }
}

DemoMesh::~DemoMesh() {
  nodes_.clear();  // kills what still runs
  relay_.up = {};
  remove_demo_folder(folder_);
}

DemoNode& DemoMesh::node(std::string_view name) {
  for (DemoNode& node : nodes_) {
    if (node.name == name) return node;
  }
  return nodes_.front();
}

Outcome<ChildProcess> DemoMesh::begin(const DemoNode& node, std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"--data", node.data, "--log", log_level_});
  ChildProcess::Surroundings surroundings{.log_file = log_file(),
                                          .config_folder = folder_ + "/config"};
  if (behind_nats_) {
    surroundings.network = namespace_file(node.name);
    // The addresses of the demo are those that documents use, and are not public otherwise.
    surroundings.variables = {"QUICMESH_ALLOW_BOGON=1"};
  }
  auto child = ChildProcess::start(arguments, surroundings);
  if (!child) return std::unexpected(demo_failure("cannot start another process"));
  return std::move(*child);
}

Outcome<void> DemoMesh::start_relay() {
  std::vector<std::string> arguments{"--relay"};
  for (const std::string_view address : demo_relay_addresses)
    arguments.insert(arguments.end(), {"--listen", fmt::format("{}:{}", address, port)});
  return start(relay_, std::move(arguments));
}

Outcome<void> DemoMesh::start(DemoNode& node) {
  std::vector<std::string> arguments{"--listen", node.listen};
  const bool again = !node.listen.empty();
  if (behind_nats_) {
    const auto host = std::ranges::find(demo_hosts, node.name, &DemoHost::name);
    arguments[1] = fmt::format("{}:{}", host->address, port);
    arguments.insert(arguments.end(), {"--relay-via", relay_.node_id + "@" + relay_.listen});
  } else if (!again) {
    arguments[1] = "127.0.0.1:0";
  }
  // One node is known to all, and the DHT tells the rest.
  const DemoNode& known = behind_nats_ ? relay_ : nodes_.front();
  if (&node != &known) {
    arguments.insert(arguments.end(), {"--bootstrap", known.node_id + "@" + known.listen});
  }
  return start(node, std::move(arguments));
}

Outcome<void> DemoMesh::start(DemoNode& node, std::vector<std::string> arguments) {
  // A peer that was killed says nothing: a short idle time-out lets the others notice soon.
  arguments.insert(arguments.begin(), {"up", "--idle-timeout", "4", "--keep-alive", "1"});
  node.heard.clear();
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
      run_patience);
  ran.exit_code = child->wait(patience);
  return ran;
}

boost::json::object DemoMesh::Ran::last(std::string_view event) const {
  for (auto it = events.rbegin(); it != events.rend(); ++it) {
    if (text_of(*it, "event") == event) return *it;
  }
  return {};
}

std::size_t DemoMesh::connected_to(const DemoNode& node) {
  const auto ran = run(node, {"peers"});
  return static_cast<std::size_t>(std::ranges::count_if(nodes_, [&](const DemoNode& other) {
    return std::ranges::any_of(ran.events, [&](const boost::json::object& event) {
      return text_of(event, "peer") == other.node_id;
    });
  }));
}

Outcome<void> DemoMesh::wait_until_connected() {
  const auto until = std::chrono::steady_clock::now() + patience;
  for (const DemoNode& node : nodes_) {
    while (connected_to(node) + 1 < nodes_.size()) {
      if (interrupted() || std::chrono::steady_clock::now() > until)
        return std::unexpected(demo_failure(node.name + " does not reach all the others"));
      std::this_thread::sleep_for(look_every);
    }
  }
  return {};
}

Outcome<std::string> make_demo_folder() {
  std::error_code error;
  const auto base = std::filesystem::temp_directory_path(error);
  std::string folder = (base / "quicmesh-demo-XXXXXX").string();
  if (error || ::mkdtemp(folder.data()) == nullptr)
    return std::unexpected(
        make_failure("cannot make a temporary folder", {errno, std::generic_category()}));
  return folder;
}

void remove_demo_folder(const std::string& folder) {
  std::error_code error;
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::filesystem::remove_all(folder, error);
    if (!error) return;
    std::this_thread::sleep_for(look_every);
  }
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
  relay_.up.signal(SIGTERM);
  if (relay_.up.pid() > 0 && relay_.up.wait(patience) != 0) failed += " " + relay_.name;
  return failed;
}

}  // namespace quicmesh::cli
