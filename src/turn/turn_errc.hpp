// Why a TURN server does not relay for us.
#pragma once

#include <system_error>

namespace quicmesh {

enum class TurnErrc {
  no_answer = 1,
  wrong_credentials,
  refused,
  quota_reached,
  no_capacity,
  forbidden_peer,
  allocation_lost,
  malformed_answer,
  redirected,
  bid_down,
  too_many_peers,
  no_channel_data,
};

std::error_code make_error_code(TurnErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::TurnErrc> : std::true_type {};
