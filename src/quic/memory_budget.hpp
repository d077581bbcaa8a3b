// Counts every byte that ngtcp2 allocates for one connection, so that a peer's cost is known.
//
// ngtcp2 1.11 bounds neither the STREAM frames queued for resending nor tightly its reassembly
// fragments (docs/protocols/quic.md, "What the library does not bound"): one-byte frames with gaps
// cost a hundred times their payload. Flow control counts payload; this counts memory. The
// connection looks at `used()` after every packet and closes itself above its budget; at twice the
// budget allocations fail, which ngtcp2 reports as NGTCP2_ERR_NOMEM.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <cstddef>

namespace quicmesh {

class MemoryBudget {
 public:
  explicit MemoryBudget(std::size_t limit_bytes);
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  /// For ngtcp2_conn_*_new; valid as long as this object, which must outlive the connection.
  [[nodiscard]] const ngtcp2_mem* allocator() const { return &allocator_; }

  [[nodiscard]] std::size_t used() const { return used_; }
  void set_limit(std::size_t limit_bytes) { limit_ = limit_bytes; }
  [[nodiscard]] bool exceeded(std::size_t extra_bytes) const {
    return used_ + extra_bytes > limit_;
  }

 private:
  static void* allocate(std::size_t size, void* user_data);
  static void release(void* memory, void* user_data);
  static void* allocate_zeroed(std::size_t count, std::size_t size, void* user_data);
  static void* reallocate(void* memory, std::size_t size, void* user_data);

  [[nodiscard]] bool allows(std::size_t bytes) const { return used_ + bytes <= 2 * limit_; }

  std::size_t limit_;
  std::size_t used_ = 0;
  ngtcp2_mem allocator_;
};

}  // namespace quicmesh
