#include "wire/schema_key.hpp"

#include <gtest/gtest.h>
#include <schema/dht.capnp.h>

#include "wire/schema_message.hpp"

namespace quicmesh {
namespace {

// The bytes stand in the message as they are, so that it can be read by eye.
TEST(SchemaKey, stands_in_the_message_byte_by_byte) {
  KeyBytes key;
  for (std::size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::uint8_t>(i + 1);
  const Bytes bytes = write_schema<schema::dht::FindNode>(
      64, [&](schema::dht::FindNode::Builder root) { set_key(root, key); });
  ASSERT_EQ(bytes.size(), 16 + 40U);
  EXPECT_TRUE(std::ranges::equal(ByteView(bytes).subspan(16, 32), key));
  const auto read = read_schema<schema::dht::FindNode>(
      bytes, 64,
      [](schema::dht::FindNode::Reader root) -> Result<KeyBytes> { return get_key(root); });
  EXPECT_EQ(read, key);
}

}  // namespace
}  // namespace quicmesh
