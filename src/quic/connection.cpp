#include "quic/connection.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/assert.hpp"
#include "crypto/blake3.hpp"
#include "crypto/constant_time.hpp"
#include "quic/connection_callbacks.hpp"
#include "quic/label_path.hpp"
#include "quic/quic_errc.hpp"

namespace quicmesh {
namespace {

// Path MTU discovery: Ethernet with IPv4+PPPoE+tunnel, Wi-Fi through a tunnel, plain Ethernet less
// a relay header. ngtcp2's own list never reaches its maximum.
constexpr std::uint16_t pmtud_probes[] = {1324, 1392, 1436};

}  // namespace

ngtcp2_tstamp to_ngtcp2(Instant instant) {
  return static_cast<ngtcp2_tstamp>(instant.time_since_epoch().count());
}

static ngtcp2_duration to_ngtcp2(Duration duration) {
  return static_cast<ngtcp2_duration>(duration.count());
}

QuicConnection::QuicConnection(QuicShared& shared, ConnectionHandle handle, TlsRole role)
    : shared_(shared), handle_(handle), role_(role), memory_(shared.config.budget_unproven) {
  reference_.get_conn = [](ngtcp2_crypto_conn_ref* reference) {
    return static_cast<QuicConnection*>(reference->user_data)->conn_;
  };
  reference_.user_data = this;
}

QuicConnection::~QuicConnection() {
  note_sent(unsent_bytes_);
  if (conn_ != nullptr) ngtcp2_conn_del(conn_);
  if (session_ != nullptr) gnutls_deinit(session_);
  secure_wipe(exporter_secret_);
}

void QuicConnection::make_settings(Instant now, ngtcp2_settings& settings,
                                   ngtcp2_transport_params& params) const {
  const QuicConfig& config = shared_.config;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = to_ngtcp2(now);
  settings.initial_rtt = to_ngtcp2(config.initial_rtt);
  settings.cc_algo = config.congestion_control == CongestionControl::bbr ? NGTCP2_CC_ALGO_BBR
                                                                         : NGTCP2_CC_ALGO_CUBIC;
  settings.handshake_timeout = to_ngtcp2(config.handshake_timeout);
  settings.max_tx_udp_payload_size = config.max_udp_payload;
  settings.ack_thresh = config.ack_threshold;
  settings.max_window = config.max_connection_window;
  settings.max_stream_window = config.max_stream_window;
  settings.pmtud_probes = pmtud_probes;
  settings.pmtud_probeslen = std::size(pmtud_probes);
  settings.rand_ctx.native_handle = &shared_.rng;

  ngtcp2_transport_params_default(&params);
  params.initial_max_stream_data_bidi_local = config.initial_stream_window;
  params.initial_max_stream_data_bidi_remote = config.initial_stream_window;
  params.initial_max_stream_data_uni = config.initial_stream_window;
  params.initial_max_data = config.initial_connection_window;
  params.initial_max_streams_bidi = config.max_streams_bidi;
  params.initial_max_streams_uni = config.max_streams_uni;
  params.max_idle_timeout = to_ngtcp2(config.idle_timeout);
  // Each migration uses up one id; ngtcp2 keeps at most 8 spare ones.
  params.active_connection_id_limit = 8;
  params.max_datagram_frame_size = config.datagram_queue_max > 0 ? 65'535 : 0;
}

Result<void> QuicConnection::start_session() {
  session_ = shared_.tls.new_session(role_, shared_.config.alpn, &reference_);
  if (session_ == nullptr) return failure(QuicErrc::internal);
  ngtcp2_conn_set_tls_native_handle(conn_, session_);
  ngtcp2_conn_set_keep_alive_timeout(conn_, to_ngtcp2(shared_.config.keep_alive));
  return {};
}

bool QuicConnection::new_local_id(ngtcp2_cid& id) {
  constexpr int tries = 8;  // 64 random bits collide about never
  const auto slot = static_cast<std::uint32_t>(handle_);
  for (int i = 0; i < tries; ++i) {
    id.datalen = connection_id_size;
    shared_.rng.fill(MutableByteView(id.data, id.datalen));
    const ConnectionId key = connection_id_from(ByteView(id.data, id.datalen));
    if (!shared_.ids.add(key, slot)) continue;
    ids_.push_back(key);
    return true;
  }
  return false;
}

void QuicConnection::forget_id(ByteView id, Instant now) {
  const ConnectionId key = connection_id_from(id);
  shared_.ids.retire(key, now);
  std::erase(ids_, key);
}

Result<void> QuicConnection::dial(Instant now, PathLabel label, const NodeId& expected) {
  expected_ = expected;
  current_label_ = label;
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  make_settings(now, settings, params);
  ngtcp2_cid destination{};
  destination.datalen = 16;
  shared_.rng.fill(MutableByteView(destination.data, destination.datalen));
  ngtcp2_cid source{};
  if (!new_local_id(source)) return failure(QuicErrc::internal);
  const LabelPath path(label);
  const int result =
      ngtcp2_conn_client_new(&conn_, &destination, &source, path.get(), NGTCP2_PROTO_VER_V1,
                             connection_callbacks(), &settings, &params, memory_.allocator(), this);
  if (result != 0) return failure(QuicErrc::internal);
  return start_session();
}

Result<void> QuicConnection::accept(Instant now, PathLabel label, const ngtcp2_pkt_hd& initial) {
  current_label_ = label;
  if (initial.dcid.datalen < connection_id_size) return failure(QuicErrc::protocol_violation);
  ngtcp2_settings settings;
  ngtcp2_transport_params params;
  make_settings(now, settings, params);
  params.original_dcid = initial.dcid;
  params.original_dcid_present = 1;
  ngtcp2_cid source{};
  if (!new_local_id(source)) return failure(QuicErrc::internal);
  params.stateless_reset_token_present = 1;
  std::ranges::copy(shared_.reset_token_of(ByteView(source.data, source.datalen)),
                    params.stateless_reset_token);
  // The dialler uses the id it made up until our first answer arrives.
  const ConnectionId first = connection_id_from(ByteView(initial.dcid.data, initial.dcid.datalen));
  if (!shared_.ids.add(first, static_cast<std::uint32_t>(handle_))) {
    return failure(QuicErrc::protocol_violation);
  }
  ids_.push_back(first);
  const LabelPath path(label);
  const int result =
      ngtcp2_conn_server_new(&conn_, &initial.scid, &source, path.get(), initial.version,
                             connection_callbacks(), &settings, &params, memory_.allocator(), this);
  if (result != 0) return failure(QuicErrc::internal);
  return start_session();
}

void QuicConnection::handle_datagram(Instant now, PathLabel label, Ecn ecn, ByteView datagram) {
  if (closed_) return;
  now_ = now;
  const LabelPath path(label);
  const ngtcp2_pkt_info info{static_cast<std::uint8_t>(ecn)};
  const int result = ngtcp2_conn_read_pkt(conn_, path.get(), &info, datagram.data(),
                                          datagram.size(), to_ngtcp2(now));
  if (result != 0) return fail(now, result);
  after_mutation(now);
}

void QuicConnection::handle_timeout(Instant now) {
  if (closed_) return;
  now_ = now;
  if (now >= patience_end()) {
    if (awaits_acknowledgement()) {
      return give_up(now);
    }
    unacknowledged_since_ = never;
  }
  if (now < expiry()) return;
  const int result = ngtcp2_conn_handle_expiry(conn_, to_ngtcp2(now));
  if (result != 0) return fail(now, result);
  after_mutation(now);
}

Instant QuicConnection::next_timeout() const {
  if (closed_) return never;
  return std::min(expiry(), patience_end());
}

// A path may carry packets one way only: then each side hears the other, or one of them does, and
// QUIC's idle time-out, which begins anew with every packet heard, never ends the connection.
Instant QuicConnection::patience_end() const {
  if (unacknowledged_since_ == never) return never;
  return unacknowledged_since_ + shared_.config.idle_timeout;
}

bool QuicConnection::awaits_acknowledgement() const {
  return std::ranges::any_of(streams_, [](const auto& entry) {
    return !entry.second.write_closed && entry.second.send.in_flight() > 0;
  });
}

Instant QuicConnection::expiry() const {
  const ngtcp2_tstamp expiry = ngtcp2_conn_get_expiry(conn_);
  if (expiry >= static_cast<ngtcp2_tstamp>(never.time_since_epoch().count())) return never;
  return Instant(Duration(static_cast<std::int64_t>(expiry)));
}

void QuicConnection::end_session() {
  if (!confirmed_ || session_ == nullptr) return;
  // ngtcp2 has the packet keys and derives the next ones from them; the session's last task, the
  // exporter, is done.
  ngtcp2_conn_set_tls_native_handle(conn_, nullptr);
  gnutls_deinit(std::exchange(session_, nullptr));
}

void QuicConnection::after_mutation(Instant now) {
  if (closed_) return;
  end_session();
  const std::size_t held =
      held_events_.size() * sizeof(QuicEvent);  // by a peer that never confirms
  if (memory_.exceeded(uncredited_ + held)) {
    return close(now, CloseCode::budget_exceeded, "this connection used more memory than allowed");
  }
  const PathLabel label = label_of(*ngtcp2_conn_get_path(conn_));
  if (label != current_label_) {
    emit(PathSwitched{handle_, current_label_, label});
    if (migrating_to_ == label) migrating_to_.reset();
    current_label_ = label;
  }
}

void QuicConnection::emit(QuicEvent event) {
  // Nothing a peer sends may be seen before it is proved.
  if (confirmed_) {
    shared_.events.push_back(std::move(event));
  } else {
    held_events_.push_back(std::move(event));
  }
}

int QuicConnection::judge_peer() {
  const Result<ByteView> certificate = peer_certificate(session_);
  if (!certificate) {
    judgement_ = certificate.error();
    return GNUTLS_E_CERTIFICATE_ERROR;
  }
  if (peer_ && std::ranges::equal(judged_certificate_, *certificate)) return 0;
  peer_.reset();
  const Result<NodeId> peer = node_id_of_certificate(*certificate);
  if (!peer) {
    judgement_ = peer.error();
  } else if (expected_ && *expected_ != *peer) {
    judgement_ = QuicErrc::wrong_peer;
  } else {
    peer_ = *peer;
    judged_certificate_ = to_bytes(*certificate);
    return 0;
  }
  return GNUTLS_E_CERTIFICATE_ERROR;
}

int QuicConnection::on_handshake_completed() {
  // Judged again from what the session proves: a verify callback that never ran must not pass.
  if (judge_peer() != 0) return NGTCP2_ERR_CALLBACK_FAILURE;
  judged_certificate_ = {};
  if (!export_keying_material(session_, "EXPORTER-quicmesh 1", exporter_secret_)) {
    return NGTCP2_ERR_CALLBACK_FAILURE;
  }
  completed_ = true;
  if (role_ == TlsRole::acceptor) {
    on_confirmed();
  } else {
    shared_.events.push_back(HandshakeCompleted{handle_});
  }
  return 0;
}

void QuicConnection::on_confirmed() {
  if (confirmed_) return;
  confirmed_ = true;
  shared_.events.push_back(ConnectionConfirmed{handle_, *peer_});
  for (QuicEvent& event : held_events_)
    shared_.events.push_back(std::move(event));
  held_events_ = {};
}

Result<void> QuicConnection::migrate(Instant now, PathLabel label, bool immediately) {
  if (role_ != TlsRole::dialler) return failure(QuicErrc::only_dialler_migrates);
  if (closed_) return failure(QuicErrc::unknown_connection);
  if (!confirmed_) return failure(QuicErrc::migration_not_possible_yet);
  now_ = now;
  const LabelPath path(label);
  const int result =
      immediately ? ngtcp2_conn_initiate_immediate_migration(conn_, path.get(), to_ngtcp2(now))
                  : ngtcp2_conn_initiate_migration(conn_, path.get(), to_ngtcp2(now));
  // NGTCP2_ERR_CONN_ID_BLOCKED: no spare id of the peer's yet; also a handshake not confirmed.
  if (result != 0) return failure(QuicErrc::migration_not_possible_yet);
  migrating_to_ = label;
  after_mutation(now);
  return {};
}

Result<void> QuicConnection::update_key(Instant now) {
  if (closed_) return failure(QuicErrc::unknown_connection);
  if (key_updated_ && packets_since_key_update_ < QuicConfig::key_update_packets_min) {
    return failure(QuicErrc::key_update_not_possible_yet);
  }
  if (ngtcp2_conn_initiate_key_update(conn_, to_ngtcp2(now)) != 0) {
    return failure(QuicErrc::key_update_not_possible_yet);
  }
  packets_since_key_update_ = 0;
  key_updated_ = true;
  ++shared_.counters.key_updates;
  return {};
}

Result<void> QuicConnection::export_secret(std::string_view label, MutableByteView out) const {
  if (!completed_) return failure(QuicErrc::migration_not_possible_yet);
  Blake3 hash = Blake3::keyed(exporter_secret_);
  hash.update(as_bytes(label));
  hash.finish(out);
  return {};
}

QuicPathInfo QuicConnection::path_info() const {
  ngtcp2_conn_info info;
  ngtcp2_conn_get_conn_info(conn_, &info);
  QuicPathInfo out;
  out.smoothed_rtt = Duration(static_cast<std::int64_t>(info.smoothed_rtt));
  out.latest_rtt = Duration(static_cast<std::int64_t>(info.latest_rtt));
  const bool sampled = info.min_rtt != std::numeric_limits<ngtcp2_duration>::max();
  out.least_rtt = sampled ? Duration(static_cast<std::int64_t>(info.min_rtt)) : Duration{};
  out.probe_timeout = Duration(static_cast<std::int64_t>(ngtcp2_conn_get_pto(conn_)));
  out.congestion_window_bytes = info.cwnd;
  out.bytes_in_flight = info.bytes_in_flight;
  out.max_payload_bytes = ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_);
  return out;
}

std::size_t QuicConnection::memory_used() const {
  return memory_.used() + uncredited_;
}

Bytes QuicConnection::take_last_words() {
  return std::exchange(last_words_, {});
}

}  // namespace quicmesh
