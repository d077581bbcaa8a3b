// A socket address in the messages of our own protocols: family 4 or 6 (1 byte), the address (4 or
// 16 bytes), the port (2 bytes, big-endian).
#pragma once

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

inline constexpr std::size_t encoded_address_size_max = 19;

void write_address(ByteWriter& writer, const SocketAddress& address);

/// The reader fails with out_of_range for another family, and for an IPv4-mapped IPv6 address: a
/// second spelling of an IPv4 address.
SocketAddress read_address(ByteReader& reader);

}  // namespace quicmesh
