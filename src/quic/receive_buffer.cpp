#include "quic/receive_buffer.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh {

void ReceiveBuffer::append(ByteView data) {
  size_ += data.size();
  while (!data.empty()) {
    if (chunks_.empty() || chunks_.back().size() == chunks_.back().capacity()) {
      // A lone short message gets exactly its size; a second piece shows that more is coming.
      const bool first = chunks_.empty() && next_chunk_ == chunk_min;
      chunks_.emplace_back();
      chunks_.back().reserve(first ? data.size() : next_chunk_);
      next_chunk_ = std::min(next_chunk_ * 2, chunk_max);
    }
    Bytes& chunk = chunks_.back();
    const std::size_t room = chunk.capacity() - chunk.size();
    const std::size_t step = std::min(room, data.size());
    chunk.insert(chunk.end(), data.begin(), data.begin() + static_cast<std::ptrdiff_t>(step));
    data = data.subspan(step);
  }
}

Bytes ReceiveBuffer::pop() {
  if (chunks_.empty()) return {};
  Bytes chunk = std::move(chunks_.front());
  chunks_.pop_front();
  size_ -= chunk.size();
  return chunk;
}

void ReceiveBuffer::clear() {
  chunks_.clear();
  size_ = 0;
}

}  // namespace quicmesh
