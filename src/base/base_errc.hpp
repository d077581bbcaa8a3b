// Errors of parsing and of plain values, used by every layer.
#pragma once

#include <system_error>

namespace quicmesh {

enum class BaseErrc {
  malformed_address = 1,
  malformed_hex,
  malformed_base32,
  checksum_mismatch,
  truncated,
  trailing_bytes,
  too_long,
  out_of_range,
};

std::error_code make_error_code(BaseErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::BaseErrc> : std::true_type {};
