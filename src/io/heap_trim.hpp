// HeapTrim: gives memory back to the system after peers have left.
//
// The allocator keeps what is freed in the middle of its heap, so that a node that once served many
// peers would stay as large as it then was. Trimming walks the whole heap, so that it is done some
// time after the last reason for it, at most every ten seconds, and only where much is free.
#pragma once

#include <cstddef>

#include "quicmesh/time.hpp"

namespace quicmesh::io {

class HeapTrim {
 public:
  /// Much may have been freed.
  void want(Instant now);
  /// When `handle_timeout` wants to be called.
  [[nodiscard]] Instant deadline() const { return deadline_; }
  void handle_timeout(Instant now);

 private:
  static constexpr Duration delay = 1s;
  static constexpr Duration pause = 10s;
  static constexpr std::size_t worth_bytes = 8u << 20;

  Instant deadline_ = never;
  Instant earliest_{};
};

}  // namespace quicmesh::io
