#include "wire/schema_message.hpp"

#include <gtest/gtest.h>
#include <schema/dht.capnp.h>

namespace quicmesh {
namespace {

using Root = schema::dht::Message;

Bytes message(std::uint32_t request) {
  return write_schema<Root>(4096, [&](Root::Builder root) { root.setRequest(request); });
}

Result<std::uint32_t> read(ByteView bytes, std::size_t size_max = 4096) {
  return read_schema<Root>(bytes, size_max, [](Root::Reader root) -> Result<std::uint32_t> {
    return root.getRequest();
  });
}

TEST(SchemaMessage, reads_what_it_writes) {
  EXPECT_EQ(read(message(0xfedcba98)), 0xfedcba98U);
}

TEST(SchemaMessage, hands_on_what_the_reader_of_the_root_refuses) {
  const auto refused = read_schema<Root>(message(1), 4096, [](Root::Reader) -> Result<int> {
    return failure(WireErrc::unknown_body);
  });
  EXPECT_EQ(refused.error(), WireErrc::unknown_body);
}

TEST(SchemaMessage, reads_from_any_alignment) {
  Bytes shifted(1);
  const Bytes bytes = message(5);
  shifted.insert(shifted.end(), bytes.begin(), bytes.end());
  EXPECT_EQ(read(ByteView(shifted).subspan(1)), 5U);
}

TEST(SchemaMessage, refuses_wrong_sizes) {
  const Bytes bytes = message(1);
  EXPECT_EQ(read({}).error(), WireErrc::malformed_message);
  for (std::size_t size = 1; size < bytes.size(); ++size)
    EXPECT_EQ(read(ByteView(bytes).first(size)).error(), WireErrc::malformed_message) << size;
  EXPECT_TRUE(read(bytes, bytes.size()));
  EXPECT_EQ(read(bytes, bytes.size() - 1).error(), WireErrc::message_too_long);
}

TEST(SchemaMessage, turns_exceptions_of_cap_n_proto_into_an_error) {
  Bytes far = message(1);
  far[8] = 0x02;  // the root's pointer, to another segment that is not there
  EXPECT_EQ(read(far).error(), WireErrc::malformed_message);
  const Bytes segments(8, 0xff);  // 2^32 segments
  EXPECT_EQ(read(segments).error(), WireErrc::malformed_message);
}

// Another implementation may write several segments.
TEST(SchemaMessage, reads_messages_of_several_segments) {
  capnp::MallocMessageBuilder builder(1, capnp::AllocationStrategy::FIXED_SIZE);
  builder.initRoot<Root>().setRequest(9);
  ASSERT_GT(builder.getSegmentsForOutput().size(), 1U);
  const auto words = capnp::messageToFlatArray(builder);
  const auto flat = words.asBytes();
  EXPECT_EQ(read({flat.begin(), flat.size()}), 9U);
}

}  // namespace
}  // namespace quicmesh
