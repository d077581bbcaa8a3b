#include "quic/send_buffer.hpp"

#include <algorithm>
#include <utility>

#include "base/assert.hpp"

namespace quicmesh {

void SendBuffer::append(Bytes data) {
  if (data.empty()) return;
  end_ += data.size();
  if (data.size() < gather_below) {
    // insert() within the reserved capacity never moves the bytes that ngtcp2 points to.
    if (chunks_.empty() || chunks_.back().capacity() - chunks_.back().size() < data.size()) {
      chunks_.emplace_back();
      // The first small write stays small: most streams carry one short message.
      chunks_.back().reserve(chunks_.size() == 1 ? std::max<std::size_t>(data.size(), 256)
                                                 : gather_chunk);
    }
    Bytes& chunk = chunks_.back();
    chunk.insert(chunk.end(), data.begin(), data.end());
    return;
  }
  chunks_.push_back(std::move(data));
}

std::size_t SendBuffer::peek(std::span<ByteView> views, std::size_t wanted) const {
  std::size_t used = 0;
  std::size_t bytes = 0;
  std::size_t offset = sent_offset_;
  for (std::size_t i = sent_chunk_; i < chunks_.size() && used < views.size(); ++i) {
    const ByteView rest = ByteView(chunks_[i]).subspan(offset);
    offset = 0;
    if (!rest.empty()) views[used++] = rest;
    bytes += rest.size();
    if (bytes >= wanted) break;
  }
  return used;
}

void SendBuffer::mark_sent(std::size_t count) {
  QM_ASSERT(count <= unsent());
  sent_ += count;
  while (count > 0) {
    const std::size_t left = chunks_[sent_chunk_].size() - sent_offset_;
    const std::size_t step = std::min(left, count);
    count -= step;
    sent_offset_ += step;
    // A full chunk is left behind only when another follows: the last may still gather.
    if (sent_offset_ == chunks_[sent_chunk_].size() && sent_chunk_ + 1 < chunks_.size()) {
      ++sent_chunk_;
      sent_offset_ = 0;
    }
  }
}

void SendBuffer::acknowledge_until(std::uint64_t offset) {
  acknowledged_ = std::max(acknowledged_, std::min(offset, sent_));
  while (!chunks_.empty() && base_ + chunks_.front().size() <= acknowledged_) {
    if (sent_chunk_ > 0) {
      --sent_chunk_;
    } else {
      // The chunk being sent from is the one freed: everything before `end_` was acknowledged.
      if (sent_offset_ != chunks_.front().size()) return;
      sent_offset_ = 0;
    }
    base_ += chunks_.front().size();
    chunks_.pop_front();
  }
}

}  // namespace quicmesh
