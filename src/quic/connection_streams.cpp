// The streams of a QuicConnection: buffers, flow control, back-pressure, their end.
#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "quic/connection.hpp"
#include "quic/quic_errc.hpp"

namespace quicmesh {

QuicConnection::Stream& QuicConnection::adopt_stream(StreamId id) {
  Stream& stream = streams_[id];
  stream.id = id;
  return stream;
}

QuicConnection::Stream* QuicConnection::find_stream(StreamId id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

Result<StreamId> QuicConnection::open_stream(bool bidirectional) {
  if (closed_) return failure(QuicErrc::unknown_connection);
  std::int64_t id = -1;
  const int result = bidirectional ? ngtcp2_conn_open_bidi_stream(conn_, &id, nullptr)
                                   : ngtcp2_conn_open_uni_stream(conn_, &id, nullptr);
  if (result == NGTCP2_ERR_STREAM_ID_BLOCKED) {
    streams_wanted_ = true;
    return failure(QuicErrc::stream_limit);
  }
  if (result != 0) return failure(QuicErrc::internal);
  Stream& stream = adopt_stream(StreamId{id});
  stream.end_received = stream.end_delivered = !bidirectional;
  return StreamId{id};
}

Result<void> QuicConnection::write(StreamId id, Bytes& data, bool end) {
  Stream* stream = find_stream(id);
  if (closed_ || stream == nullptr) return failure(QuicErrc::unknown_stream);
  if (stream->write_closed || stream->end_queued || stream->transport_closed) {
    return failure(QuicErrc::stream_closed);
  }
  if (stream->send.unsent() >= unsent_allowance() ||
      stream->send.held() >= shared_.config.stream_send_buffer) {
    stream->would_block = true;
    return failure(QuicErrc::would_block);
  }
  unsent_bytes_ += data.size();
  shared_.unsent_bytes += data.size();
  stream->send.append(std::move(data));
  stream->end_queued = end;
  queue_stream(*stream);
  return {};
}

Result<StreamChunk> QuicConnection::read(StreamId id) {
  Stream* stream = find_stream(id);
  if (stream == nullptr) return failure(QuicErrc::unknown_stream);
  StreamChunk chunk;
  chunk.data = stream->receive.pop();
  chunk.end = stream->receive.empty() && stream->end_received;
  if (stream->receive.empty()) stream->readable_reported = false;
  if (chunk.end) {
    stream->end_delivered = true;
    finish_if_over(*stream);  // may end the life of *stream
  }
  return chunk;
}

void QuicConnection::credit(StreamId id, std::size_t bytes) {
  if (closed_) return;
  credited_bytes_ += bytes;
  if (!proved_ && credited_bytes_ >= shared_.config.proof_bytes) {
    proved_ = true;
    memory_.set_limit(shared_.config.budget_proven);
  }
  Stream* stream = find_stream(id);
  if (stream == nullptr) return;
  give_back(*stream, std::min(bytes, stream->uncredited));
  finish_if_over(*stream);
}

void QuicConnection::give_back(Stream& stream, std::size_t bytes) {
  stream.uncredited -= bytes;
  uncredited_ -= bytes;
  if (!stream.transport_closed) {
    (void)ngtcp2_conn_extend_max_stream_offset(conn_, std::to_underlying(stream.id), bytes);
  }
  ngtcp2_conn_extend_max_offset(conn_, bytes);
}

Result<void> QuicConnection::reset_stream(StreamId id, CloseCode code) {
  Stream* stream = find_stream(id);
  if (closed_ || stream == nullptr) return failure(QuicErrc::unknown_stream);
  if (stream->transport_closed) return failure(QuicErrc::stream_closed);
  stream->write_closed = true;
  (void)ngtcp2_conn_shutdown_stream_write(conn_, 0, std::to_underlying(id),
                                          std::to_underlying(code));
  return {};
}

Result<void> QuicConnection::stop_stream(StreamId id, CloseCode code) {
  Stream* stream = find_stream(id);
  if (closed_ || stream == nullptr) return failure(QuicErrc::unknown_stream);
  stream->receive.clear();
  stream->end_delivered = true;
  give_back(*stream, stream->uncredited);
  if (!stream->transport_closed) {
    (void)ngtcp2_conn_shutdown_stream_read(conn_, 0, std::to_underlying(id),
                                           std::to_underlying(code));
  }
  finish_if_over(*stream);
  return {};
}

std::size_t QuicConnection::unacknowledged_bytes() const {
  std::size_t total = 0;
  for (const auto& [id, stream] : streams_)
    total += unacknowledged_bytes(id);
  return total;
}

std::size_t QuicConnection::unacknowledged_bytes(StreamId id) const {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return 0;
  const Stream& stream = found->second;
  if (stream.write_closed || stream.transport_closed) return 0;
  return stream.send.held() + (stream.end_queued && !stream.end_acknowledged ? 1 : 0);
}

Result<void> QuicConnection::send_datagram(Bytes data) {
  if (closed_) return failure(QuicErrc::unknown_connection);
  const ngtcp2_transport_params* theirs = ngtcp2_conn_get_remote_transport_params(conn_);
  const bool refused = theirs != nullptr && theirs->max_datagram_frame_size == 0;
  if (refused || shared_.config.datagram_queue_max == 0) {
    return failure(QuicErrc::datagrams_unsupported);
  }
  // ngtcp2 1.11 asserts on an empty DATAGRAM (fixed in 1.12), so none is ever made.
  if (data.empty() || data.size() > max_datagram_size()) {
    return failure(QuicErrc::datagram_too_large);
  }
  if (datagrams_.size() >= shared_.config.datagram_queue_max) {
    datagrams_.pop_front();
    ++shared_.counters.datagrams_dropped;
  }
  datagrams_.push_back(std::move(data));
  return {};
}

std::size_t QuicConnection::max_datagram_size() const {
  // Short header, packet number, AEAD tag, and the frame's type and length (RFC 9221 s4).
  constexpr std::size_t overhead = 1 + connection_id_size + 4 + 16 + 3;
  return ngtcp2_conn_get_path_max_tx_udp_payload_size(conn_) - overhead;
}

void QuicConnection::report_readable(Stream& stream) {
  if (stream.readable_reported) return;
  stream.readable_reported = true;
  emit(StreamReadable{handle_, stream.id});
}

void QuicConnection::report_writable(Stream& stream) {
  if (!stream.would_block || stream.send.unsent() > unsent_allowance() / 2 ||
      stream.send.held() > shared_.config.stream_send_buffer / 2) {
    return;
  }
  stream.would_block = false;
  emit(StreamWritable{handle_, stream.id});
}

std::size_t QuicConnection::unsent_allowance() const {
  const QuicConfig& config = shared_.config;
  const bool roomy = unsent_bytes_ < config.connection_unsent_max &&
                     shared_.unsent_bytes < config.endpoint_unsent_max;
  if (roomy) return config.stream_unsent_max;
  return std::min(config.stream_unsent_min, config.stream_unsent_max);
}

void QuicConnection::note_sent(std::size_t bytes) {
  unsent_bytes_ -= bytes;
  shared_.unsent_bytes -= bytes;
}

void QuicConnection::queue_stream(Stream& stream) {
  if (stream.in_send_queue) return;
  if (stream.send.unsent() == 0 && (!stream.end_queued || stream.end_sent)) return;
  stream.in_send_queue = true;
  send_queue_.push_back(stream.id);
}

void QuicConnection::finish_if_over(Stream& stream) {
  // What the application holds and has not credited still counts: a peer could otherwise fill our
  // memory with many streams, each complete and small.
  if (closed_ || !stream.transport_closed || !stream.end_delivered || stream.uncredited > 0) return;
  const std::int64_t id = std::to_underlying(stream.id);
  if (ngtcp2_conn_is_local_stream(conn_, id) == 0) {
    if (ngtcp2_is_bidi_stream(id) != 0) {
      ngtcp2_conn_extend_max_streams_bidi(conn_, 1);
    } else {
      ngtcp2_conn_extend_max_streams_uni(conn_, 1);
    }
  }
  if (stream.in_send_queue) {
    send_queue_.erase(std::ranges::find(send_queue_, stream.id));
  }
  emit(StreamFinished{handle_, stream.id});
  note_sent(stream.send.unsent());  // or rather, never to be sent
  streams_.erase(stream.id);
}

}  // namespace quicmesh
