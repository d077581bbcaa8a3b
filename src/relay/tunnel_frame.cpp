#include "relay/tunnel_frame.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace quicmesh {
namespace {

bool in_range(std::size_t length) {
  return length > 0 && length <= tunnel_datagram_max;
}

}  // namespace

void append_tunnel_frame(Bytes& out, ByteView datagram) {
  QM_ASSERT(in_range(datagram.size()));
  out.push_back(static_cast<std::uint8_t>(datagram.size() >> 8));
  out.push_back(static_cast<std::uint8_t>(datagram.size() & 0xff));
  out.insert(out.end(), datagram.begin(), datagram.end());
}

void TunnelFrameReader::append(ByteView bytes) {
  QM_ASSERT(bytes.size() <= append_max);
  if (broken_) return;
  if (front_ > 0) {
    buffer_.erase(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(front_));
    front_ = 0;
  }
  buffer_.insert(buffer_.end(), bytes.begin(), bytes.end());
}

std::optional<std::size_t> TunnelFrameReader::length() const {
  if (buffered() < tunnel_frame_header_size) return std::nullopt;
  return (std::size_t{buffer_[front_]} << 8) | buffer_[front_ + 1];
}

std::optional<ByteView> TunnelFrameReader::front() const {
  const auto size = length();
  if (!size || !in_range(*size) || buffered() - tunnel_frame_header_size < *size) {
    return std::nullopt;
  }
  return ByteView(buffer_).subspan(front_ + tunnel_frame_header_size, *size);
}

void TunnelFrameReader::pop(std::size_t datagram_size) {
  front_ += tunnel_frame_header_size + datagram_size;
  if (front_ < buffer_.size()) return;
  buffer_.clear();
  front_ = 0;
  if (buffer_.capacity() > kept_max) buffer_ = {};
}

std::optional<TunnelTrain> TunnelFrameReader::next(MutableByteView out) {
  TunnelTrain train;
  while (const auto datagram = front()) {
    const std::size_t size = datagram->size();
    if (train.size == 0) train.segment_size = size;
    if (size > train.segment_size || train.size + size > out.size()) break;
    std::ranges::copy(*datagram, out.begin() + static_cast<std::ptrdiff_t>(train.size));
    train.size += size;
    pop(size);
    if (size < train.segment_size) break;
  }
  if (train.size > 0) return train;
  if (const auto size = length(); size && !in_range(*size)) {
    broken_ = true;
    buffer_ = {};
    front_ = 0;
  }
  return std::nullopt;
}

}  // namespace quicmesh
