// Which of its paths a connection should use: a pure function of what is known of each.
//
// The cost of a path is its round trip; of a relayed one twice that and 20 ms more, because a relay
// serves others too and a direct path that is somewhat longer burdens nobody. A tunnel to a relay
// costs as much more, since one loss in it holds up everything behind. A change costs a
// validation and a new congestion window, so another path is taken only for a clear gain: 5 ms and
// a fifth of the present cost. A relay that says that it is overloaded costs a second more: it
// drops what is too much and makes nobody wait, which no round trip shows. Leaving a dead path is
// not decided here (path_watch.hpp): there any path that answers is better.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "quicmesh/time.hpp"

namespace quicmesh {

struct PathCandidate {
  bool relayed = false;
  std::optional<Duration> rtt;  // the least of its last answers; nothing if it has none
  bool usable = false;          // it answers, and is not held down after it failed
  bool tunnelled = false;       // TLS over TCP, to a relay
  bool overloaded = false;      // its relay, as that says
};

enum class PathPolicy : unsigned char { any, direct_only, relay_only };

inline constexpr Duration path_gain_min = 5ms;
inline constexpr int path_gain_min_divisor = 5;  // a fifth of the present cost
inline constexpr Duration relayed_path_penalty = 20ms;
inline constexpr Duration overloaded_path_penalty = 1s;

/// Of a path whose round trip is unknown: an hour.
Duration path_cost(const PathCandidate& path);

/// True if `policy` lets a connection use the path.
bool path_allowed(const PathCandidate& path, PathPolicy policy);

/// The index of the path to use, `current` if no other is clearly better. O(n).
std::size_t select_path(std::span<const PathCandidate> paths, std::size_t current,
                        PathPolicy policy);

}  // namespace quicmesh
