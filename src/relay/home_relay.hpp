// Which relay is a node's home, and which its second: a pure function of what is known of each.
//
// The cost of a relay is its round trip, stretched by its load as the wait in front of a server
// grows with it (1 / (1 - load), the M/M/1 queue): the better of two is the one that is soon there
// and has room. The relays in use stay, for a home that changes is a home that peers look for in
// vain: another is taken only for a clear gain (Tailscale: 10 ms; here also a fifth), or if one
// cannot serve any more.
#pragma once

#include <optional>
#include <span>

#include "quicmesh/node_id.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

struct RelayCandidate {
  NodeId id;
  std::optional<Duration> rtt;
  unsigned load_percent = 0;
  bool usable = false;  // it is up and takes what comes
};

struct RelayChoice {
  std::optional<NodeId> home;
  std::optional<NodeId> standby;

  auto operator<=>(const RelayChoice&) const = default;
};

inline constexpr Duration relay_gain_min = 10ms;
inline constexpr int relay_gain_min_divisor = 5;  // a fifth of the present cost
inline constexpr unsigned relay_overloaded_percent = 95;

/// Of a relay without a measured round trip: an hour.
Duration relay_cost(const RelayCandidate& relay);

/// Of equal ones the first. A relay that is overloaded is taken only where there is no other.
RelayChoice choose_relays(std::span<const RelayCandidate> relays, const RelayChoice& current);

}  // namespace quicmesh
