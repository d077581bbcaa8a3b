// Frames that came singly become a train, and no others.
#include "io/relay_gather.hpp"

#include <gtest/gtest.h>

namespace quicmesh::io {
namespace {

NetworkPath path(std::uint16_t port) {
  return {SocketId{0}, IpAddress::any(IpFamily::v4), {IpAddress::loopback(IpFamily::v4), port}};
}

TEST(RelayGather, takes_in_frames_of_one_size_and_source) {
  RelayGather gather;
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(gather.join(path(1), 1200, 1200));
  EXPECT_EQ(gather.begin(), 0u);
  EXPECT_EQ(gather.size(), 3600u);
  EXPECT_EQ(gather.segment_size(), 1200u);
  EXPECT_FALSE(gather.full());
  EXPECT_FALSE(gather.join(path(2), 1200, 1200));
  EXPECT_FALSE(gather.join(path(1), 1201, 1201));
  EXPECT_FALSE(gather.join(path(1), 2000, 1000));
  EXPECT_EQ(gather.size(), 3600u);
}

TEST(RelayGather, ends_with_a_shorter_frame) {
  RelayGather gather;
  EXPECT_TRUE(gather.join(path(1), 1200, 1200));
  EXPECT_TRUE(gather.join(path(1), 40, 40));
  EXPECT_TRUE(gather.full());
  EXPECT_FALSE(gather.join(path(1), 1200, 1200));
  EXPECT_EQ(gather.size(), 1240u);
}

TEST(RelayGather, takes_in_trains_of_the_same_segments) {
  RelayGather gather;
  EXPECT_TRUE(gather.join(path(1), 4000, 1000));
  EXPECT_TRUE(gather.join(path(1), 2500, 1000));
  EXPECT_TRUE(gather.full());  // its last segment is short
  gather.clear();
  EXPECT_TRUE(gather.join(path(1), 2500, 1000));
  EXPECT_TRUE(gather.full());
}

TEST(RelayGather, is_full_at_what_one_call_sends) {
  RelayGather large;
  std::size_t joined = 0;
  while (large.join(path(1), 1400, 1400))
    ++joined;
  EXPECT_EQ(joined, RelayGather::bytes_max / 1400);
  EXPECT_TRUE(large.full());
  RelayGather small;
  joined = 0;
  while (small.join(path(1), 40, 40))
    ++joined;
  EXPECT_EQ(joined, RelayGather::segments_max);
  EXPECT_TRUE(small.full());
}

TEST(RelayGather, restarts_where_the_stranger_was_received) {
  RelayGather gather;
  EXPECT_TRUE(gather.join(path(1), 1200, 1200));
  EXPECT_FALSE(gather.join(path(2), 500, 500));
  gather.restart(path(2), 500, 500);
  EXPECT_EQ(gather.begin(), 1200u);
  EXPECT_EQ(gather.size(), 500u);
  EXPECT_EQ(gather.end(), 1700u);
  EXPECT_EQ(gather.path(), path(2));
}

}  // namespace
}  // namespace quicmesh::io
