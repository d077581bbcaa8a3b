#include "node/message_streams.hpp"

#include <algorithm>
#include <utility>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t length_size = 4;

}  // namespace

bool MessageStreams::send(Instant now, Connectivity& connectivity, const NodeId& peer,
                          ByteView message) {
  auto current = current_.find(peer);
  if (current == current_.end()) {
    give_up_older(connectivity, peer);
    const StreamHeader header{StreamKind::stream, protocol_};
    const auto opened = connectivity.connected(peer)
                            ? connectivity.open_stream(now, peer, header, false)
                            : connectivity.open_early_stream(peer, header);
    if (!opened) {
      ++counters_.dropped_no_stream;
      return false;
    }
    outgoing_[*opened] = {peer, now + stream_life};
    by_age_.push_back(*opened);
    current = current_.emplace(peer, *opened).first;
  }
  const StreamKey stream = current->second;
  if (connectivity.unacknowledged_bytes(stream) + message.size() > backlog_max) {
    ++counters_.dropped_backlog;
    return false;
  }
  Bytes frame;
  frame.reserve(length_size + message.size());
  ByteWriter writer(frame);
  writer.u32(static_cast<std::uint32_t>(message.size()));
  writer.bytes(message);
  const auto written = connectivity.write(stream, frame, false);
  if (written) {
    ++counters_.sent;
    return true;
  }
  if (written.error() == QuicErrc::would_block) {
    ++counters_.dropped_backlog;
  } else {
    ++counters_.dropped_no_stream;
    current_.erase(current);
  }
  return false;
}

std::optional<MessageStreams::Arrived> MessageStreams::poll_arrived() {
  if (arrived_.empty()) return std::nullopt;
  std::optional<Arrived> arrived(std::move(arrived_.front()));
  arrived_.pop_front();
  return arrived;
}

MessageStreams::Event MessageStreams::on_opened(Instant now, Connectivity& connectivity,
                                                const PeerStreamOpened& opened) {
  if (opened.header.protocol != protocol_) return Event::not_ours;
  const auto there = std::ranges::count_if(
      incoming_, [&](const auto& one) { return one.first.connection == opened.stream.connection; });
  Incoming& incoming = incoming_[opened.stream];
  incoming.from = opened.peer;
  incoming.ends_at = now + incoming_life;
  check_incoming_at_ = std::min(check_incoming_at_, incoming.ends_at);
  incoming.broken = closed_ || std::cmp_greater_equal(there, incoming_max) ||
                    opened.bidirectional || opened.header.kind != StreamKind::stream;
  if (incoming.broken) {
    ++counters_.streams_refused;
    if (opened.bidirectional) {
      (void)connectivity.reset_stream(opened.stream, CloseCode::cancelled);
    }
    (void)connectivity.stop_stream(opened.stream, CloseCode::cancelled);
  }
  return Event::taken;
}

MessageStreams::Event MessageStreams::on_data(Connectivity& connectivity,
                                              const PeerStreamData& data) {
  const auto found = incoming_.find(data.stream);
  if (found == incoming_.end()) return owns(data.stream) ? Event::taken : Event::not_ours;
  if (!data.data.empty()) connectivity.credit(data.stream, data.data.size());
  Incoming& from = found->second;
  if (from.broken) return Event::taken;
  const std::size_t before = from.inbox.size();
  from.inbox.insert(from.inbox.end(), data.data.begin(), data.data.end());
  std::size_t taken = 0;
  while (from.inbox.size() - taken >= length_size) {
    const ByteView rest = ByteView(from.inbox).subspan(taken);
    const std::size_t length = ByteReader(rest).u32();
    if (length == 0 || length > message_max_) {
      ++counters_.malformed;
      partial_bytes_ += from.inbox.size() - before;
      stop(connectivity, data.stream, from);
      return Event::taken;
    }
    if (rest.size() < length_size + length) break;
    arrived_.push_back({from.from, to_bytes(rest.subspan(length_size, length))});
    ++counters_.received;
    taken += length_size + length;
  }
  from.inbox.erase(from.inbox.begin(), from.inbox.begin() + static_cast<std::ptrdiff_t>(taken));
  partial_bytes_ += from.inbox.size() - before;
  if (data.end && !from.inbox.empty()) ++counters_.malformed;
  bound_partial(connectivity);
  return Event::taken;
}

