// Sockets that a core asks its driver for, besides those it was given, and gives back.
#pragma once

#include <cstdint>
#include <variant>

#include "base/network_path.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

/// Names a wish until it is answered; chosen by who asks.
enum class SocketRequestId : std::uint16_t {};

/// Any port of any address. The driver answers with `handle_socket_opened` or `_failed`.
struct OpenSocket {
  SocketRequestId id{};
  IpFamily family{};
};
struct CloseSocket {
  SocketId socket{};
};
using SocketRequest = std::variant<OpenSocket, CloseSocket>;

}  // namespace quicmesh
