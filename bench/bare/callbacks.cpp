// The functions ngtcp2 and GnuTLS call back; see callbacks.hpp.
#include "bare/callbacks.hpp"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <cstring>

#include "bare/endpoint.hpp"
#include "common/measure.hpp"

namespace bench {

std::uint64_t connection_id_key(const std::uint8_t* bytes) {
  std::uint64_t key = 0;
  std::memcpy(&key, bytes, sizeof key);
  return key;
}

int verify_peer(gnutls_session_t session) {
  auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
  auto& connection = *static_cast<Connection*>(reference->user_data);
  connection.peer_known = extract_peer_key(session, connection.peer_key);
  return connection.peer_known ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

// A struct, so that Endpoint can name one friend for all of them.
struct Callbacks {
  static Connection& of(void* user_data) { return *static_cast<Connection*>(user_data); }

  static void random(std::uint8_t* destination, std::size_t size, const ngtcp2_rand_ctx*) {
    gnutls_rnd(GNUTLS_RND_NONCE, destination, size);
  }

  static int new_connection_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t size,
                               void* user_data) {
    Connection& connection = of(user_data);
    gnutls_rnd(GNUTLS_RND_NONCE, id->data, size);
    id->datalen = size;
    const auto& secret = connection.endpoint.reset_secret_;
    if (ngtcp2_crypto_generate_stateless_reset_token(token, secret.data(), secret.size(), id) !=
        0) {
      return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    connection.endpoint.register_id(connection, connection_id_key(id->data));
    return 0;
  }

  static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* id, void* user_data) {
    Connection& connection = of(user_data);
    connection.endpoint.forget_id(connection, connection_id_key(id->data));
    return 0;
  }

  static void confirmed(Connection& connection) {
    connection.confirmed_ns = now_ns();
    ++connection.endpoint.confirmed_total_;
    connection.endpoint.application_.on_confirmed(connection);
  }

  static int handshake_completed(ngtcp2_conn*, void* user_data) {
    Connection& connection = of(user_data);
    // The certificate check is skipped by TLS resumption; a connection without a key is refused.
    if (!connection.peer_known) return NGTCP2_ERR_CALLBACK_FAILURE;
    connection.completed_ns = now_ns();
    connection.endpoint.application_.on_completed(connection);
    // RFC 9001 s4.1.2: at the server completion and confirmation are one.
    if (connection.is_server) confirmed(connection);
    return 0;
  }

  static int handshake_confirmed(ngtcp2_conn*, void* user_data) {
    confirmed(of(user_data));
    return 0;
  }

  static int stream_data(ngtcp2_conn* quic, std::uint32_t flags, std::int64_t stream,
                         std::uint64_t /*offset*/, const std::uint8_t* data, std::size_t size,
                         void* user_data, void*) {
    Connection& connection = of(user_data);
    connection.received += size;
    const bool end = (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0;
    const std::uint64_t credit =
        connection.endpoint.application_.on_stream_data(connection, stream, {data, size}, end);
    ngtcp2_conn_extend_max_stream_offset(quic, stream, credit);
    ngtcp2_conn_extend_max_offset(quic, credit);
    return 0;
  }

  static int stream_acked(ngtcp2_conn*, std::int64_t, std::uint64_t, std::uint64_t size,
                          void* user_data, void*) {
    Connection& connection = of(user_data);
    connection.out.acked += size;
    connection.endpoint.application_.on_acked(connection, size);
    return 0;
  }
};

const ngtcp2_callbacks& quic_callbacks() {
  static const ngtcp2_callbacks table = [] {
    ngtcp2_callbacks callbacks{};
    callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
    callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    callbacks.recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb;
    callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
    callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
    callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
    callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb;
    callbacks.update_key = ngtcp2_crypto_update_key_cb;
    callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    callbacks.get_path_challenge_data = ngtcp2_crypto_get_path_challenge_data_cb;
    callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    callbacks.rand = Callbacks::random;
    callbacks.get_new_connection_id = Callbacks::new_connection_id;
    callbacks.remove_connection_id = Callbacks::remove_connection_id;
    callbacks.handshake_completed = Callbacks::handshake_completed;
    callbacks.handshake_confirmed = Callbacks::handshake_confirmed;
    callbacks.recv_stream_data = Callbacks::stream_data;
    callbacks.acked_stream_data_offset = Callbacks::stream_acked;
    return callbacks;
  }();
  return table;
}

}  // namespace bench
