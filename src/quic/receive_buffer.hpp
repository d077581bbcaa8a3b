// Bytes of one stream that arrived in order and wait to be read.
//
// Chunks grow with the traffic (1 KiB to 64 KiB), so that a short message costs little and a bulk
// reader gets few, large pieces, each handed over without another copy.
#pragma once

#include "quicmesh/bytes.hpp"

#include <boost/container/deque.hpp>

#include <cstddef>

namespace quicmesh {

class ReceiveBuffer {
 public:
  void append(ByteView data);

  /// The oldest chunk, moved out; empty if nothing is there.
  [[nodiscard]] Bytes pop();

  void clear();

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  static constexpr std::size_t chunk_min = 1u << 10;
  // Below glibc's threshold for mmap: fresh pages for each chunk would cost more than the copy.
  static constexpr std::size_t chunk_max = 64u << 10;

  boost::container::deque<Bytes> chunks_;
  std::size_t size_ = 0;
  std::size_t next_chunk_ = chunk_min;
};

}  // namespace quicmesh
