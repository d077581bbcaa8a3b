// The control socket's protocol, on `DATA/control.sock`: the client sends one request, a JSON
// object on a line, and keeps its side open; it is answered by events, a line each, the last of
// which is
// `{"event":"exit","code":N}`. A client that closes gives its operation up.
//
// Only processes of the same user are served (SO_PEERCRED; the socket's mode is 0600).
#pragma once

#include <cstddef>

namespace quicmesh::cli {

inline constexpr std::size_t control_request_max = 65'536;  // a longer one is refused
inline constexpr std::size_t control_clients_max = 32;      // one more is refused
inline constexpr std::size_t control_lines_max = 4096;  // waiting for a client; it is dropped then
inline constexpr std::size_t control_line_max = 1u << 20;  // what a client takes from a node

}  // namespace quicmesh::cli
