// Errors of NAT profiles, NAT discovery and hole punching.
#pragma once

#include <system_error>

namespace quicmesh {

enum class NatErrc {
  malformed_profile = 1,
  unknown_profile_version,
  no_servers,
  too_many_servers,
  malformed_punch_message,
  unknown_punch_version,
  too_many_punches,
  punch_too_soon,
  unusable_external,
};

std::error_code make_error_code(NatErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::NatErrc> : std::true_type {};
