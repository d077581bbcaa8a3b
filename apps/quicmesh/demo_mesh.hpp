// DemoMesh: the nodes of the demo, each a process of its own with a data folder under one temporary
// folder, untouched by the user's settings. Everything goes when it is destroyed.
//
// The nodes are either on the loopback interface and know the address of the first, or in the homes
// of demo_network.hpp; there they know a relay. The DHT tells the rest.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
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
  std::vector<boost::json::object> heard;  // what `up` has said, as far as it was read

  /// The first event of `up` for which `wanted` holds, waited for if it is not there yet.
  std::optional<boost::json::object> hear(const ChildProcess::Predicate& wanted,
                                          std::chrono::milliseconds limit);
};

class DemoMesh {
 public:
  static constexpr std::chrono::milliseconds patience{15'000};
  /// For a command that runs to its end: a busy machine takes long over 100 MB.
  static constexpr std::chrono::milliseconds run_patience{120'000};

  /// In `folder`, which is there. The nodes log at `log_level`. Behind NATs, this process must be
  /// in the network of the demo.
  DemoMesh(std::string folder, std::string log_level, bool behind_nats);
  DemoMesh(const DemoMesh&) = delete;
  DemoMesh& operator=(const DemoMesh&) = delete;
  /// Ends the nodes and removes the folder.
  ~DemoMesh();

  [[nodiscard]] bool behind_nats() const { return behind_nats_; }

  [[nodiscard]] std::vector<DemoNode>& nodes() { return nodes_; }
  [[nodiscard]] DemoNode& node(std::string_view name);
  [[nodiscard]] const std::string& folder() const { return folder_; }
  /// What all processes said on stderr.
  [[nodiscard]] std::string log_file() const { return folder_ + "/log"; }

  /// Starts the relay, which nodes behind NATs must find running.
  Outcome<void> start_relay();
  [[nodiscard]] const DemoNode& relay() const { return relay_; }
  /// Starts `node`, or starts it again with the identity and the address that it had.
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
  Outcome<void> start(DemoNode& node, std::vector<std::string> arguments);
  [[nodiscard]] std::size_t connected_to(const DemoNode& node);

  std::string folder_;
  std::string log_level_;
  bool behind_nats_;
  DemoNode relay_;  // only behind NATs
  std::vector<DemoNode> nodes_;
};

/// A folder of its own for a demo.
Outcome<std::string> make_demo_folder();
/// Removes it, even while processes that were killed a moment ago still end.
void remove_demo_folder(const std::string& folder);

/// Bytes held of the file that is arriving in `folder`; 0 if none is, or no longer.
[[nodiscard]] std::uint64_t arriving_bytes(const std::string& folder);

}  // namespace quicmesh::cli
