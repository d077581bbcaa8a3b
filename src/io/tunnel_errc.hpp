// Why a tunnel to a relay was not opened, or ended.
#pragma once

#include <system_error>

namespace quicmesh::io {

enum class TunnelErrc {
  refused = 1,
  unreachable,
  no_answer,
  tls_failed,
  not_a_relay,
  bad_frame,
  idle,
  stalled,
  ended,
  connection_lost,
  evicted,
  too_many,
  unproved,
};

std::error_code make_error_code(TunnelErrc code);

/// Of connect(2), or of a connection that broke.
std::error_code tunnel_error_of_errno(int error_number);

}  // namespace quicmesh::io

template <>
struct std::is_error_code_enum<quicmesh::io::TunnelErrc> : std::true_type {};
