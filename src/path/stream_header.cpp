#include "path/stream_header.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "base/base_errc.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {

bool is_protocol_name(std::string_view name) {
  return !name.empty() && name.size() <= protocol_name_max &&
         std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
}

Bytes encode_stream_header(const StreamHeader& header) {
  QM_ASSERT(is_protocol_name(header.protocol));
  Bytes bytes;
  bytes.reserve(2 + header.protocol.size());
  bytes.push_back(static_cast<std::uint8_t>(header.kind));
  bytes.push_back(static_cast<std::uint8_t>(header.protocol.size()));
  bytes.insert(bytes.end(), header.protocol.begin(), header.protocol.end());
  return bytes;
}

Result<DecodedStreamHeader> decode_stream_header(ByteView bytes) {
  if (!bytes.empty() && bytes[0] != 1 && bytes[0] != 2) {
    return failure(PathErrc::malformed_stream_header);
  }
  if (bytes.size() < 2) return failure(BaseErrc::truncated);
  const std::size_t size = bytes[1];
  if (size == 0 || size > protocol_name_max) return failure(PathErrc::malformed_stream_header);
  if (bytes.size() < 2 + size) return failure(BaseErrc::truncated);
  const std::string_view name = as_text(bytes.subspan(2, size));
  if (!is_protocol_name(name)) return failure(PathErrc::malformed_stream_header);
  return DecodedStreamHeader{{StreamKind{bytes[0]}, std::string(name)}, 2 + size};
}

}  // namespace quicmesh
