#include "base/turn_path.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t prefix_0 = 0xfd;
constexpr std::uint8_t prefix_1 = 0x53;
constexpr std::size_t number_at = 2;
constexpr std::size_t address_at = 12;
constexpr std::size_t servers_max = 256;

}  // namespace

NetworkPath turn_path(std::size_t server, const SocketAddress& peer) {
  QM_ASSERT(server < servers_max && peer.ip.family() == IpFamily::v4);
  std::array<std::uint8_t, 16> bytes{prefix_0, prefix_1};
  bytes[number_at] = static_cast<std::uint8_t>(server);
  std::copy_n(peer.ip.bytes().begin(), 4, bytes.begin() + address_at);
  return {relayed_socket, IpAddress::any(IpFamily::v6), {IpAddress::v6(bytes), peer.port}};
}

bool is_turn_path(const NetworkPath& path) {
  const auto& bytes = path.remote.ip.bytes();
  return is_relayed(path) && path.remote.ip.family() == IpFamily::v6 && bytes[0] == prefix_0 &&
         bytes[1] == prefix_1;
}

std::size_t turn_server_of(const NetworkPath& path) {
  QM_ASSERT(is_turn_path(path));
  return path.remote.ip.bytes()[number_at];
}

SocketAddress turn_peer_of(const NetworkPath& path) {
  QM_ASSERT(is_turn_path(path));
  std::array<std::uint8_t, 4> address{};
  std::copy_n(path.remote.ip.bytes().begin() + address_at, 4, address.begin());
  return {IpAddress::v4(address), path.remote.port};
}

}  // namespace quicmesh
