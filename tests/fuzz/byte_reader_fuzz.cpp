// A program of reads over any bytes: the first byte says how many bytes are program, the rest is
// read. Whatever the reads are, the reader stays within its input, and once failed it gives
// nothing.
#include <algorithm>

#include "base/assert.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

using namespace quicmesh;

namespace {

/// One read; the views are touched, so that AddressSanitizer sees where they lead.
std::uint64_t step(ByteReader& reader, std::uint8_t operation) {
  std::uint64_t sum = 0;
  switch (operation % 9) {
    case 0:
      return reader.u8();
    case 1:
      return reader.u16();
    case 2:
      return reader.u32();
    case 3:
      return reader.u64();
    case 4:
      return reader.varint();
    case 5:
      for (const std::uint8_t byte : reader.bytes(operation))
        sum += byte;
      return sum;
    case 6:
      for (const std::uint8_t byte : reader.varint_prefixed(operation))
        sum += byte;
      return sum;
    case 7:
      for (const std::uint8_t byte : reader.array<7>())
        sum += byte;
      return sum;
    default:
      reader.skip(operation);
      return 0;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  const ByteView program = input.first(std::min<std::size_t>(data[0], input.size()));
  const ByteView bytes = input.subspan(program.size());
  ByteReader reader(bytes);
  for (const std::uint8_t operation : program) {
    const bool failed = !reader.ok();
    const std::uint64_t value = step(reader, operation);
    QM_ASSERT(!failed || (value == 0 && !reader.ok()));
    QM_ASSERT(reader.position() + reader.remaining() == bytes.size());
    if (operation % 9 == 4 && reader.ok()) {
      Bytes again;
      ByteWriter writer(again);
      writer.varint(value);
      QM_ASSERT(writer.ok() && ByteReader(again).varint() == value);
    }
  }
  QM_ASSERT(reader.finish().has_value() == (reader.ok() && reader.at_end()));
  return 0;
}
