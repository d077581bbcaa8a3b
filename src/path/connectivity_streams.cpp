// Streams and datagram flows by protocol name, and the control stream.
#include <algorithm>
#include <utility>

#include "base/base_errc.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "path/connectivity.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {

Result<StreamKey> Connectivity::open_stream(Instant now, const NodeId& peer,
                                            const StreamHeader& header, bool bidirectional) {
  (void)now;
  return open_stream_on(active_link(peer), header, bidirectional);
}

Result<StreamKey> Connectivity::open_early_stream(const NodeId& peer, const StreamHeader& header) {
  return open_stream_on(proved_link(peer), header, false);
}

Result<StreamKey> Connectivity::open_stream_on(Link* link, const StreamHeader& header,
                                               bool bidirectional) {
  if (!is_protocol_name(header.protocol)) return failure(PathErrc::bad_protocol_name);
  if (link == nullptr) return failure(PathErrc::not_connected);
  const auto id = quic_->open_stream(link->handle, bidirectional);
  if (!id) return failure(id.error());
  Bytes bytes = encode_stream_header(header);
  const auto written = quic_->write(link->handle, *id, bytes, false);
  if (!written) return failure(written.error());
  link->streams.insert(*id);
  return StreamKey{link->handle, *id};
}

Result<void> Connectivity::write(const StreamKey& key, Bytes& data, bool end) {
  return quic_->write(key.connection, key.stream, data, end);
}

void Connectivity::credit(const StreamKey& key, std::size_t bytes) {
  quic_->credit(key.connection, key.stream, bytes);
}

std::size_t Connectivity::unacknowledged_bytes(const StreamKey& key) const {
  return quic_->unacknowledged_bytes(key.connection, key.stream);
}

Result<void> Connectivity::reset_stream(const StreamKey& key, CloseCode code) {
  return quic_->reset_stream(key.connection, key.stream, code);
}

Result<void> Connectivity::stop_stream(const StreamKey& key, CloseCode code) {
  return quic_->stop_stream(key.connection, key.stream, code);
}

void Connectivity::on_stream_readable(Instant now, Link& link, StreamId stream) {
  // Everything is taken out at once, so that nothing is lost if the connection ends next; flow
  // control still counts it until the application credits it.
  for (;;) {
    auto chunk = quic_->read(link.handle, stream);
    if (!chunk || (chunk->data.empty() && !chunk->end)) return;
    if (link.unnamed.contains(stream) && !name_stream(link, stream, chunk->data, chunk->end)) {
      if (chunk->end) return;
      continue;
    }
    if (link.control_in.contains(stream)) {
      quic_->credit(link.handle, stream, chunk->data.size());
      read_control(now, link, stream, chunk->data);
    } else if (!chunk->data.empty() || chunk->end) {
      events_.push_back(PeerStreamData{{link.handle, stream}, std::move(chunk->data), chunk->end});
    }
    if (chunk->end) return;
  }
}

bool Connectivity::name_stream(Link& link, StreamId stream, Bytes& data, bool end) {
  Bytes& collected = link.unnamed.at(stream);
  const std::size_t before = collected.size();
  const std::size_t taken = std::min(data.size(), stream_header_max - before);
  collected.insert(collected.end(), data.begin(),
                   data.begin() + static_cast<std::ptrdiff_t>(taken));
  auto decoded = decode_stream_header(collected);
  if (!decoded) {
    const bool incomplete = decoded.error() == BaseErrc::truncated && !end;
    if (incomplete) return false;
    ++counters_.streams_unnamed;
    link.unnamed.erase(stream);
    (void)quic_->reset_stream(link.handle, stream, CloseCode::protocol_violation);
    (void)quic_->stop_stream(link.handle, stream, CloseCode::protocol_violation);
    return false;
  }
  link.unnamed.erase(stream);
  quic_->credit(link.handle, stream, decoded->size);
  data.erase(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(decoded->size - before));
  const bool bidirectional = (std::to_underlying(stream) & 2) == 0;
  if (decoded->header.protocol == control_protocol && !bidirectional) {
    link.control_in.emplace(stream, Bytes{});
    return true;
  }
  link.streams.insert(stream);
  events_.push_back(PeerStreamOpened{
      *link.peer, {link.handle, stream}, std::move(decoded->header), bidirectional});
  return true;
}

bool Connectivity::carries_only(const NodeId& peer, const std::optional<StreamKey>& stream) const {
  const auto found = peers_.find(peer);
  if (found == peers_.end()) return true;
  return std::ranges::all_of(found->second.links, [&](ConnectionHandle handle) {
    const Link* link = find_link(handle);
    return link == nullptr || std::ranges::all_of(link->streams, [&](StreamId id) {
             return stream == StreamKey{handle, id};
           });
  });
}

