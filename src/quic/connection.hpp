// One QUIC connection: ngtcp2 and a GnuTLS session, our buffers, and our rules.
//
// Internal to src/quic: others use QuicEndpoint, which owns the connections and drives them.
//
// States:
//   handshaking -> confirmed -> closed
//        \-----------------------^
// The dialler may send as soon as its own handshake is complete, but delivers nothing and reports
// no success before `handshake_confirmed`: only then has the acceptor judged its certificate
// (RFC 9001 s4.1.2). Events that come earlier are held back.
// A confirmed connection has no TLS session any more: we know no TLS message after the handshake
// (RFC 9001 s4.4, s6: no tickets, no client certificate later, no KeyUpdate), and the peer that
// sends one is told unexpected_message.
// `closed` is final: the endpoint takes the last packet, leaves tombstones and deletes the object.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <boost/container/deque.hpp>

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/network_path.hpp"
#include "crypto/mac.hpp"
#include "quic/connection_ids.hpp"
#include "quic/endpoint.hpp"
#include "quic/memory_budget.hpp"
#include "quic/path_label.hpp"
#include "quic/quic_config.hpp"
#include "quic/quic_event.hpp"
#include "quic/receive_buffer.hpp"
#include "quic/send_buffer.hpp"
#include "quic/tls.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

/// What all connections of an endpoint share; outlives them.
struct QuicShared {
  QuicConfig config;
  const TlsContext& tls;
  SecureRng& rng;
  Blake3Key reset_secret{};
  ConnectionIds ids;
  std::deque<QuicEvent> events;
  QuicCounters counters;
  std::size_t unsent_bytes = 0;  // of all connections' streams

  /// RFC 9000 s10.3.2: the same for an id whenever it is asked for, and nobody else can make it.
  /// Keyed BLAKE3 where ngtcp2's own function runs HKDF, which took a twentieth of a handshake.
  [[nodiscard]] ResetToken reset_token_of(ByteView id) const { return make_mac(reset_secret, id); }
};

/// A train of packets for one path, written to the caller's buffer.
struct QuicTrain {
  PathLabel label;
  std::size_t size = 0;
  std::size_t segment_size = 0;
  Ecn ecn = Ecn::not_ect;
};

class QuicConnection {
 public:
  QuicConnection(QuicShared& shared, ConnectionHandle handle, TlsRole role);
  ~QuicConnection();
  QuicConnection(const QuicConnection&) = delete;
  QuicConnection& operator=(const QuicConnection&) = delete;

  /// Starts a handshake towards whoever answers on `label`; only `expected` is accepted.
  Result<void> dial(Instant now, PathLabel label, const NodeId& expected);
  /// Takes on the sender of an Initial that ngtcp2_accept() has found well formed.
  Result<void> accept(Instant now, PathLabel label, const ngtcp2_pkt_hd& initial);

  void handle_datagram(Instant now, PathLabel label, Ecn ecn, ByteView datagram);
  void handle_timeout(Instant now);
  /// `buffer` holds at least `transmit_buffer_size` bytes. Empty when there is nothing to send now.
  std::optional<QuicTrain> write_train(Instant now, MutableByteView buffer);
  [[nodiscard]] Instant next_timeout() const;

  Result<StreamId> open_stream(bool bidirectional);
  /// Takes `data` whole or, with would_block, not at all.
  Result<void> write(StreamId stream, Bytes& data, bool end);
  Result<StreamChunk> read(StreamId stream);
  /// Gives the peer leave to send `bytes` more; call it when they are consumed.
  void credit(StreamId stream, std::size_t bytes);
  Result<void> reset_stream(StreamId stream, CloseCode code);
  Result<void> stop_stream(StreamId stream, CloseCode code);
  [[nodiscard]] std::size_t unacknowledged_bytes() const;
  [[nodiscard]] std::size_t unacknowledged_bytes(StreamId stream) const;
  [[nodiscard]] std::size_t open_streams() const { return streams_.size(); }

  Result<void> send_datagram(Bytes data);
  [[nodiscard]] std::size_t max_datagram_size() const;

  Result<void> migrate(Instant now, PathLabel label, bool immediately);
  Result<void> update_key(Instant now);
  Result<void> export_secret(std::string_view label, MutableByteView out) const;
  void close(Instant now, CloseCode code, std::string_view reason);

  [[nodiscard]] ConnectionHandle handle() const { return handle_; }
  [[nodiscard]] TlsRole role() const { return role_; }
  [[nodiscard]] bool completed() const { return completed_; }
  [[nodiscard]] bool confirmed() const { return confirmed_; }
  [[nodiscard]] bool closed() const { return closed_; }
  [[nodiscard]] const std::optional<NodeId>& peer() const { return peer_; }
  [[nodiscard]] PathLabel current_label() const { return current_label_; }
  [[nodiscard]] QuicPathInfo path_info() const;
  [[nodiscard]] std::size_t memory_used() const;
  [[nodiscard]] std::uint64_t payload_received() const { return payload_received_; }
  [[nodiscard]] Instant unacknowledged_since() const { return unacknowledged_since_; }
  [[nodiscard]] bool awaits_acknowledgement() const;

  /// Of a closed connection: its CONNECTION_CLOSE packet, for the tombstones.
  Bytes take_last_words();
  [[nodiscard]] const std::vector<ConnectionId>& ids() const { return ids_; }

