// A fuzz input read as a script: numbers and byte strings for as long as there are any.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "quicmesh/bytes.hpp"

namespace quicmesh::fuzz {

/// Past its end it gives zeros and empty strings, so that a script needs no checks in between.
class Script {
 public:
  Script(const std::uint8_t* data, std::size_t size) : rest_(data, size) {}

  [[nodiscard]] bool done() const { return rest_.empty(); }

  std::uint8_t u8() {
    const ByteView byte = bytes(1);
    return byte.empty() ? std::uint8_t{0} : byte[0];
  }
  std::uint16_t u16() {
    const unsigned high = u8();
    return static_cast<std::uint16_t>(high << 8 | u8());
  }
  std::uint64_t u64() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i)
      value = value << 8 | u8();
    return value;
  }
  ByteView bytes(std::size_t size) {
    const ByteView taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  /// A string of up to 255 bytes behind its length.
  ByteView string() { return bytes(u8()); }

 private:
  ByteView rest_;
};

}  // namespace quicmesh::fuzz
