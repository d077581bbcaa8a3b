// The functions ngtcp2 and GnuTLS call back: each finds its Connection and tells the Application.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>

#include <cstdint>

namespace bench {

/// The table handed to every new connection.
[[nodiscard]] const ngtcp2_callbacks& quic_callbacks();

/// GnuTLS's certificate check: the peer must have proved an Ed25519 key.
int verify_peer(gnutls_session_t session);

/// The connection ids of this program are eight random bytes, used as one number.
constexpr std::size_t connection_id_bytes = 8;
[[nodiscard]] std::uint64_t connection_id_key(const std::uint8_t* bytes);

}  // namespace bench
