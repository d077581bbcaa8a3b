// See heap_trim.hpp.
#include "io/heap_trim.hpp"

#include <malloc.h>

#include <algorithm>

namespace quicmesh::io {

void HeapTrim::want(Instant now) {
  if (deadline_ == never) deadline_ = std::max(now + delay, earliest_);
}

void HeapTrim::handle_timeout(Instant now) {
  if (now < deadline_) return;
  deadline_ = never;
  earliest_ = now + pause;
#ifdef __GLIBC__
  if (::mallinfo2().fordblks >= worth_bytes)
    (void)::malloc_trim(0);  // whether it could is no matter
#endif
}

}  // namespace quicmesh::io
