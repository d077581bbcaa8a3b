// Runtime: a network thread that nodes may share.
//
// A node without one starts a thread of its own. Programs with many nodes (tests, benchmarks, the
// demo) make one Runtime and put it into every Config: all of them then live on one thread.
#pragma once

#include <memory>

#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

namespace io {
class NodeDriver;
}

struct RuntimeOptions {
  /// How long the thread looks for work before it sleeps. Zero sleeps at once; a few microseconds
  /// save wake-ups on a machine with a core to spare, and burn one otherwise.
  Duration spin{};
};

class Runtime {
 public:
  /// Fails with the system's error when a thread, an epoll or an event descriptor is refused.
  static Result<std::shared_ptr<Runtime>> start(RuntimeOptions options = {});

  /// Ends the thread. Nodes hold their runtime, so this happens after the last of them.
  ~Runtime();
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

  /// For the library itself.
  [[nodiscard]] io::NodeDriver& driver() { return *driver_; }

 private:
  explicit Runtime(std::unique_ptr<io::NodeDriver> driver);

  std::unique_ptr<io::NodeDriver> driver_;
};

}  // namespace quicmesh
