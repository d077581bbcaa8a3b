// What a PeerFabric is given and what it counts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quicmesh/time.hpp"
#include "sim/ratio.hpp"

namespace quicmesh::sim {

struct PeerFabricConfig {
  /// The parts into which peers are dealt, whatever the number of threads: the course of a run
  /// depends on it. More threads than this have nothing to do.
  static constexpr std::size_t shards = 8;

  std::uint64_t seed = 1;
  Ratio loss{};                 // of a packet
  Duration idle_timeout = 30s;  // as in QuicConfig
  Duration dial_timeout = 10s;  // QuicConfig::handshake_timeout
  Duration tier_period = 3min;  // zero: no tiers are told

  // The course of a run depends on neither.
  std::size_t threads = 1;
  /// Fewer events in a window are done sooner than other threads are awake.
  std::uint64_t worth_threads = 32;
};

enum class Departure : std::uint8_t { silent, with_goodbye };

struct PeerFabricCounters {
  std::uint64_t events = 0;
  std::uint64_t dials = 0;
  std::uint64_t handshakes = 0;   // that both sides took part in
  std::uint64_t connections = 0;  // that came of them; the others were given up meanwhile
  std::uint64_t handshake_bytes = 0;
  std::uint64_t unreachable = 0;
  std::uint64_t lost_connections = 0;  // by the idle time-out
  std::uint64_t messages = 0;
  std::uint64_t message_bytes = 0;
  std::uint64_t not_up = 0;    // messages to a peer that was not up
  std::uint64_t too_late = 0;  // messages whose connection had gone
  std::uint64_t clusterings = 0;
  std::uint64_t packets_lost = 0;

  PeerFabricCounters& operator+=(const PeerFabricCounters& other) {
    events += other.events;
    dials += other.dials;
    handshakes += other.handshakes;
    connections += other.connections;
    handshake_bytes += other.handshake_bytes;
    unreachable += other.unreachable;
    lost_connections += other.lost_connections;
    messages += other.messages;
    message_bytes += other.message_bytes;
    not_up += other.not_up;
    too_late += other.too_late;
    clusterings += other.clusterings;
    packets_lost += other.packets_lost;
    return *this;
  }
  bool operator==(const PeerFabricCounters&) const = default;
};

}  // namespace quicmesh::sim
