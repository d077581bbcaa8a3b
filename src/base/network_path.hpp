// A real network path as a driver sees it, and the datagrams that travel on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "quicmesh/bytes.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

/// Names one socket of one node: an index given by the driver, stable while the socket is open.
enum class SocketId : std::uint16_t {};

/// Socket x source address x remote address. `local` is the address the datagram came to or leaves
/// from (IP_PKTINFO), unspecified where the kernel may choose.
struct NetworkPath {
  SocketId socket{};
  IpAddress local;
  SocketAddress remote;

  auto operator<=>(const NetworkPath&) const = default;
};

/// A socket that does not exist: datagrams on it travel inside those of a relay session, which is
/// named by the remote address (node/relayed_path.hpp).
inline constexpr SocketId relayed_socket{0xffff};

constexpr bool is_relayed(const NetworkPath& path) {
  return path.socket == relayed_socket;
}

/// Equal, but for a source address that was left to the kernel: it matches whichever that took.
bool same_path(const NetworkPath& a, const NetworkPath& b);

/// RFC 3168 code points.
enum class Ecn : std::uint8_t { not_ect = 0, ect1 = 1, ect0 = 2, ce = 3 };

/// What a core wants sent: a train of datagrams on one path, all `segment_size` bytes but the last,
/// which may be shorter. A driver sends it with one GSO call or one by one.
struct Transmit {
  NetworkPath path;
  std::size_t size = 0;          // bytes written to the caller's buffer
  std::size_t segment_size = 0;  // bytes of each datagram; > 0
  Ecn ecn = Ecn::not_ect;
  std::uint8_t hop_limit = 0;  // IPv4's TTL; 0: the system's own
};

/// The least buffer for `poll_transmit`: one UDP GSO train.
inline constexpr std::size_t transmit_buffer_size = 65'536;

}  // namespace quicmesh

template <>
struct std::hash<quicmesh::NetworkPath> {
  std::size_t operator()(const quicmesh::NetworkPath& path) const noexcept;
};