  [[nodiscard]] const std::vector<ResetToken>& reset_tokens() const { return reset_tokens_; }

  /// For the tables of ngtcp2 and GnuTLS (connection_callbacks.cpp).
  static const ngtcp2_callbacks* callback_table();
  static int verify(QuicConnection& connection) { return connection.judge_peer(); }

  /// For the endpoint: whether this connection stands in its queue of those with work to send, and
  /// whether an accepted one has left the half-open state.
  bool queued = false;
  bool counted = false;

 private:
  friend class HostileConnection;  // of the tests: sends what no honest peer does

  struct Stream {
    StreamId id{};
    SendBuffer send;
    ReceiveBuffer receive;
    std::size_t uncredited = 0;  // received, and not yet given back to flow control
    bool end_queued = false;     // the application has finished writing
    bool end_sent = false;
    bool end_sent_alone = false;  // in a frame without data
    bool end_acknowledged = false;
    bool end_received = false;
    bool end_delivered = false;  // the application knows that nothing follows
    bool write_closed = false;   // reset by us or stopped by the peer
    bool readable_reported = false;
    bool would_block = false;  // a write was refused; report when there is room
    bool in_send_queue = false;
    bool transport_closed = false;  // ngtcp2 has forgotten it
  };
  struct Callbacks;

  void make_settings(Instant now, ngtcp2_settings& settings, ngtcp2_transport_params& params) const;
  Result<void> start_session();
  bool new_local_id(ngtcp2_cid& id);
  void forget_id(ByteView id, Instant now);

  int judge_peer();  // called by GnuTLS with the peer's certificate
  /// Frees the TLS session of a confirmed connection, a quarter of its memory. Never in a callback.
  void end_session();
  int on_handshake_completed();
  void on_confirmed();
  void emit(QuicEvent event);

  Stream& adopt_stream(StreamId id);
  Stream* find_stream(StreamId id);
  void report_readable(Stream& stream);
  void report_writable(Stream& stream);
  void queue_stream(Stream& stream);
  /// Bytes that a stream may hold unsent now.
  [[nodiscard]] std::size_t unsent_allowance() const;
  void note_sent(std::size_t bytes);
  void finish_if_over(Stream& stream);
  void give_back(Stream& stream, std::size_t bytes);

  ngtcp2_ssize write_packet(ngtcp2_path_storage& path, ngtcp2_pkt_info& info, MutableByteView out,
                            Instant now);
  ngtcp2_ssize write_stream_frames(ngtcp2_path_storage& path, ngtcp2_pkt_info& info,
                                   MutableByteView out, Instant now);
  ngtcp2_ssize write_datagram_frames(ngtcp2_path_storage& path, ngtcp2_pkt_info& info,
                                     MutableByteView out, Instant now, bool& packet_done);

  [[nodiscard]] Instant expiry() const;  // ngtcp2's
  [[nodiscard]] Instant patience_end() const;
  void after_mutation(Instant now);
  void fail(Instant now, int library_error);
  void note_sent(Instant now, std::size_t taken);
  void give_up(Instant now);
  void finish(std::error_code error, std::string reason);
  void write_close(Instant now, const ngtcp2_ccerr& error);
  [[nodiscard]] std::error_code handshake_error(std::string& reason) const;

  QuicShared& shared_;
  ConnectionHandle handle_;
  TlsRole role_;
  MemoryBudget memory_;
  ngtcp2_crypto_conn_ref reference_;    // GnuTLS's way to us; must not move
  gnutls_session_t session_ = nullptr;  // null again once the handshake is confirmed
  ngtcp2_conn* conn_ = nullptr;

  std::optional<NodeId> expected_;
  std::optional<NodeId> peer_;
  Bytes judged_certificate_;   // found good during the handshake; empty after it
  std::error_code judgement_;  // why the peer's certificate was refused
  std::array<std::uint8_t, 32> exporter_secret_{};
  bool completed_ = false;
  bool confirmed_ = false;
  bool closed_ = false;
  bool streams_wanted_ = false;
  bool proved_ = false;  // the application reads what it sends: larger budget
  bool reset_by_peer_ = false;
  bool key_updated_ = false;
  Instant now_{};  // of the call in progress, for callbacks
  PathLabel current_label_;
  std::optional<PathLabel> migrating_to_;

  std::vector<ConnectionId> ids_;         // ours, live
  std::vector<ResetToken> reset_tokens_;  // the peer's, live
  std::unordered_map<StreamId, Stream> streams_;
  boost::container::deque<StreamId> send_queue_;
  std::vector<StreamId> blocked_;  // by flow control; offered again with every train
  boost::container::deque<Bytes> datagrams_;
  std::vector<QuicEvent> held_events_;
  std::size_t uncredited_ = 0;    // over all streams: received, not yet given back to flow control
  std::size_t unsent_bytes_ = 0;  // over all streams
  std::uint64_t payload_received_ = 0;
  std::size_t credited_bytes_ = 0;
  std::uint64_t packets_since_key_update_ = 0;
  /// Since when the peer has acknowledged no stream data, of which some may be under way.
  Instant unacknowledged_since_ = never;

  struct Carry {  // a packet that did not fit the train being written: another path or size
    Bytes packet;
    PathLabel label;
    Ecn ecn;
  };
  std::optional<Carry> carry_;
  Bytes last_words_;
  PathLabel last_words_label_;
};

}  // namespace quicmesh
