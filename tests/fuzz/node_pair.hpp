// The ground of the fuzz targets that drive whole nodes: virtual time, two addresses for each of
// two nodes, and the packets that are under way between them, for a script to play with.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "base/assert.hpp"
#include "base/core.hpp"
#include "base/network_path.hpp"

namespace quicmesh::fuzz {

inline constexpr std::size_t addresses_per_node = 2;

/// A packet under way: from which path of `to`'s it will seem to come.
struct Packet {
  unsigned to = 0;  // 0 or 1
  NetworkPath path;
  Instant due{};
  Bytes bytes;
};

/// Node `node`'s address `index`.
inline SocketAddress address_of(unsigned node, unsigned index) {
  const auto last = static_cast<std::uint8_t>(1 + node);
  return {index == 0 ? IpAddress::v4({192, 0, 2, last}) : IpAddress::v4({198, 51, 100, last}),
          static_cast<std::uint16_t>(1000 + node)};
}

/// Node `node`'s path `index` to the other one.
inline NetworkPath path_of(unsigned node, unsigned index) {
  return {SocketId{0}, address_of(node, index).ip, address_of(1 - node, index)};
}

/// What a path of `node` looks like from its far end; nothing if nobody lives there.
inline std::optional<NetworkPath> far_end_of(unsigned node, const NetworkPath& path) {
  for (unsigned i = 0; i < addresses_per_node; ++i) {
    if (path.remote != address_of(1 - node, i)) continue;
    const IpAddress local = path.local.is_unspecified() ? address_of(node, i).ip : path.local;
    return NetworkPath{SocketId{0}, path.remote.ip, {local, address_of(node, i).port}};
  }
  return std::nullopt;
}

/// Any source and destination that a spoofing sender may write.
inline NetworkPath spoofed_path(unsigned node, std::uint8_t choice) {
  NetworkPath path = path_of(node, choice & 1u);
  if ((choice & 2) != 0) path.remote.port = static_cast<std::uint16_t>(5000 + (choice >> 4));
  if ((choice & 4) != 0) path.remote.ip = IpAddress::v4({203, 0, 113, choice});
  if ((choice & 8) != 0) path.local = IpAddress::v4({203, 0, 113, 99});
  return path;
}

/// The packets under way. More than a queue of a router would hold are lost.
class Wire {
 public:
  static constexpr Duration delay = 5ms;
  static constexpr std::size_t packets_max = 2'000;

  /// Takes a train that `node` sends.
  void send(Instant now, unsigned node, const Transmit& train, ByteView buffer) {
    const auto path = far_end_of(node, train.path);
    QM_ASSERT(train.segment_size > 0 && train.size <= buffer.size());
    for (std::size_t at = 0; at < train.size; at += train.segment_size) {
      const std::size_t size = std::min(train.segment_size, train.size - at);
      if (!path || packets.size() >= packets_max) continue;
      packets.push_back({1 - node, *path, now + delay, to_bytes(buffer.subspan(at, size))});
    }
  }

  std::deque<Packet> packets;
};

}  // namespace quicmesh::fuzz
