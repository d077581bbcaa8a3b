#include "path/path_selector.hpp"

namespace quicmesh {

Duration path_cost(const PathCandidate& path) {
  if (!path.rtt) return std::chrono::hours(1);
  const bool dear = path.relayed || path.tunnelled;
  const Duration cost = dear ? 2 * *path.rtt + relayed_path_penalty : *path.rtt;
  return path.overloaded ? cost + overloaded_path_penalty : cost;
}

bool path_allowed(const PathCandidate& path, PathPolicy policy) {
  if (policy == PathPolicy::direct_only) return !path.relayed;
  if (policy == PathPolicy::relay_only) return path.relayed;
  return true;
}

std::size_t select_path(std::span<const PathCandidate> paths, std::size_t current,
                        PathPolicy policy) {
  std::size_t best = current;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (i == current || !paths[i].usable || !paths[i].rtt) continue;
    if (!path_allowed(paths[i], policy)) continue;
    if (best == current || path_cost(paths[i]) < path_cost(paths[best])) best = i;
  }
  if (best == current) return current;
  if (!path_allowed(paths[current], policy)) return best;
  const Duration present = path_cost(paths[current]);
  const Duration gain = present - path_cost(paths[best]);
  const bool clear = gain >= path_gain_min && gain >= present / path_gain_min_divisor;
  return clear ? best : current;
}

}  // namespace quicmesh
