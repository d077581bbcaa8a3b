#include "quic/connection_callbacks.hpp"

#include <algorithm>

#include "quic/connection.hpp"
#include "quic/label_path.hpp"

namespace quicmesh {

// Static members of a friend: they see the connection's parts without a public interface for them.
struct QuicConnection::Callbacks {
  static QuicConnection& self(void* user_data) { return *static_cast<QuicConnection*>(user_data); }

  static int handshake_completed(ngtcp2_conn*, void* user_data) {
    return self(user_data).on_handshake_completed();
  }

  static int handshake_confirmed(ngtcp2_conn*, void* user_data) {
    self(user_data).on_confirmed();
    return 0;
  }

  static int receive_crypto_data(ngtcp2_conn* conn, ngtcp2_encryption_level level,
                                 std::uint64_t offset, const std::uint8_t* data, std::size_t size,
                                 void* user_data) {
    if (self(user_data).session_ != nullptr) {
      return ngtcp2_crypto_recv_crypto_data_cb(conn, level, offset, data, size, user_data);
    }
    constexpr std::uint8_t alert_unexpected_message = 10;  // RFC 8446 s6.2
    ngtcp2_conn_set_tls_alert(conn, alert_unexpected_message);
    return NGTCP2_ERR_CRYPTO;
  }

  static int receive_stream_data(ngtcp2_conn*, std::uint32_t flags, std::int64_t id, std::uint64_t,
                                 const std::uint8_t* data, std::size_t size, void* user_data,
                                 void*) {
    QuicConnection& connection = self(user_data);
    Stream& stream = connection.adopt_stream(StreamId{id});
    stream.receive.append(ByteView(data, size));
    stream.uncredited += size;
    connection.uncredited_ += size;
    connection.payload_received_ += size;
    if ((flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0) stream.end_received = true;
    connection.report_readable(stream);
    return 0;
  }

  static int acknowledged_stream_data(ngtcp2_conn*, std::int64_t id, std::uint64_t offset,
                                      std::uint64_t size, void* user_data, void*) {
    QuicConnection& connection = self(user_data);
    connection.unacknowledged_since_ = connection.now_;
    if (Stream* stream = connection.find_stream(StreamId{id})) {
      stream->send.acknowledge_until(offset + size);
      if (stream->end_sent && offset + size == stream->send.end_offset() &&
          (size == 0 || !stream->end_sent_alone)) {
        stream->end_acknowledged = true;
      }
      connection.report_writable(*stream);
    }
    return 0;
  }

  static int stream_open(ngtcp2_conn*, std::int64_t id, void* user_data) {
    QuicConnection& connection = self(user_data);
    connection.adopt_stream(StreamId{id});
    connection.emit(StreamOpened{connection.handle_, StreamId{id}});
    return 0;
  }

  static int stream_close(ngtcp2_conn*, std::uint32_t, std::int64_t id, std::uint64_t,
                          void* user_data, void*) {
    QuicConnection& connection = self(user_data);
    if (Stream* stream = connection.find_stream(StreamId{id})) {
      stream->transport_closed = true;
      stream->end_received = true;
      connection.finish_if_over(*stream);
    }
    return 0;
  }

  static int stream_reset(ngtcp2_conn*, std::int64_t id, std::uint64_t, std::uint64_t code,
                          void* user_data, void*) {
    QuicConnection& connection = self(user_data);
    if (Stream* stream = connection.find_stream(StreamId{id})) {
      connection.give_back(*stream, stream->receive.size());
      stream->receive.clear();
      stream->end_received = stream->end_delivered = true;
      connection.emit(StreamReset{connection.handle_, StreamId{id}, code});
    }
    return 0;
  }

  static int extend_max_local_streams(ngtcp2_conn*, std::uint64_t, void* user_data) {
    QuicConnection& connection = self(user_data);
    if (!connection.streams_wanted_) return 0;
    connection.streams_wanted_ = false;
    connection.emit(StreamsAvailable{connection.handle_});
    return 0;
  }

  static int receive_datagram(ngtcp2_conn*, std::uint32_t, const std::uint8_t* data,
                              std::size_t size, void* user_data) {
    QuicConnection& connection = self(user_data);
    if (!connection.confirmed_ &&
        connection.held_events_.size() >= connection.shared_.config.datagram_queue_max) {
      ++connection.shared_.counters.datagrams_dropped;
      return 0;
    }
    connection.payload_received_ += size;
    connection.emit(DatagramReceived{connection.handle_, to_bytes(ByteView(data, size))});
    return 0;
  }

  static void random(std::uint8_t* out, std::size_t size, const ngtcp2_rand_ctx* context) {
    static_cast<SecureRng*>(context->native_handle)->fill(MutableByteView(out, size));
  }

  static int path_challenge_data(ngtcp2_conn*, std::uint8_t* out, void* user_data) {
    self(user_data).shared_.rng.fill(MutableByteView(out, NGTCP2_PATH_CHALLENGE_DATALEN));
    return 0;
  }

  static int new_connection_id(ngtcp2_conn*, ngtcp2_cid* id, std::uint8_t* token, std::size_t,
                               void* user_data) {
    QuicConnection& connection = self(user_data);
    if (!connection.new_local_id(*id)) return NGTCP2_ERR_CALLBACK_FAILURE;
    const ResetToken made = connection.shared_.reset_token_of(ByteView(id->data, id->datalen));
    std::ranges::copy(made, token);
    return 0;
  }

  static int remove_connection_id(ngtcp2_conn*, const ngtcp2_cid* id, void* user_data) {
    QuicConnection& connection = self(user_data);
    connection.forget_id(ByteView(id->data, id->datalen), connection.now_);
    return 0;
  }

  static int destination_id_status(ngtcp2_conn*, ngtcp2_connection_id_status_type type,
                                   std::uint64_t, const ngtcp2_cid*, const std::uint8_t* token,
                                   void* user_data) {
    if (token == nullptr) return 0;
    QuicConnection& connection = self(user_data);
    const auto slot = static_cast<std::uint32_t>(connection.handle_);
    ResetToken key;
    std::copy_n(token, key.size(), key.begin());
    if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE) {
      connection.shared_.ids.add_reset_token(key, slot);
      connection.reset_tokens_.push_back(key);
    } else {
      connection.shared_.ids.remove_reset_token(key, slot);
      std::erase(connection.reset_tokens_, key);
    }
    return 0;
  }

