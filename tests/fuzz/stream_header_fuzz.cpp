// Any bytes as the beginning of a stream: a header that comes back from its own bytes, more bytes
// wanted, or a judgement that no further byte changes.
#include <algorithm>

#include "base/assert.hpp"
#include "base/base_errc.hpp"
#include "path/path_errc.hpp"
#include "path/stream_header.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView bytes(data, size);
  const auto whole = decode_stream_header(bytes);
  if (whole) {
    QM_ASSERT(whole->size <= std::min(size, stream_header_max));
    QM_ASSERT(is_protocol_name(whole->header.protocol));
    QM_ASSERT(std::ranges::equal(encode_stream_header(whole->header), bytes.first(whole->size)));
  } else if (whole.error() == BaseErrc::truncated) {
    QM_ASSERT(size < stream_header_max);
  } else {
    QM_ASSERT(whole.error() == PathErrc::malformed_stream_header);
  }
  // As a stream that arrives byte by byte: truncated until it is decided, then decided for good.
  for (std::size_t part = 0; part <= std::min(size, stream_header_max); ++part) {
    const auto some = decode_stream_header(bytes.first(part));
    if (some) {
      QM_ASSERT(whole && whole->size == some->size && part == some->size);
      break;
    }
    if (some.error() == BaseErrc::truncated) continue;
    QM_ASSERT(!whole && whole.error() == some.error());
    break;
  }
  return 0;
}
