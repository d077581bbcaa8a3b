// Every way in which a QUIC connection, stream or datagram fails, each with its own code and hint.
#pragma once

#include <cstdint>
#include <system_error>

namespace quicmesh {

enum class QuicErrc {
  // The handshake.
  handshake_timeout = 1,
  wrong_peer,
  no_certificate,
  bad_certificate,
  refused_by_peer,
  protocol_not_offered,
  tls_failure,
  version_negotiation,
  too_many_connections,
  // The life of a connection.
  idle_timeout,
  reset_by_peer,
  closed_by_peer,
  closed_locally,
  duplicate_connection,
  protocol_violation,
  budget_exceeded,
  unknown_connection,
  internal,
  // Streams and datagrams.
  would_block,
  stream_limit,
  unknown_stream,
  stream_closed,
  stream_reset,
  stream_refused,
  datagram_too_large,
  datagrams_unsupported,
  // Paths and keys.
  only_dialler_migrates,
  migration_not_possible_yet,
  key_update_not_possible_yet,
};

std::error_code make_error_code(QuicErrc code);

/// Application error codes on the wire (RFC 9000 s20.2): CONNECTION_CLOSE of type 0x1d,
/// RESET_STREAM and STOP_SENDING. Values are frozen.
enum class CloseCode : std::uint64_t {
  goodbye = 0,
  duplicate_connection = 1,
  budget_exceeded = 2,
  protocol_violation = 3,
  shutting_down = 4,
  unknown_protocol = 5,
  cancelled = 6,
};

}  // namespace quicmesh

template <>
struct std::is_error_code_enum<quicmesh::QuicErrc> : std::true_type {};
