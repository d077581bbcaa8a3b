// One HTTP request to a machine that is not to be trusted, blocking, within bounds: a connection of
// its own, an end in time, and an answer of limited size however it is encoded.
#pragma once

#include <string>
#include <string_view>

#include "io/patience.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

inline constexpr std::size_t http_head_max = 8u << 10;
inline constexpr std::size_t http_body_max = 64u << 10;
inline constexpr std::size_t http_bytes_max = 128u << 10;  // of the connection, chunk headers too

struct HttpAnswer {
  unsigned status = 0;
  std::string body;
};

/// Sends `request`, which asks for the connection to be closed, and reads the answer. Fails with
/// PortMappingErrc::no_answer, malformed_answer, answer_too_large, interrupted.
Result<HttpAnswer> http_exchange(const SocketAddress& server, std::string_view request,
                                 const Patience& patience);

}  // namespace quicmesh::io
