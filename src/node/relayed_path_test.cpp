// A session as a path, and trains that get a header in front of each datagram.
#include "node/relayed_path.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace quicmesh {
namespace {

TEST(RelayedPath, names_its_session_and_no_other) {
  for (const std::uint64_t id : {1ull, 0x0102030405060708ull, ~0ull}) {
    const NetworkPath path = relayed_path(RelaySessionId{id});
    EXPECT_TRUE(is_relayed(path));
    EXPECT_EQ(relay_session_of(path), RelaySessionId{id});
  }
  EXPECT_NE(relayed_path(RelaySessionId{1}), relayed_path(RelaySessionId{2}));
  EXPECT_FALSE(is_relayed(NetworkPath{}));
}

TEST(RelayedPath, every_datagram_of_a_train_gets_the_header) {
  const auto header = encode_relay_header({RelayRole::responder, RelaySessionId{7}});
  for (const std::size_t last : {1u, 99u, 100u}) {
    for (const std::size_t count : {1u, 2u, 45u}) {
      Bytes buffer(transmit_buffer_size, 0xee);
      Transmit train{{}, (count - 1) * 100 + last, count == 1 ? last : 100};
      for (std::size_t i = 0; i < train.size; ++i)
        buffer[i] = static_cast<std::uint8_t>(i * 7);
      const Bytes before(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(train.size));
      const std::size_t segment = train.segment_size;
      wrap_train(header, train, buffer);
      ASSERT_EQ(train.segment_size, segment + header.size());
      ASSERT_EQ(train.size, before.size() + count * header.size());
      Bytes after;
      for (std::size_t at = 0; at < train.size; at += train.segment_size) {
        const ByteView datagram =
            ByteView(buffer).subspan(at, std::min(train.segment_size, train.size - at));
        ASSERT_TRUE(std::ranges::equal(datagram.first(header.size()), header));
        const ByteView payload = datagram.subspan(header.size());
        after.insert(after.end(), payload.begin(), payload.end());
      }
      EXPECT_EQ(after, before);
    }
  }
}

}  // namespace
}  // namespace quicmesh
