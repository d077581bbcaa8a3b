// Errors of the STUN codec, client and server.
#pragma once

#include <system_error>

namespace quicmesh {

enum class StunErrc {
  malformed_message = 1,
  malformed_attribute,
  missing_attribute,
  wrong_fingerprint,
  message_too_long,
  too_many_transactions,
  no_answer,
  change_request_ignored,
  forbidden_digest,
};

std::error_code make_error_code(StunErrc code);

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::StunErrc> : std::true_type {};
