// Relay frames that came one by one, put together so that they leave in one call.
//
// A train that the kernel hands over whole is forwarded whole (relay_server.hpp). Where datagrams
// come singly, as they do when the sender or a driver on the way has no offload, sending each by
// itself would be the dearest thing that a relay does: six tenths of its time. So frames that wait
// in the socket anyway, come from one path and have one size are received side by side into the
// buffer, and forwarded as the train that they are then. Nothing waits for it, nothing is copied,
// and the order of arrival stays.
#pragma once

#include <cstddef>

#include "base/network_path.hpp"

namespace quicmesh::io {

class RelayGather {
 public:
  // What one GSO call takes (udp_socket.hpp).
  static constexpr std::size_t segments_max = 64;
  static constexpr std::size_t bytes_max = 65'000;

  [[nodiscard]] bool empty() const { return size_ == 0; }
  /// The stretch of the buffer that is gathered.
  [[nodiscard]] std::size_t begin() const { return begin_; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t segment_size() const { return segment_size_; }
  [[nodiscard]] const NetworkPath& path() const { return path_; }
  /// Where the next train is to be received.
  [[nodiscard]] std::size_t end() const { return begin_ + size_; }

  void clear() { *this = {}; }

  /// Takes in the train at `end()`; false if it is not one with what is there.
  bool join(const NetworkPath& path, std::size_t size, std::size_t segment_size) {
    if (empty()) {
      path_ = path;
      segment_size_ = segment_size;
    } else if (path != path_ || !fits(size, segment_size)) {
      return false;
    }
    size_ += size;
    return true;
  }

  /// Begins anew at the train that did not join.
  void restart(const NetworkPath& path, std::size_t size, std::size_t segment_size) {
    const std::size_t begin = end();
    clear();
    begin_ = begin;
    (void)join(path, size, segment_size);
  }

  /// Nothing more can join: a shorter datagram ends a train, and one more would be too much.
  [[nodiscard]] bool full() const {
    return size_ % segment_size_ != 0 || !fits(segment_size_, segment_size_);
  }

 private:
  [[nodiscard]] bool fits(std::size_t size, std::size_t segment_size) const {
    if (size_ % segment_size_ != 0) return false;
    // A single datagram has no segment size but its own.
    const bool one = size == segment_size;
    if (one ? size > segment_size_ : segment_size != segment_size_) return false;
    const std::size_t sum = size_ + size;
    return sum <= bytes_max && (sum + segment_size_ - 1) / segment_size_ <= segments_max;
  }

  NetworkPath path_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
  std::size_t segment_size_ = 0;
};

}  // namespace quicmesh::io
