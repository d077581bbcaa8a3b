// SocketAddress to and from the kernel's sockaddr.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>

#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

struct KernelAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  [[nodiscard]] sockaddr* data() { return reinterpret_cast<sockaddr*>(&storage); }
  [[nodiscard]] const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

KernelAddress to_kernel(const SocketAddress& address);

/// Nothing if the family is neither IPv4 nor IPv6.
std::optional<SocketAddress> from_kernel(const sockaddr* address);

IpAddress from_kernel(const in_addr& address);
IpAddress from_kernel(const in6_addr& address);

}  // namespace quicmesh::io
