// Tunnels to relays (TLS over TCP) that a core asks its driver for, and gives back.
#pragma once

#include <cstdint>
#include <variant>

#include "base/network_path.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

/// Names a wish until it is answered; chosen by who asks.
enum class TunnelRequestId : std::uint16_t {};

/// A tunnel to the TCP address `remote`. The driver answers with `handle_tunnel_opened` or
/// `_failed`, and `handle_tunnel_closed` when one that was open ends by itself.
struct OpenTunnel {
  TunnelRequestId id{};
  SocketAddress remote;
};
/// Nobody waits for the answer any more, and none comes.
struct GiveUpTunnel {
  TunnelRequestId id{};
};
struct CloseTunnel {
  SocketId socket{};
};
using TunnelRequest = std::variant<OpenTunnel, GiveUpTunnel, CloseTunnel>;

}  // namespace quicmesh
