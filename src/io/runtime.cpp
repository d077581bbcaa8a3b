// See quicmesh/runtime.hpp.
#include "quicmesh/runtime.hpp"

#include <utility>

#include "io/node_driver.hpp"

namespace quicmesh {

Result<std::shared_ptr<Runtime>> Runtime::start(RuntimeOptions options) {
  auto driver = io::NodeDriver::start(options.spin);
  if (!driver) return failure(driver.error());
  return std::shared_ptr<Runtime>(new Runtime(std::move(*driver)));
}

Runtime::Runtime(std::unique_ptr<io::NodeDriver> driver) : driver_(std::move(driver)) {}

Runtime::~Runtime() = default;

}  // namespace quicmesh
