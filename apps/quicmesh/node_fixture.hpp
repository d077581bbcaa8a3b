// NodeFixture: for tests of what runs with a node: a real one on the loopback interface, in a
// folder of its own.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>

#include "node_command.hpp"

namespace quicmesh::cli {

class NodeFixture : public testing::Test {
 protected:
  NodeFixture() {
    std::string path = testing::TempDir() + "/node-XXXXXX";
    folder_ = ::mkdtemp(path.data());
  }
  ~NodeFixture() override { std::filesystem::remove_all(folder_); }

  /// Starts the node, runs `body` to its end, and closes the node: the exit code of `body`.
  [[nodiscard]] int run(NodeBody body) const {
    const auto settings =
        Settings::load({{"data", {folder_ + "/data"}}, {"listen", {"127.0.0.1:0"}}}, "");
    EXPECT_TRUE(settings);
    Output output(true);
    return run_own_node(*settings, output, {.body = std::move(body), .request = {}});
  }

  std::string folder_;
};

/// Of a second node, in the same process.
[[nodiscard]] inline Config loopback_config() {
  Config config;
  config.listen = {*SocketAddress::parse("127.0.0.1:0")};
  return config;
}

}  // namespace quicmesh::cli
