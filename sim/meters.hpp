// What a run costs the machine. The simulator reads no clock and no process table of its own; who
// starts it may lend it these, and gets wall time, speed and memory in the report.
#pragma once

#include <cstdint>
#include <functional>

namespace quicmesh::sim {

struct Meters {
  std::function<double()> seconds;                // on any monotonic scale
  std::function<std::uint64_t()> resident_bytes;  // of the process, now
};

}  // namespace quicmesh::sim
