#include "relay/home_relay.hpp"

#include <algorithm>

namespace quicmesh {
namespace {

constexpr Duration cost_unknown = 1h;
constexpr unsigned load_counted_max = 90;  // ten times the round trip

bool overloaded(const RelayCandidate& relay) {
  return relay.load_percent >= relay_overloaded_percent;
}

bool better(const RelayCandidate& a, const RelayCandidate& b) {
  if (overloaded(a) != overloaded(b)) return overloaded(b);
  return relay_cost(a) < relay_cost(b);
}

bool clearly_better(const RelayCandidate& a, const RelayCandidate& b) {
  if (overloaded(a) != overloaded(b)) return overloaded(b);
  const Duration cost = relay_cost(b);
  return relay_cost(a) + std::max<Duration>(relay_gain_min, cost / relay_gain_min_divisor) <= cost;
}

std::optional<NodeId> choose(std::span<const RelayCandidate> relays,
                             const std::optional<NodeId>& current,
                             const std::optional<NodeId>& taken) {
  const RelayCandidate* best = nullptr;
  const RelayCandidate* kept = nullptr;
  for (const RelayCandidate& relay : relays) {
    if (!relay.usable || taken == relay.id) continue;
    if (best == nullptr || better(relay, *best)) best = &relay;
    if (current == relay.id) kept = &relay;
  }
  if (best == nullptr) return std::nullopt;
  return kept != nullptr && !clearly_better(*best, *kept) ? kept->id : best->id;
}

}  // namespace

Duration relay_cost(const RelayCandidate& relay) {
  if (!relay.rtt) return cost_unknown;
  return *relay.rtt * 100 / (100 - std::min(relay.load_percent, load_counted_max));
}

RelayChoice choose_relays(std::span<const RelayCandidate> relays, const RelayChoice& current) {
  RelayChoice choice;
  choice.home = choose(relays, current.home, std::nullopt);
  // A home that is left makes a standby that is known to work.
  const auto& former = choice.home == current.standby ? current.home : current.standby;
  choice.standby = choose(relays, former, choice.home);
  return choice;
}

}  // namespace quicmesh
