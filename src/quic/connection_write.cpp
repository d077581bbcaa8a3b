// What a QuicConnection puts on the wire: trains of packets, and its last words.
#include <algorithm>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "quic/connection.hpp"
#include "quic/connection_callbacks.hpp"
#include "quic/label_path.hpp"
#include "quic/quic_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t train_packets_max = 64;  // UDP_MAX_SEGMENTS
// An IPv4 datagram's 65,535 less the headers, those of 64 relayed datagrams included.
constexpr std::size_t train_bytes_max = 64'700;
constexpr std::size_t stream_views_max = 16;

// TLS alerts (RFC 8446 s6) come as CRYPTO_ERROR codes, 0x100 + alert (RFC 9001 s4.8).
constexpr std::uint64_t crypto_error = 0x100;
constexpr std::uint8_t alert_bad_certificate = 42;
constexpr std::uint8_t alert_certificate_unknown = 46;
constexpr std::uint8_t alert_certificate_required = 116;
constexpr std::uint8_t alert_no_application_protocol = 120;

std::error_code error_of_alert(std::uint64_t alert, bool ours) {
  if (alert == alert_no_application_protocol) return QuicErrc::protocol_not_offered;
  if (alert == alert_certificate_required) {
    return ours ? QuicErrc::no_certificate : QuicErrc::refused_by_peer;
  }
  if (!ours && (alert == alert_bad_certificate || alert == alert_certificate_unknown)) {
    return QuicErrc::refused_by_peer;
  }
  return QuicErrc::tls_failure;
}

std::error_code error_of_peer_close(const ngtcp2_ccerr& error) {
  if (error.type == NGTCP2_CCERR_TYPE_APPLICATION) {
    switch (CloseCode{error.error_code}) {
      case CloseCode::duplicate_connection:
        return QuicErrc::duplicate_connection;
      case CloseCode::budget_exceeded:
        return QuicErrc::budget_exceeded;
      case CloseCode::protocol_violation:
        return QuicErrc::protocol_violation;
      default:
        return QuicErrc::closed_by_peer;
    }
  }
  if (error.error_code >= crypto_error && error.error_code < crypto_error + 0x100) {
    return error_of_alert(error.error_code - crypto_error, false);
  }
  return QuicErrc::closed_by_peer;
}

std::string reason_of(const ngtcp2_ccerr& error) {
  constexpr std::size_t reason_max = 200;
  const std::size_t size = std::min<std::size_t>(error.reasonlen, reason_max);
  std::string text(reinterpret_cast<const char*>(error.reason), size);
  // The text is the peer's: it must not move a terminal's cursor.
  std::ranges::replace_if(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }, '?');
  return text;
}

}  // namespace

std::optional<QuicTrain> QuicConnection::write_train(Instant now, MutableByteView buffer) {
  if (closed_) return std::nullopt;
  now_ = now;
  // Whether more is allowed, or the peer has stopped the stream, ngtcp2 tells at a write only.
  for (const StreamId id : std::exchange(blocked_, {})) {
    if (Stream* stream = find_stream(id)) queue_stream(*stream);
  }
  QuicTrain train;
  std::size_t packets = 0;
  const auto take = [&](std::size_t size, PathLabel label, std::uint8_t ecn) {
    if (packets == 0) {
      train.label = label;
      train.segment_size = size;
      train.ecn = Ecn{ecn};
    }
    train.size += size;
    ++packets;
  };
  if (carry_) {
    std::ranges::copy(carry_->packet, buffer.begin());
    take(carry_->packet.size(), carry_->label, static_cast<std::uint8_t>(carry_->ecn));
    carry_.reset();
  }
  const std::size_t packet_max = shared_.config.max_udp_payload;
  const std::size_t limit =
      std::min({ngtcp2_conn_get_send_quantum(conn_), train_bytes_max, buffer.size() - packet_max});
  while (train.size < limit && packets < train_packets_max &&
         (packets == 0 || train.size + train.segment_size <= train_bytes_max)) {
    ngtcp2_path_storage path;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_pkt_info info{};
    const MutableByteView out = buffer.subspan(train.size, packet_max);
    const ngtcp2_ssize written = write_packet(path, info, out, now);
    if (written < 0) {
      fail(now, static_cast<int>(written));
      break;
    }
    if (written == 0) break;
    ++packets_since_key_update_;
    const auto size = static_cast<std::size_t>(written);
    const PathLabel label = label_of(path.path);
    const bool fits = packets == 0 || (label == train.label && size <= train.segment_size &&
                                       Ecn{info.ecn} == train.ecn);
    if (!fits) {
      carry_ = Carry{to_bytes(out.first(size)), label, Ecn{info.ecn}};
      break;
    }
    take(size, label, info.ecn);
    if (size < train.segment_size) break;  // only the last may be shorter
  }
  if (packets == 0) return std::nullopt;
  if (!closed_) {
    ngtcp2_conn_update_pkt_tx_time(conn_, to_ngtcp2(now));
    if (packets_since_key_update_ >= shared_.config.key_update_packets && confirmed_) {
      (void)update_key(now);  // not possible yet: tried again after the next train
    }
    after_mutation(now);
  }
  return train;
}

