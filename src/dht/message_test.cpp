#include "dht/message.hpp"

#include <gtest/gtest.h>

namespace quicmesh::dht {
namespace {

TEST(DhtMessage, size_grows_with_its_contacts) {
  const Message none{.body = Nodes{}};
  const Message two{.body = Nodes{{PeerHandle{1}, PeerHandle{2}}}};
  const Message twenty{.body = Nodes{std::vector<PeerHandle>(20)}};
  EXPECT_GT(wire_size(none), 0U);
  EXPECT_EQ(wire_size(twenty) - wire_size(none), 10 * (wire_size(two) - wire_size(none)));
}

}  // namespace
}  // namespace quicmesh::dht
