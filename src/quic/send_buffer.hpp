// Bytes of one stream on their way out: kept in place until the peer has acknowledged them.
//
// ngtcp2 copies nothing: it remembers pointers into this buffer for resending, so a chunk must not
// move or shrink before its last byte is acknowledged. Large writes are taken over without a copy;
// small ones are gathered in a chunk whose capacity is reserved beforehand.
#pragma once

#include "quicmesh/bytes.hpp"

#include <boost/container/deque.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace quicmesh {

class SendBuffer {
 public:
  /// Takes `data` over. Writes below `gather_below` bytes are copied to a shared chunk.
  void append(Bytes data);

  /// Fills `views` with what is to be sent next, in order, at least `wanted` bytes where there are
  /// so many (and views for them); returns how many views are used.
  [[nodiscard]] std::size_t peek(std::span<ByteView> views, std::size_t wanted) const;

  /// `count` more bytes were put into packets; at most `unsent()`.
  void mark_sent(std::size_t count);

  /// The peer has everything below the stream offset `offset`; chunks wholly below it are freed.
  void acknowledge_until(std::uint64_t offset);

  [[nodiscard]] std::size_t unsent() const { return static_cast<std::size_t>(end_ - sent_); }
  /// Bytes sent and not acknowledged.
  [[nodiscard]] std::size_t in_flight() const {
    return static_cast<std::size_t>(sent_ - acknowledged_);
  }
  /// Bytes held: sent and not acknowledged, and not yet sent.
  [[nodiscard]] std::size_t held() const { return static_cast<std::size_t>(end_ - acknowledged_); }
  /// Stream offset one past the last byte appended.
  [[nodiscard]] std::uint64_t end_offset() const { return end_; }

 private:
  static constexpr std::size_t gather_below = 2048;
  static constexpr std::size_t gather_chunk = 4096;

  boost::container::deque<Bytes> chunks_;
  std::uint64_t base_ = 0;          // stream offset of the first byte of chunks_.front()
  std::uint64_t acknowledged_ = 0;  // base_ <= acknowledged_ <= sent_ <= end_
  std::uint64_t sent_ = 0;
  std::uint64_t end_ = 0;
  std::size_t sent_chunk_ = 0;  // the chunk of `sent_`, and where in it
  std::size_t sent_offset_ = 0;
};

}  // namespace quicmesh
