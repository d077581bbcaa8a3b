#include "sim/peer_network.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace quicmesh::sim {
namespace {

constexpr Duration predicting = 75ms;
constexpr Duration guessing = 840ms;       // birthday
constexpr Duration first_timeout = 300ms;  // three times QuicConfig::initial_rtt
constexpr Duration ack_delay = 25ms;
constexpr int repetitions_max = 6;
constexpr std::uint64_t packet_bytes = 1400;  // QUIC's payload, after path MTU discovery

}  // namespace

void PeerNetwork::add(PeerHandle peer, PeerPlace place, const NatClass& nat) {
  QM_ASSERT(index(peer) < std::size_t{1} << 28U);
  if (index(peer) >= peers_.size()) peers_.resize(index(peer) + 1);
  peers_[index(peer)] = {place, nat.open, nat.stands, nat.strict, nat.ports_follow, 0};
}

Duration PeerNetwork::rtt(PeerHandle a, PeerHandle b) const {
  return std::max(2 * transit_min,
                  model_.rtt(static_cast<std::uint32_t>(a), peers_[index(a)].place,
                             static_cast<std::uint32_t>(b), peers_[index(b)].place));
}

Duration PeerNetwork::relayed_rtt(PeerHandle a, PeerHandle b) const {
  const Peer& one = peers_[index(a)];
  const Peer& other = peers_[index(b)];
  // Of two behind NATs the one with the larger handle is reached by its relay: the same for both.
  const bool behind_other = one.open || (!other.open && b > a);
  return std::max(2 * transit_min, behind_other ? model_.relayed_rtt(one.place, other.place)
                                                : model_.relayed_rtt(other.place, one.place));
}

std::optional<Duration> PeerNetwork::punching_time(PeerHandle a, PeerHandle b) const {
  const Peer& one = peers_[index(a)];
  const Peer& other = peers_[index(b)];
  const Duration plain = relayed_rtt(a, b) + rtt(a, b) * 3 / 2;
  switch (way_through({one.open, one.stands, one.strict, one.ports_follow},
                      {other.open, other.stands, other.strict, other.ports_follow})) {
    case WayThrough::plain:
      return plain;
    case WayThrough::predicted:
      return plain + predicting;
    case WayThrough::birthday:
      return plain + guessing;
    case WayThrough::none:
      break;
  }
  return std::nullopt;
}

Duration PeerNetwork::transit(Losses& losses, Duration rtt, std::uint64_t bytes) const {
  Duration taken = rtt / 2;
  if (loss_.is_zero()) return taken;
  for (std::uint64_t sent = 0; sent == 0 || sent < bytes; sent += packet_bytes)
    taken = std::max(taken, repaired(losses, rtt / 2, rtt * 3 / 2 + ack_delay));
  return taken;
}

Duration PeerNetwork::handshake_transit(Losses& losses, Duration rtt) const {
  return repaired(losses, rtt / 2, rtt * 3);
}

Duration PeerNetwork::first_transit(Losses& losses, Duration rtt) const {
  return repaired(losses, rtt / 2, first_timeout);
}

void PeerNetwork::heal() {
  for (Peer& peer : peers_)
    peer.side = 0;
}

Duration PeerNetwork::repaired(Losses& losses, Duration one_way, Duration timeout) const {
  Duration taken = one_way;
  for (int i = 0; i < repetitions_max && happens(losses.rng, loss_); ++i) {
    ++losses.packets;
    taken += timeout;
    timeout *= 2;
  }
  return taken;
}

}  // namespace quicmesh::sim
