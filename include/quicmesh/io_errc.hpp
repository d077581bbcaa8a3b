// Errors of sockets, name resolution and of the handles of the public API. Failures of connections
// and streams carry the codes of the layers beneath, whose text `describe(error)` tells.
#pragma once

#include <system_error>

namespace quicmesh {

enum class IoErrc {
  address_in_use = 1,
  permission_denied,
  no_such_address,
  family_not_supported,
  too_many_sockets,
  no_address_of_family,
  name_not_found,
  name_service_failed,
  node_closed,
  empty_handle,
  already_waiting,
  stream_finished,
  ended_early,
  already_handled,
  flush_timeout,
  handler_failed,
  tcp_address_in_use,
  tcp_permission_denied,
  tcp_no_such_address,
  dht_off,
  node_not_found,
};

std::error_code make_error_code(IoErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::IoErrc> : std::true_type {};
