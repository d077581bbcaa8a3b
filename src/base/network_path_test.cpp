// Tests of the hash of a path, in which every field counts, and of what counts as the same path.
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

TEST(NetworkPath, an_unspecified_source_is_the_same_path_as_whichever_the_kernel_took) {
  const SocketAddress remote{IpAddress::v4({10, 0, 0, 9}), 4242};
  const SocketAddress other_port{remote.ip, 4243};
  const IpAddress one = IpAddress::v4({10, 0, 0, 1});
  const IpAddress two = IpAddress::v4({10, 0, 0, 2});
  const NetworkPath path{SocketId{1}, one, remote};
  EXPECT_TRUE(same_path(path, path));
  EXPECT_TRUE(same_path(path, {SocketId{1}, IpAddress::v4({0, 0, 0, 0}), remote}));
  EXPECT_TRUE(same_path({SocketId{1}, IpAddress::v4({0, 0, 0, 0}), remote}, path));
  EXPECT_FALSE(same_path(path, {SocketId{1}, two, remote}));
  EXPECT_FALSE(same_path(path, {SocketId{2}, one, remote}));
  EXPECT_FALSE(same_path(path, {SocketId{1}, one, other_port}));
}

}  // namespace
}  // namespace quicmesh
