// Tests of the hash of a path: every field counts.
#include "base/network_path.hpp"

#include <gtest/gtest.h>

#include <unordered_set>

namespace quicmesh {
namespace {

TEST(NetworkPath, every_field_counts_in_the_hash) {
  const auto address = [](std::uint8_t last) { return IpAddress::v4({10, 0, 0, last}); };
  std::unordered_set<std::size_t> hashes;
  for (std::uint16_t socket = 0; socket < 4; ++socket) {
    for (std::uint8_t local = 0; local < 4; ++local) {
      for (std::uint8_t remote = 0; remote < 4; ++remote) {
        for (std::uint16_t port = 0; port < 4; ++port) {
          const NetworkPath path{SocketId{socket}, address(local), {address(remote), port}};
          hashes.insert(std::hash<NetworkPath>{}(path));
        }
      }
    }
  }
  EXPECT_EQ(hashes.size(), 256U);
}

}  // namespace
}  // namespace quicmesh
