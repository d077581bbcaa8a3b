// Errors of NAT profiles and NAT discovery.
#pragma once

#include <system_error>

namespace quicmesh {

enum class NatErrc {
  malformed_profile = 1,
  unknown_profile_version,
  no_servers,
  too_many_servers,
};

std::error_code make_error_code(NatErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::NatErrc> : std::true_type {};
