// The network beneath a PeerFabric, as far as it does not depend on what cores run on it: where
// peers are, which way two of them reach each other, what that takes, what is lost and cut.
//
// A connection costs one round trip before the dialler can send anything over it (QUIC without
// resumption: its first message goes with the last flight of the handshake, path/path_event.hpp),
// and `handshake_bytes`. To a peer behind a NAT it is made by way of that peer's home relay; after
// punching it goes on directly, unless theory has no way (nat_pair.hpp). Punching takes the round
// trip by the relay and one and a half of the direct one (docs/protocols/punch.md), plus what
// guesses take: medians of `quicmesh sim nat-pairs`, seed 1, 300 pairs, less the median of the
// plain ones.
//
// Connections are reliable, as QUIC's are: a lost packet comes a probe timeout later (RFC 9002
// s6.2: 1.5 round trips and the peer's ack delay of 25 ms, doubled each time), a first flight after
// 300 ms (RFC 9002 s6.2.2 with QuicConfig::initial_rtt), those behind it after three round trips
// (RFC 9002 s5.3: the variation of a single sample is half of it). Between two sides that are cut
// apart nothing arrives, but what was sent is repeated until it does or the connection is given up.
//
// Nobody is nearer to anybody than `transit_min`, also where a model says so: for so long what one
// peer does cannot matter to another, which is what lets a PeerFabric run them side by side.
//
// While it does, nothing here changes: what is drawn comes from whoever asks (`Losses`).
//
// How near this comes to packets is measured by `quicmesh sim dht-calibrate`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_core.hpp"
#include "base/rng.hpp"
#include "sim/latency_model.hpp"
#include "sim/nat_pair.hpp"
#include "sim/ratio.hpp"

namespace quicmesh::sim {

class PeerNetwork {
 public:
  /// Randomness and a count for those who share a network, each their own.
  struct Losses {
    Rng rng;
    std::uint64_t packets = 0;
  };

  /// The shortest way from one peer to another, half of the shortest round trip.
  static constexpr Duration transit_min = 1ms;
  /// Four datagrams of 1,200 bytes: one Initial, the server's flight of two, the client's last.
  static constexpr std::uint64_t handshake_bytes = 4800;
  /// IPv4, UDP, QUIC's short header, tag and stream frame of a message that fits one datagram.
  static constexpr std::uint64_t packet_overhead = 60;
  /// Somebody cut off tries again so often.
  static constexpr Duration cut_retry = 1s;

  PeerNetwork(LatencyModel model, Ratio loss) : model_(std::move(model)), loss_(loss) {}

  /// Puts `peer` somewhere, behind NATs if its class is not open. A peer is put once.
  void add(PeerHandle peer, PeerPlace place, const NatClass& nat);
  [[nodiscard]] bool contains(PeerHandle peer) const { return index(peer) < peers_.size(); }

  /// A place by the model's shares.
  [[nodiscard]] PeerPlace draw_place(Rng& rng) const { return model_.draw_place(rng); }

  /// Of the direct path.
  [[nodiscard]] Duration rtt(PeerHandle a, PeerHandle b) const;
  /// By way of the relay of the one that is behind a NAT.
  [[nodiscard]] Duration relayed_rtt(PeerHandle a, PeerHandle b) const;
  [[nodiscard]] Duration rtt(PeerHandle a, PeerHandle b, bool relayed) const {
    return relayed ? relayed_rtt(a, b) : rtt(a, b);
  }

  /// Whether a connection to `target` begins by way of a relay.
  [[nodiscard]] bool begins_relayed(PeerHandle target) const { return !peers_[index(target)].open; }
  /// From when a relayed connection stands to when it goes directly; nothing if it never does.
  [[nodiscard]] std::optional<Duration> punching_time(PeerHandle a, PeerHandle b) const;

  /// So many bytes one way over a path with this round trip, losses repaired.
  [[nodiscard]] Duration transit(Losses& losses, Duration rtt, std::uint64_t bytes = 0) const;
  /// The same for the first flight of a connection, and for the others of its handshake.
  [[nodiscard]] Duration first_transit(Losses& losses, Duration rtt) const;
  [[nodiscard]] Duration handshake_transit(Losses& losses, Duration rtt) const;
  [[nodiscard]] bool lossy() const { return !loss_.is_zero(); }
  void set_loss(Ratio loss) { loss_ = loss; }

  /// Peers of different sides do not reach each other; all begin on side 0.
  void set_side(PeerHandle peer, std::uint8_t side) { peers_[index(peer)].side = side; }
  void heal();
  [[nodiscard]] bool is_cut(PeerHandle a, PeerHandle b) const {
    return peers_[index(a)].side != peers_[index(b)].side;
  }

  /// Bytes on the heap.
  [[nodiscard]] std::size_t memory() const { return peers_.capacity() * sizeof(Peer); }

 private:
  struct Peer {
    PeerPlace place;
    bool open : 1 = true;
    bool stands : 1 = true;
    bool strict : 1 = false;
    bool ports_follow : 1 = true;
    std::uint8_t side = 0;
  };

  [[nodiscard]] static std::size_t index(PeerHandle peer) { return static_cast<std::size_t>(peer); }
  [[nodiscard]] Duration repaired(Losses& losses, Duration one_way, Duration timeout) const;

  LatencyModel model_;
  Ratio loss_;
  std::vector<Peer> peers_;  // by handle
};

}  // namespace quicmesh::sim
