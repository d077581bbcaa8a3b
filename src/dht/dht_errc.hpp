// Why the DHT refused a command.
#pragma once

#include <system_error>

namespace quicmesh {

enum class DhtErrc {
  too_many_queries = 1,
};

std::error_code make_error_code(DhtErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::DhtErrc> : std::true_type {};
