// The first bytes of every stream: what it is and which protocol it speaks.
//
//     0      kind: 1 stream, 2 datagram flow
//     1      length of the name, 1..64
//     2..    the name, e.g. "example/echo/1": printable ASCII without spaces
//
// One connection carries all protocols between two nodes, so each stream names its own; an unknown
// name ends that stream alone. The id of a stream of kind 2 names a datagram flow: every QUIC
// datagram begins with that id as a varint (the idea is RFC 9297's).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

enum class StreamKind : std::uint8_t { stream = 1, datagram_flow = 2 };

inline constexpr std::size_t protocol_name_max = 64;
inline constexpr std::size_t stream_header_max = 2 + protocol_name_max;

struct StreamHeader {
  StreamKind kind{};
  std::string protocol;
};

/// True for 1..64 printable ASCII characters without spaces.
bool is_protocol_name(std::string_view name);

/// `header.protocol` must be a protocol name.
Bytes encode_stream_header(const StreamHeader& header);

/// Reads a header at the start of `bytes`; `size` is what it took. Fails with BaseErrc::truncated
/// if more bytes are needed, with PathErrc::malformed_stream_header if no bytes can help.
struct DecodedStreamHeader {
  StreamHeader header;
  std::size_t size = 0;
};
Result<DecodedStreamHeader> decode_stream_header(ByteView bytes);

}  // namespace quicmesh