void Connectivity::on_stream_over(Instant now, Link& link, StreamId stream) {
  link.unnamed.erase(stream);
  link.control_in.erase(stream);
  if (link.streams.erase(stream) > 0) {
    events_.push_back(PeerStreamFinished{{link.handle, stream}});
  }
  advance_retirement(now, link);
}

void Connectivity::read_control(Instant now, Link& link, StreamId stream, ByteView data) {
  Bytes pending = std::move(link.control_in[stream]);
  pending.insert(pending.end(), data.begin(), data.end());
  ByteView rest = pending;
  for (;;) {
    auto decoded = decode_control_message(rest);
    if (!decoded) {
      if (decoded.error() == BaseErrc::truncated) break;
      return quic_->close(now, link.handle, CloseCode::protocol_violation,
                          "malformed control message");
    }
    rest = rest.subspan(decoded->size);
    if (!decoded->message) continue;
    on_control(now, link, *decoded->message);
  }
  link.control_in[stream] = to_bytes(rest);
}

void Connectivity::note_relayed_remotes(Link& link, std::span<const Candidate> told) {
  link.relayed_remotes.clear();
  for (const Candidate& candidate : told) {
    if (candidate.kind == CandidateKind::relayed) link.relayed_remotes.push_back(candidate.address);
  }
  const NetworkPath current = current_path_of(link);
  std::vector<NetworkPath> unwanted;  // as is known only now
  for (const PathProber::Target& target : link.prober.targets()) {
    if (!same_path(target.path, current) && !allows(link, target.path)) {
      unwanted.push_back(target.path);
    }
  }
  for (const NetworkPath& path : unwanted)
    link.prober.remove(path);
}

void Connectivity::on_control(Instant now, Link& link, ControlMessage& message) {
  if (std::holds_alternative<RetireMessage>(message)) {
    link.retiring_there = true;
    Peer& peer = peers_.at(*link.peer);
    choose_link(now, *link.peer, peer);
    advance_retirement(now, link);
  } else if (auto* told = std::get_if<CandidatesMessage>(&message)) {
    if (!link.tellings.take(now)) {
      ++counters_.candidates_dropped;
      return;
    }
    note_relayed_remotes(link, told->candidates);
    events_.push_back(PeerCandidates{*link.peer, std::move(*told)});
  } else if (auto* punch = std::get_if<OpaquePunchMessage>(&message)) {
    events_.push_back(PeerPunch{*link.peer, std::move(punch->body)});
  } else if (link.dialler) {
    const std::uint64_t nonce = std::get<HintMessage>(message).nonce;
    const PathProber::Target* target = link.prober.find_by_nonce(nonce);
    if (target != nullptr) follow_hint(now, link, target->path);
  }
}

void Connectivity::send_control(Link& link, const ControlMessage& message) {
  if (!link.control_stream) {
    const auto id = quic_->open_stream(link.handle, false);
    if (!id) return;  // the peer allows no streams: hints still travel beside QUIC
    link.control_stream = *id;
    Bytes header = encode_stream_header({StreamKind::stream, std::string(control_protocol)});
    (void)quic_->write(link.handle, *id, header, false);
  }
  Bytes bytes = encode_control_message(message);
  (void)quic_->write(link.handle, *link.control_stream, bytes, false);
}

Result<void> Connectivity::send_datagram(const StreamKey& flow, ByteView data) {
  Bytes bytes;
  bytes.reserve(data.size() + 8);
  ByteWriter writer(bytes);
  writer.varint(static_cast<std::uint64_t>(std::to_underlying(flow.stream)));
  writer.bytes(data);
  return quic_->send_datagram(flow.connection, std::move(bytes));
}

std::size_t Connectivity::max_datagram_size(const NodeId& peer) const {
  constexpr std::size_t flow_id_max = 8;
  const Link* link = active_link(peer);
  const std::size_t size = link == nullptr ? 0 : quic_->max_datagram_size(link->handle);
  return size > flow_id_max ? size - flow_id_max : 0;
}

void Connectivity::on_datagram(Link& link, ByteView data) {
  ByteReader reader(data);
  const StreamId flow{static_cast<std::int64_t>(reader.varint())};
  if (!reader.ok() || !link.streams.contains(flow)) {
    ++counters_.flow_datagrams_dropped;  // malformed, or its stream has not arrived yet
    return;
  }
  events_.push_back(PeerDatagram{*link.peer, {link.handle, flow}, to_bytes(reader.rest())});
}

}  // namespace quicmesh
