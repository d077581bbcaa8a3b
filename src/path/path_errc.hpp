// Errors of the connection manager.
#pragma once

#include <system_error>

namespace quicmesh {

enum class PathErrc {
  no_candidates = 1,
  not_connected,
  already_connected,
  dialled_oneself,
  unknown_path,
  path_does_not_answer,
  malformed_stream_header,
  bad_protocol_name,
};

std::error_code make_error_code(PathErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::PathErrc> : std::true_type {};
