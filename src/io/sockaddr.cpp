// See sockaddr.hpp.
#include "io/sockaddr.hpp"

#include <arpa/inet.h>

#include <array>
#include <cstdint>
#include <cstring>

namespace quicmesh::io {

KernelAddress to_kernel(const SocketAddress& address) {
  KernelAddress out;
  if (address.ip.family() == IpFamily::v4) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_port = htons(address.port);
    std::memcpy(&in.sin_addr, address.ip.bytes().data(), sizeof in.sin_addr);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_port = htons(address.port);
    std::memcpy(&in.sin6_addr, address.ip.bytes().data(), sizeof in.sin6_addr);
    std::memcpy(&out.storage, &in, sizeof in);
    out.size = sizeof in;
  }
  return out;
}

std::optional<SocketAddress> from_kernel(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, address, sizeof in);
    return SocketAddress{from_kernel(in.sin_addr), ntohs(in.sin_port)};
  }
  if (address->sa_family == AF_INET6) {
    sockaddr_in6 in;
    std::memcpy(&in, address, sizeof in);
    return SocketAddress{from_kernel(in.sin6_addr), ntohs(in.sin6_port)};
  }
  return std::nullopt;
}

IpAddress from_kernel(const in_addr& address) {
  std::array<std::uint8_t, 4> bytes;
  std::memcpy(bytes.data(), &address, bytes.size());
  return IpAddress::v4(bytes);
}

IpAddress from_kernel(const in6_addr& address) {
  std::array<std::uint8_t, 16> bytes;
  std::memcpy(bytes.data(), &address, bytes.size());
  return IpAddress::v6(bytes);
}

}  // namespace quicmesh::io