ngtcp2_ssize QuicConnection::write_packet(ngtcp2_path_storage& path, ngtcp2_pkt_info& info,
                                          MutableByteView out, Instant now) {
  if (completed_ && !datagrams_.empty()) {
    bool packet_done = false;
    const ngtcp2_ssize written = write_datagram_frames(path, info, out, now, packet_done);
    if (packet_done) return written;
  }
  return write_stream_frames(path, info, out, now);
}

ngtcp2_ssize QuicConnection::write_datagram_frames(ngtcp2_path_storage& path, ngtcp2_pkt_info& info,
                                                   MutableByteView out, Instant now,
                                                   bool& packet_done) {
  while (!datagrams_.empty()) {
    Bytes& datagram = datagrams_.front();
    const ngtcp2_vec view{datagram.data(), datagram.size()};
    int accepted = 0;
    const ngtcp2_ssize written =
        ngtcp2_conn_writev_datagram(conn_, &path.path, &info, out.data(), out.size(), &accepted,
                                    NGTCP2_WRITE_DATAGRAM_FLAG_MORE, 0, &view, 1, to_ngtcp2(now));
    if (accepted != 0) datagrams_.pop_front();
    if (written == NGTCP2_ERR_WRITE_MORE) continue;
    if (written == NGTCP2_ERR_INVALID_STATE || written == NGTCP2_ERR_INVALID_ARGUMENT) {
      datagrams_.pop_front();  // the peer takes none, or none of this size (any more)
      ++shared_.counters.datagrams_dropped;
      continue;
    }
    packet_done = true;
    return written;
  }
  return 0;
}

ngtcp2_ssize QuicConnection::write_stream_frames(ngtcp2_path_storage& path, ngtcp2_pkt_info& info,
                                                 MutableByteView out, Instant now) {
  while (completed_ && !send_queue_.empty()) {
    const StreamId id = send_queue_.front();
    Stream* stream = find_stream(id);
    if (stream == nullptr || stream->write_closed) {
      if (stream != nullptr) stream->in_send_queue = false;
      send_queue_.pop_front();
      continue;
    }
    std::array<ByteView, stream_views_max> views;
    const std::size_t count = stream->send.peek(views, out.size());
    std::array<ngtcp2_vec, stream_views_max> vectors;
    std::size_t offered = 0;
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<std::uint8_t*>(views[i].data()), views[i].size()};
      offered += views[i].size();
    }
    const bool with_end = stream->end_queued && offered == stream->send.unsent();
    const std::uint32_t flags =
        NGTCP2_WRITE_STREAM_FLAG_MORE | (with_end ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0u);
    ngtcp2_ssize taken = -1;
    const ngtcp2_ssize written =
        ngtcp2_conn_writev_stream(conn_, &path.path, &info, out.data(), out.size(), &taken, flags,
                                  std::to_underlying(id), vectors.data(), count, to_ngtcp2(now));
    if (taken >= 0) {
      note_sent(now, static_cast<std::size_t>(taken));
      stream->send.mark_sent(static_cast<std::size_t>(taken));
      note_sent(static_cast<std::size_t>(taken));
      report_writable(*stream);
      if (with_end && stream->send.unsent() == 0) {
        stream->end_sent = true;
        stream->end_sent_alone = taken == 0;
      }
    }
    const bool exhausted = stream->send.unsent() == 0 && (!stream->end_queued || stream->end_sent);
    if (written == NGTCP2_ERR_STREAM_DATA_BLOCKED) {
      blocked_.push_back(id);
    } else if (written == NGTCP2_ERR_STREAM_SHUT_WR || written == NGTCP2_ERR_STREAM_NOT_FOUND) {
      stream->write_closed = true;
      emit(StreamStopped{handle_, id});
    } else if (written == NGTCP2_ERR_WRITE_MORE) {
      if (!exhausted) continue;  // there were more pieces than views; the packet has room
    } else if (written <= 0) {
      return written;
    } else if (!exhausted) {
      // In turn with the others, packet by packet.
      send_queue_.pop_front();
      send_queue_.push_back(id);
      return written;
    }
    send_queue_.pop_front();
    stream->in_send_queue = false;
    if (written > 0) return written;
  }
  return ngtcp2_conn_writev_stream(conn_, &path.path, &info, out.data(), out.size(), nullptr,
                                   NGTCP2_WRITE_STREAM_FLAG_NONE, -1, nullptr, 0, to_ngtcp2(now));
}

void QuicConnection::close(Instant now, CloseCode code, std::string_view reason) {
  if (closed_) return;
  now_ = now;
  ngtcp2_ccerr error;
  ngtcp2_ccerr_default(&error);
  ngtcp2_ccerr_set_application_error(&error, std::to_underlying(code),
                                     reinterpret_cast<const std::uint8_t*>(reason.data()),
                                     reason.size());
  write_close(now, error);
  std::error_code local = QuicErrc::closed_locally;
  if (code == CloseCode::budget_exceeded) local = QuicErrc::budget_exceeded;
  if (code == CloseCode::duplicate_connection) local = QuicErrc::duplicate_connection;
  if (code == CloseCode::protocol_violation) local = QuicErrc::protocol_violation;
  finish(local, std::string(reason));
}

