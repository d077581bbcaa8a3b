// The reader's bounds check is in one place, `bytes`; everything else goes through it.
#include "base/byte_reader.hpp"

namespace quicmesh {

ByteView ByteReader::bytes(std::size_t count) {
  if (failed_) return {};
  if (count > rest_.size()) {
    fail(BaseErrc::truncated);
    return {};
  }
  const ByteView taken = rest_.first(count);
  rest_ = rest_.subspan(count);
  return taken;
}

std::uint64_t ByteReader::big_endian(std::size_t count) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes(count))
    value = value << 8 | byte;
  return value;
}

std::uint64_t ByteReader::varint() {
  if (failed_ || rest_.empty()) {
    fail(BaseErrc::truncated);
    return 0;
  }
  // RFC 9000 s16: the two high bits of the first byte are log2 of the length, the rest is value.
  const std::size_t length = std::size_t{1} << (rest_[0] >> 6);
  const std::uint64_t with_length = big_endian(length);
  return with_length & ((std::uint64_t{1} << (8 * length - 2)) - 1);
}

ByteView ByteReader::varint_prefixed(std::size_t size_max) {
  const std::uint64_t size = varint();
  if (size > size_max) {
    fail(BaseErrc::too_long);
    return {};
  }
  return bytes(static_cast<std::size_t>(size));
}

void ByteReader::fail(std::error_code error) {
  if (failed_) return;
  failed_ = true;
  error_ = error;
  rest_ = {};
}

Result<void> ByteReader::status() const {
  if (failed_) return failure(error_);
  return {};
}

Result<void> ByteReader::finish() const {
  if (failed_) return failure(error_);
  if (!rest_.empty()) return failure(BaseErrc::trailing_bytes);
  return {};
}

}  // namespace quicmesh
