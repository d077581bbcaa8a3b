// The functions by which ngtcp2 and GnuTLS tell a QuicConnection what happened.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>

#include "quicmesh/time.hpp"

namespace quicmesh {

/// One constant table for all connections; `user_data` of the connection is the QuicConnection.
const ngtcp2_callbacks* connection_callbacks();

/// For TlsContext::set_verify.
int verify_peer_certificate(gnutls_session_t session);

/// Nanoseconds of the driver's time line.
ngtcp2_tstamp to_ngtcp2(Instant instant);

}  // namespace quicmesh
