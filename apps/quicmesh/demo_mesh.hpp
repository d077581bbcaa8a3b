// DemoMesh: the nodes of the demo, each a process of its own with a data folder under one temporary
// folder, on the loopback interface only, untouched by the user's settings. Everything goes when it
// is destroyed.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "child_process.hpp"
#include "failure.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh::cli {

struct DemoNode {
  std::string name;
  std::string data;   // folder
  std::string inbox;  // folder
  std::string node_id;
  std::string listen;
  ChildProcess up;
  ChildProcess recv;
};

class DemoMesh {
 public:
  static constexpr std::array names{"anna", "ben", "cleo", "dora", "emil"};
  static constexpr std::chrono::milliseconds patience{15'000};

  /// Makes the temporary folder. The nodes log at `log_level`.
  static Outcome<DemoMesh> create(const std::string& log_level);
  DemoMesh(DemoMesh&& other) noexcept = default;
  /// Ends the nodes and removes the folder.
  ~DemoMesh();

  [[nodiscard]] std::vector<DemoNode>& nodes() { return nodes_; }
  [[nodiscard]] DemoNode& node(std::string_view name);
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// What all processes said on stderr.
  [[nodiscard]] std::string log_file() const { return folder_ + "/log"; }

  /// Starts `node`, or starts it again with the identity and the address that it had; it stays
  /// connected to all others that are known.
  Outcome<void> start(DemoNode& node);
  /// Opens its inbox.
  Outcome<void> open_inbox(DemoNode& node);
  /// Waits until every node has every other one as a peer.
  Outcome<void> wait_until_connected();
  /// Runs a command on a node to its end.
  struct Ran {
    int exit_code = -1;
    std::vector<boost::json::object> events;
    [[nodiscard]] boost::json::object last(std::string_view event) const;
  };
  Ran run(const DemoNode& node, std::vector<std::string> arguments);
  Outcome<ChildProcess> begin(const DemoNode& node, std::vector<std::string> arguments);

  /// Ends every node that runs, and waits for it; the names of those that did not end well.
  std::string stop();

 private:
  DemoMesh() = default;

  std::string folder_;
  std::string log_level_;
  std::vector<DemoNode> nodes_;
};

/// Bytes held of the file that is arriving in `folder`; 0 if none is, or no longer.
[[nodiscard]] std::uint64_t arriving_bytes(const std::string& folder);

}  // namespace quicmesh::cli
