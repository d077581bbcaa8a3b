// The writer's bounds check is in one place, `bytes`; everything else goes through it.
#include "base/byte_writer.hpp"

#include <algorithm>
#include <array>

#include "base/byte_reader.hpp"

namespace quicmesh {

void ByteWriter::bytes(ByteView value) {
  if (failed_) return;
  if (growing_ != nullptr) {
    growing_->insert(growing_->end(), value.begin(), value.end());
  } else {
    if (value.size() > fixed_.size() - size_) {
      failed_ = true;
      return;
    }
    std::ranges::copy(value, fixed_.begin() + static_cast<std::ptrdiff_t>(size_));
  }
  size_ += value.size();
}

void ByteWriter::big_endian(std::uint64_t value, std::size_t count) {
  std::array<std::uint8_t, 8> encoded{};
  for (std::size_t i = count; i > 0; --i) {
    encoded[i - 1] = static_cast<std::uint8_t>(value);
    value >>= 8;
  }
  bytes(ByteView(encoded).first(count));
}

void ByteWriter::varint(std::uint64_t value) {
  switch (value > varint_max ? 0 : varint_size(value)) {
    case 1:
      return big_endian(value, 1);
    case 2:
      return big_endian(value | std::uint64_t{1} << 14, 2);
    case 4:
      return big_endian(value | std::uint64_t{2} << 30, 4);
    case 8:
      return big_endian(value | std::uint64_t{3} << 62, 8);
    default:
      failed_ = true;
  }
}

void ByteWriter::varint_prefixed(ByteView value) {
  varint(value.size());
  bytes(value);
}

void ByteWriter::patch_u16(std::size_t offset, std::uint16_t value) {
  if (failed_ || size_ < 2 || offset > size_ - 2) {
    failed_ = true;
    return;
  }
  std::uint8_t* const place =
      growing_ != nullptr ? growing_->data() + begin_ + offset : fixed_.data() + offset;
  place[0] = static_cast<std::uint8_t>(value >> 8);
  place[1] = static_cast<std::uint8_t>(value);
}

ByteView ByteWriter::written() const {
  if (growing_ != nullptr) return ByteView(*growing_).subspan(begin_, size_);
  return fixed_.first(size_);
}

}  // namespace quicmesh
