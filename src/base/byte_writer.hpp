// Writes numbers and byte strings as ByteReader reads them: big-endian, RFC 9000 s16 varints.
//
// A writer appends to a `Bytes` that grows, or fills a buffer of fixed size. What does not fit is
// not written, in part or in whole, and the writer has failed: `ok()` is asked once, at the end.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quicmesh/bytes.hpp"

namespace quicmesh {

/// Bytes that `value`, at most `varint_max`, takes as a varint.
constexpr std::size_t varint_size(std::uint64_t value) {
  if (value < 0x40) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x4000'0000) return 4;
  return 8;
}

class ByteWriter {
 public:
  /// Appends to `out`, which outlives the writer.
  explicit ByteWriter(Bytes& out) : growing_(&out), begin_(out.size()) {}
  /// Fills `out` from its start.
  explicit ByteWriter(MutableByteView out) : fixed_(out) {}

  void u8(std::uint8_t value) { big_endian(value, 1); }
  void u16(std::uint16_t value) { big_endian(value, 2); }
  void u32(std::uint32_t value) { big_endian(value, 4); }
  void u64(std::uint64_t value) { big_endian(value, 8); }

  /// The shortest form of `value`; above `varint_max` the writer fails.
  void varint(std::uint64_t value);

  void bytes(ByteView value);

  /// The length of `value` as a varint, then `value`.
  void varint_prefixed(ByteView value);

  /// Overwrites two bytes written earlier, for a length that is known later only. `offset` counts
  /// from where this writer began; the writer fails if the bytes are not there.
  void patch_u16(std::size_t offset, std::uint16_t value);

  [[nodiscard]] bool ok() const { return !failed_; }
  /// Bytes written by this writer.
  [[nodiscard]] std::size_t size() const { return size_; }
  /// The bytes written by this writer; valid until the next write.
  [[nodiscard]] ByteView written() const;

 private:
  void big_endian(std::uint64_t value, std::size_t count);

  Bytes* growing_ = nullptr;
  MutableByteView fixed_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  bool failed_ = false;
};

}  // namespace quicmesh
