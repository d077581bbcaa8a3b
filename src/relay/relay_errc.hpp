// Why a relay does not serve, or a session ended.
#pragma once

#include <system_error>

namespace quicmesh {

enum class RelayErrc {
  // A relay refused (RelayRefusal on the wire).
  not_here = 1,
  busy,
  quota,
  redirect,
  not_registered,
  slow_down,
  // A session ended (RelayCloseReason on the wire).
  closed_by_peer,
  peer_gone,
  session_idle,
  evicted,
  // Found out here.
  replaced,
  relay_lost,
  relay_silent,
  no_relay,
  no_answer,
  too_many,
  bad_signal,
  closed_here,
  out_of_place,
  not_reached,
};

std::error_code make_error_code(RelayErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::RelayErrc> : std::true_type {};
