#include "bench_registry.hpp"

#include <vector>

namespace quicmesh::cli {

std::span<const Bench> benches() {
  static const std::vector<Bench> table = {};
  return table;
}

}  // namespace quicmesh::cli
