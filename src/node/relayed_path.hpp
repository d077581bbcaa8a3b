// A relay session as a path: what path/ and quic/ see instead of a socket and an address.
//
// The remote address is fd52::/16 with the session's id in its last eight bytes; it never leaves
// this process.
#pragma once

#include "base/network_path.hpp"
#include "relay/relay_header.hpp"

namespace quicmesh {

NetworkPath relayed_path(RelaySessionId session);

/// `path` is a relayed one.
RelaySessionId relay_session_of(const NetworkPath& path);

/// Puts `header` in front of every datagram of the train in `buffer`, which grows by as much. The
/// buffer has room for it: QUIC's trains are that much shorter than a UDP datagram may be.
void wrap_train(const std::array<std::uint8_t, relay_header_size>& header, Transmit& train,
                MutableByteView buffer);

}  // namespace quicmesh
