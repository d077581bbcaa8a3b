// See stun_service.hpp.
#include "io/stun_service.hpp"

#include <utility>

namespace quicmesh::io {
namespace {

constexpr unsigned ports_tried = 16;  // from the next one on

StunServerEndpoint endpoint_of(const std::vector<UdpSocket>& sockets, std::size_t index) {
  const SocketAddress local = sockets[index].local();
  return {SocketId{static_cast<std::uint16_t>(index)}, local.ip, local};
}

bool are_two_addresses(const SocketAddress& a, const SocketAddress& b) {
  return a.ip.family() == b.ip.family() && a.ip != b.ip && a.port == b.port &&
         !a.ip.is_unspecified() && !b.ip.is_unspecified();
}

}  // namespace

std::optional<StunServerConfig> open_behaviour_discovery(std::vector<UdpSocket>& sockets) {
  for (std::size_t first = 0; first < sockets.size(); ++first) {
    for (std::size_t second = first + 1; second < sockets.size(); ++second) {
      const SocketAddress a = sockets[first].local();
      const SocketAddress b = sockets[second].local();
      if (!are_two_addresses(a, b)) continue;
      for (unsigned i = 1; i <= ports_tried; ++i) {
        const auto port = static_cast<std::uint16_t>(a.port + i);
        auto other_port = UdpSocket::open({a.ip, port});
        auto other_both = UdpSocket::open({b.ip, port});
        if (!other_port || !other_both) continue;
        StunServerConfig config{.primary = endpoint_of(sockets, first)};
        const StunServerEndpoint other_ip = endpoint_of(sockets, second);
        sockets.push_back(std::move(*other_port));
        sockets.push_back(std::move(*other_both));
        config.alternates = {endpoint_of(sockets, sockets.size() - 2), other_ip,
                             endpoint_of(sockets, sockets.size() - 1)};
        return config;
      }
    }
  }
  return std::nullopt;
}

}  // namespace quicmesh::io
