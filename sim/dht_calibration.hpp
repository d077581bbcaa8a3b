// The same DHT twice: whole nodes in the packet simulator (QUIC, records, codec, streams; DhtHost),
// and bare cores in the peer-level one (PeerFabric), to see whether the few rules of the latter
// give the times that packets take.
//
// Both have the same ids at the same places, the same round trip for every pair, the same loss,
// the same configuration; nodes join at the same moments by way of the first one, announce
// themselves, and make the same lookups at the same moments. What remains is chance: which message
// comes first decides who stands in a table. So times are compared by their percentiles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dht/dht_config.hpp"
#include "quicmesh/time.hpp"
#include "sim/ratio.hpp"

namespace quicmesh::sim {

struct CalibrationConfig {
  std::uint64_t seed = 1;
  std::size_t nodes = 60;  // at most 16,384
  dht::Config dht;
  Ratio loss{};  // of a packet, each way
  Duration join_step = 200ms;
  Duration settle = 60s;  // after the last has joined
  /// Of each kind, alternately: a `find` of a random key until the nearest have answered, and a
  /// `resolve` of a random node until its record is there.
  std::size_t lookups = 300;
  Duration lookup_step = 200ms;
};

/// What the lookups of one kind took.
struct CalibrationFigures {
  std::size_t counted = 0;  // where on neither side the asker knew the answer
  std::size_t failed = 0;   // of those
  double p50_ms = 0;
  double p95_ms = 0;
  double queries = 0;  // mean
};

struct CalibrationSide {
  CalibrationFigures finds;
  CalibrationFigures resolves;
  double handshakes = 0;  // that came to an end while lookups were made, by their number
  double contacts = 0;    // of a node at the end, mean
  double connections = 0;
};

struct Calibration {
  CalibrationSide packets;
  CalibrationSide peers;
};

[[nodiscard]] Calibration calibrate(const CalibrationConfig& config);

}  // namespace quicmesh::sim
