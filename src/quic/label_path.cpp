#include "quic/label_path.hpp"

#include <cstring>

#include "base/assert.hpp"

namespace quicmesh {
namespace {

// fd51::<path>:<side>, RFC 4193 space; never on any wire.
sockaddr_in6 synthetic(std::uint32_t path, std::uint8_t side, std::uint16_t port) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  address.sin6_addr.s6_addr[0] = 0xfd;
  address.sin6_addr.s6_addr[1] = 0x51;
  const std::uint32_t number = htonl(path);
  std::memcpy(&address.sin6_addr.s6_addr[10], &number, sizeof number);
  address.sin6_addr.s6_addr[15] = side;
  return address;
}

}  // namespace

LabelPath::LabelPath(PathLabel label)
    : local_(synthetic(label.path, 1, 1)), remote_(synthetic(label.path, 2, label.port)) {
  path_.local = {reinterpret_cast<ngtcp2_sockaddr*>(&local_), sizeof local_};
  path_.remote = {reinterpret_cast<ngtcp2_sockaddr*>(&remote_), sizeof remote_};
}

PathLabel label_of(const ngtcp2_path& path) {
  QM_ASSERT(path.remote.addrlen == sizeof(sockaddr_in6));
  sockaddr_in6 remote;
  std::memcpy(&remote, path.remote.addr, sizeof remote);
  std::uint32_t number = 0;
  std::memcpy(&number, &remote.sin6_addr.s6_addr[10], sizeof number);
  return {ntohl(number), ntohs(remote.sin6_port)};
}

}  // namespace quicmesh
