// The bytes in vectors/dht, both ways. They are what other implementations are tested with: a
// change of one is a change of the protocol. `capnp decode schema/dht.capnp Message` reads them.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "dht_wire/messages_for_tests.hpp"

namespace quicmesh::dht {
namespace {

std::filesystem::path vector_file(const std::string& name) {
  return std::filesystem::path(QUICMESH_SOURCE_DIR) / "vectors/dht" / (name + ".bin");
}

Bytes bytes_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(DhtVectors, are_what_the_codec_writes_and_reads) {
  const Bytes own_record = record_number(1);
  TestBook sender;
  for (const auto& [name, message] : one_of_each(sender.peers)) {
    // Who asks shows its record; the answers go without.
    const Bytes bytes =
        encode_message(message, sender.book,
                       is_request(message.body) ? ByteView(own_record) : ByteView(), test_link);
    const Bytes expected = bytes_of(vector_file(name));
    if (bytes != expected) {
      const auto written = std::filesystem::path(::testing::TempDir()) / (name + ".bin");
      std::ofstream(written, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
      ADD_FAILURE() << vector_file(name) << " is not what is written now: " << written;
    }
    TestBook reader(false);
    RecordCounts counts;
    const auto read = decode_message(expected, reader.book, reader.peers[0], test_link, counts);
    if (!read) {
      ADD_FAILURE() << name << ": " << describe(read.error());
      continue;
    }
    const ByteView shown =
        is_request(message.body) ? reader.book.record(reader.peers[0]) : ByteView();
    EXPECT_EQ(encode_message(*read, reader.book, shown, test_link), expected) << name;
  }
}

}  // namespace
}  // namespace quicmesh::dht
