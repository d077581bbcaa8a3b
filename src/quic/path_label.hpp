// The name under which QUIC knows a path.
//
// ngtcp2 is never shown a real address. QUIC lets only the client migrate, and ngtcp2 refuses a
// migration whose local address stays the same, which is what one UDP socket would present. So each
// real path (socket x source address x remote address, or a relay session) has a label, shown to
// ngtcp2 as a synthetic pair of addresses:
//
//     local   [fd51::<path>:1]:1      remote  [fd51::<path>:2]:<port>
//
// One label stands for one real path, never for several: hiding a path change from congestion
// control is the mistake to avoid. A new path gets a new `path` number, so that both addresses
// differ and QUIC validates it; a NAT rebinding (same IP, other port) gets the same number and a
// new `port`, which ngtcp2 takes for a rebinding and keeps its congestion window.
#pragma once

#include <compare>
#include <cstdint>

namespace quicmesh {

struct PathLabel {
  std::uint32_t path = 0;  // counts from 1 in each connection; 0 is no path
  std::uint16_t port = 1;

  auto operator<=>(const PathLabel&) const = default;
};

}  // namespace quicmesh