  static int stateless_reset(ngtcp2_conn*, const ngtcp2_pkt_stateless_reset*, void* user_data) {
    self(user_data).reset_by_peer_ = true;
    return 0;
  }

  static int path_validation(ngtcp2_conn*, std::uint32_t, const ngtcp2_path* path,
                             const ngtcp2_path*, ngtcp2_path_validation_result result,
                             void* user_data) {
    QuicConnection& connection = self(user_data);
    const PathLabel label = label_of(*path);
    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS || connection.migrating_to_ != label) {
      return 0;
    }
    // Aborted: a later migration took its place, which says nothing about the path.
    connection.migrating_to_.reset();
    if (result == NGTCP2_PATH_VALIDATION_RESULT_ABORTED) return 0;
    connection.emit(PathValidationFailed{connection.handle_, label});
    return 0;
  }
};

const ngtcp2_callbacks* connection_callbacks() {
  return QuicConnection::callback_table();
}

const ngtcp2_callbacks* QuicConnection::callback_table() {
  static const ngtcp2_callbacks table = [] {
    ngtcp2_callbacks callbacks{};
    callbacks.client_initial = ngtcp2_crypto_client_initial_cb;
    callbacks.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    callbacks.recv_crypto_data = Callbacks::receive_crypto_data;
    callbacks.encrypt = ngtcp2_crypto_encrypt_cb;
    callbacks.decrypt = ngtcp2_crypto_decrypt_cb;
    callbacks.hp_mask = ngtcp2_crypto_hp_mask_cb;
    callbacks.recv_retry = ngtcp2_crypto_recv_retry_cb;
    callbacks.update_key = ngtcp2_crypto_update_key_cb;
    callbacks.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb;
    callbacks.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb;
    callbacks.version_negotiation = ngtcp2_crypto_version_negotiation_cb;
    callbacks.handshake_completed = Callbacks::handshake_completed;
    callbacks.handshake_confirmed = Callbacks::handshake_confirmed;
    callbacks.recv_stream_data = Callbacks::receive_stream_data;
    callbacks.acked_stream_data_offset = Callbacks::acknowledged_stream_data;
    callbacks.stream_open = Callbacks::stream_open;
    callbacks.stream_close = Callbacks::stream_close;
    callbacks.stream_reset = Callbacks::stream_reset;
    callbacks.extend_max_local_streams_bidi = Callbacks::extend_max_local_streams;
    callbacks.extend_max_local_streams_uni = Callbacks::extend_max_local_streams;
    callbacks.recv_datagram = Callbacks::receive_datagram;
    callbacks.rand = Callbacks::random;
    callbacks.get_path_challenge_data = Callbacks::path_challenge_data;
    callbacks.get_new_connection_id = Callbacks::new_connection_id;
    callbacks.remove_connection_id = Callbacks::remove_connection_id;
    callbacks.dcid_status = Callbacks::destination_id_status;
    callbacks.recv_stateless_reset = Callbacks::stateless_reset;
    callbacks.path_validation = Callbacks::path_validation;
    return callbacks;
  }();
  return &table;
}

int verify_peer_certificate(gnutls_session_t session) {
  auto* reference = static_cast<ngtcp2_crypto_conn_ref*>(gnutls_session_get_ptr(session));
  return QuicConnection::verify(*static_cast<QuicConnection*>(reference->user_data));
}

}  // namespace quicmesh