// Patience begins anew with the first data after everything was acknowledged. Whether that is so is
// looked up at most once a second: it costs a look at every stream.
void QuicConnection::note_sent(Instant now, std::size_t taken) {
  if (taken == 0) return;
  const bool long_ago = unacknowledged_since_ != never && now - unacknowledged_since_ > 1s;
  if (unacknowledged_since_ == never || (long_ago && !awaits_acknowledgement())) {
    unacknowledged_since_ = now;
  }
}

void QuicConnection::give_up(Instant now) {
  constexpr std::string_view reason = "the peer is heard, but acknowledges nothing";
  ngtcp2_ccerr error;
  ngtcp2_ccerr_default(&error);
  ngtcp2_ccerr_set_application_error(&error, std::to_underlying(CloseCode::goodbye),
                                     reinterpret_cast<const std::uint8_t*>(reason.data()),
                                     reason.size());
  write_close(now, error);
  finish(QuicErrc::idle_timeout, std::string(reason));
}

void QuicConnection::write_close(Instant now, const ngtcp2_ccerr& error) {
  Bytes packet(1252);
  ngtcp2_path_storage path;
  ngtcp2_path_storage_zero(&path);
  ngtcp2_pkt_info info{};
  const ngtcp2_ssize written = ngtcp2_conn_write_connection_close(
      conn_, &path.path, &info, packet.data(), packet.size(), &error, to_ngtcp2(now));
  if (written <= 0) return;  // nothing may be said yet, or ngtcp2 is out of memory
  packet.resize(static_cast<std::size_t>(written));
  packet.shrink_to_fit();
  last_words_ = std::move(packet);
  last_words_label_ = label_of(path.path);
}

void QuicConnection::finish(std::error_code error, std::string reason) {
  closed_ = true;
  held_events_ = {};
  shared_.events.push_back(ConnectionClosed{handle_, error, std::move(reason), confirmed_,
                                            last_words_, last_words_label_});
}

std::error_code QuicConnection::handshake_error(std::string& reason) const {
  if (judgement_) {
    reason = judgement_.message();
    return judgement_;
  }
  const std::uint8_t alert = ngtcp2_conn_get_tls_alert(conn_);
  const std::error_code error = error_of_alert(alert, true);
  const char* name = gnutls_alert_get_name(static_cast<gnutls_alert_description_t>(alert));
  reason = name != nullptr ? name : "TLS alert " + std::to_string(alert);
  return error;
}

void QuicConnection::fail(Instant now, int library_error) {
  switch (library_error) {
    case NGTCP2_ERR_DRAINING: {
      if (reset_by_peer_) return finish(QuicErrc::reset_by_peer, "stateless reset");
      const ngtcp2_ccerr& error = *ngtcp2_conn_get_ccerr(conn_);
      return finish(error_of_peer_close(error), reason_of(error));
    }
    case NGTCP2_ERR_CLOSING:
    case NGTCP2_ERR_DROP_CONN:
      return finish(QuicErrc::closed_locally, "");
    case NGTCP2_ERR_IDLE_CLOSE:
      return finish(confirmed_ ? QuicErrc::idle_timeout : QuicErrc::handshake_timeout, "");
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
      return finish(QuicErrc::handshake_timeout, "");
    case NGTCP2_ERR_VERSION_NEGOTIATION_FAILURE:
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
      return finish(QuicErrc::version_negotiation, "");
    case NGTCP2_ERR_RETRY:
      return finish(QuicErrc::internal, "unexpected retry");
    default:
      break;
  }
  ngtcp2_ccerr error;
  ngtcp2_ccerr_default(&error);
  if (library_error == NGTCP2_ERR_CRYPTO || judgement_) {
    std::string reason;
    const std::error_code code = handshake_error(reason);
    std::uint8_t alert = ngtcp2_conn_get_tls_alert(conn_);
    if (alert == 0) alert = alert_bad_certificate;
    ngtcp2_ccerr_set_tls_alert(&error, alert, reinterpret_cast<const std::uint8_t*>(reason.data()),
                               reason.size());
    write_close(now, error);
    return finish(code, reason);
  }
  const std::string reason = ngtcp2_strerror(library_error);
  ngtcp2_ccerr_set_liberr(&error, library_error, nullptr, 0);
  write_close(now, error);
  const bool ours =
      library_error == NGTCP2_ERR_INTERNAL || library_error == NGTCP2_ERR_CALLBACK_FAILURE ||
      library_error == NGTCP2_ERR_INVALID_ARGUMENT || library_error == NGTCP2_ERR_INVALID_STATE;
  const bool memory = library_error == NGTCP2_ERR_NOMEM;
  finish(memory ? QuicErrc::budget_exceeded
         : ours ? QuicErrc::internal
                : QuicErrc::protocol_violation,
         reason);
}

}  // namespace quicmesh
