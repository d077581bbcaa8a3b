// Why bytes are no message of a schema.
#pragma once

#include <system_error>

namespace quicmesh {

enum class WireErrc {
  malformed_message = 1,
  message_too_long,
  unknown_body,
  list_too_long,
  value_out_of_range,
};

std::error_code make_error_code(WireErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::WireErrc> : std::true_type {};