MessageStreams::Event MessageStreams::on_broken(Connectivity& connectivity, const StreamKey& stream,
                                                NodeId& peer) {
  if (const auto incoming = incoming_.find(stream); incoming != incoming_.end()) {
    incoming->second.broken = true;
    partial_bytes_ -= std::exchange(incoming->second.inbox, {}).size();
    return Event::taken;
  }
  const auto outgoing = outgoing_.find(stream);
  if (outgoing == outgoing_.end()) return Event::not_ours;
  peer = outgoing->second.to;
  (void)connectivity.reset_stream(stream, CloseCode::cancelled);
  // One that was ended and is stopped all the same was not being read, or had no room.
  const bool was_ended = std::exchange(outgoing->second.ended, true);
  std::erase_if(current_, [&](const auto& one) { return one.second == stream; });
  return was_ended ? Event::taken : Event::refused;
}

MessageStreams::Event MessageStreams::on_over(const StreamKey& stream) {
  if (const auto incoming = incoming_.find(stream); incoming != incoming_.end()) {
    partial_bytes_ -= incoming->second.inbox.size();
    incoming_.erase(incoming);
    return Event::taken;
  }
  std::erase_if(current_, [&](const auto& one) { return one.second == stream; });
  return outgoing_.erase(stream) > 0 ? Event::taken : Event::not_ours;
}

bool MessageStreams::owns(const StreamKey& stream) const {
  return incoming_.contains(stream) || outgoing_.contains(stream);
}

void MessageStreams::handle_timeout(Instant now, Connectivity& connectivity) {
  while (!by_age_.empty()) {
    const auto oldest = outgoing_.find(by_age_.front());
    if (oldest != outgoing_.end() && oldest->second.ends_at > now) break;
    if (oldest != outgoing_.end()) end(connectivity, oldest->first);
    by_age_.pop_front();
  }
  if (check_incoming_at_ <= now) stop_overdue(now, connectivity);
}

void MessageStreams::stop_overdue(Instant now, Connectivity& connectivity) {
  check_incoming_at_ = never;
  for (auto& [stream, incoming] : incoming_) {
    if (incoming.broken) continue;
    if (incoming.ends_at > now) {
      check_incoming_at_ = std::min(check_incoming_at_, incoming.ends_at);
      continue;
    }
    ++counters_.streams_stopped;
    stop(connectivity, stream, incoming);
  }
}

Instant MessageStreams::poll_timeout() const {
  if (by_age_.empty()) return check_incoming_at_;
  const auto oldest = outgoing_.find(by_age_.front());
  return oldest == outgoing_.end() ? Instant{}
                                   : std::min(oldest->second.ends_at, check_incoming_at_);
}

// A stream that was ended before and is still on its way is not being read.
void MessageStreams::give_up_older(Connectivity& connectivity, const NodeId& peer) {
  std::size_t kept = 0;
  for (auto one = outgoing_.rbegin(); one != outgoing_.rend(); ++one) {
    if (one->second.to == peer && ++kept > 1) {
      (void)connectivity.reset_stream(one->first, CloseCode::cancelled);
    }
  }
}

void MessageStreams::stop(Connectivity& connectivity, const StreamKey& stream, Incoming& incoming) {
  incoming.broken = true;
  partial_bytes_ -= std::exchange(incoming.inbox, {}).size();
  (void)connectivity.stop_stream(stream, CloseCode::cancelled);
}

void MessageStreams::bound_partial(Connectivity& connectivity) {
  while (partial_bytes_ > partial_max) {
    const auto most = std::ranges::max_element(
        incoming_, {}, [](const auto& one) { return one.second.inbox.size(); });
    ++counters_.streams_stopped;
    stop(connectivity, most->first, most->second);
  }
}

void MessageStreams::end(Connectivity& connectivity, const StreamKey& stream) {
  Outgoing& outgoing = outgoing_.at(stream);
  std::erase_if(current_, [&](const auto& one) { return one.second == stream; });
  if (std::exchange(outgoing.ended, true)) return;
  Bytes nothing;
  // A full send buffer takes no end either: whoever does not read that much is not worth waiting
  // for.
  if (!connectivity.write(stream, nothing, true)) {
    (void)connectivity.reset_stream(stream, CloseCode::cancelled);
  }
}

void MessageStreams::reset_all(Connectivity& connectivity) {
  for (auto& [stream, outgoing] : outgoing_) {
    (void)connectivity.reset_stream(stream, CloseCode::cancelled);
    outgoing.ended = true;
  }
  for (auto& [stream, incoming] : incoming_) {
    if (!incoming.broken) stop(connectivity, stream, incoming);
  }
  closed_ = true;
  arrived_.clear();
  current_.clear();
  by_age_.clear();
  check_incoming_at_ = never;
}

}  // namespace quicmesh
