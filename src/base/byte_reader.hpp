// Reads numbers and byte strings from bytes that anybody may have sent.
//
// Big-endian, with the variable-length integers of RFC 9000 s16. Every method is defined for every
// input: after the first read beyond the end the reader has failed, and all later reads give zeros
// and empty views. So a decoder reads straight through and asks once:
//
//     ByteReader reader(datagram);
//     const auto type = reader.u8();
//     const auto name = reader.varint_prefixed(64);
//     if (const auto done = reader.finish(); !done) return failure(done.error());
//
// A loop over a count from the wire must ask `ok()` each time: a failed reader never ends it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/base_errc.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// The largest RFC 9000 variable-length integer, 2^62 - 1.
inline constexpr std::uint64_t varint_max = (std::uint64_t{1} << 62) - 1;

class ByteReader {
 public:
  /// `bytes` is borrowed and outlives the reader and the views that it hands out.
  explicit ByteReader(ByteView bytes) : rest_(bytes), size_(bytes.size()) {}

  std::uint8_t u8() { return static_cast<std::uint8_t>(big_endian(1)); }
  std::uint16_t u16() { return static_cast<std::uint16_t>(big_endian(2)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(big_endian(4)); }
  std::uint64_t u64() { return big_endian(8); }

  /// RFC 9000 s16: 1, 2, 4 or 8 bytes, also when fewer would do.
  std::uint64_t varint();

  /// The next `count` bytes, borrowed.
  ByteView bytes(std::size_t count);

  template <std::size_t Size>
  std::array<std::uint8_t, Size> array() {
    std::array<std::uint8_t, Size> out{};
    const ByteView view = bytes(Size);
    for (std::size_t i = 0; i < view.size(); ++i)
      out[i] = view[i];
    return out;
  }

  /// A byte string behind its length as a varint; fails with `too_long` above `size_max`.
  ByteView varint_prefixed(std::size_t size_max);

  /// Everything that is left.
  ByteView rest() { return bytes(rest_.size()); }

  void skip(std::size_t count) { (void)bytes(count); }

  [[nodiscard]] bool ok() const { return !failed_; }
  [[nodiscard]] bool at_end() const { return rest_.empty(); }
  [[nodiscard]] std::size_t remaining() const { return rest_.size(); }
  /// Bytes read so far.
  [[nodiscard]] std::size_t position() const { return size_ - rest_.size(); }

  /// Makes the reader fail, for values that the decoder itself refuses; the first error stays.
  void fail(std::error_code error);

  /// Success if every read was, whatever is left; else the first error (`truncated`, `too_long`).
  [[nodiscard]] Result<void> status() const;

  /// Success if every read was and nothing is left, else the first error or `trailing_bytes`.
  [[nodiscard]] Result<void> finish() const;

 private:
  std::uint64_t big_endian(std::size_t count);

  ByteView rest_;
  std::size_t size_;
  bool failed_ = false;
  std::error_code error_;
};

}  // namespace quicmesh
