#include "sim/verified_transfer.hpp"

#include <algorithm>

#include "base/hash.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::size_t piece_bytes = 128u << 10;
constexpr Duration gap_of_interest = 5ms;

std::uint8_t byte_at(std::uint64_t seed, std::uint64_t offset) {
  return static_cast<std::uint8_t>(mix64(seed + offset / 8) >> (8 * (offset % 8)));
}

}  // namespace

VerifiedTransfer::VerifiedTransfer(MeshNode& from, MeshNode& to, std::uint64_t size_bytes,
                                   std::uint64_t seed)
    : from_(from), to_(to), size_(size_bytes), seed_(mix64(seed)) {
  to_.command([](NodeCore& core, Instant) { (void)core.add_protocol(protocol); });
  to_.listen([this](Instant now, const NodeEvent& event) { on_receiver_event(now, event); });
  from_.listen([this](Instant now, const NodeEvent& event) { on_sender_event(now, event); });
  const auto stream = from_.command(
      [&](NodeCore& core, Instant now) { return core.open_stream(now, to_.id(), protocol); });
  if (!stream) {
    trouble_ = "no stream: " + stream.error().message();
    return;
  }
  outgoing_ = *stream;
  write_more();
}

void VerifiedTransfer::write_more() {
  while (written_ < size_) {
    const auto size =
        static_cast<std::size_t>(std::min<std::uint64_t>(piece_bytes, size_ - written_));
    Bytes piece(size);
    for (std::size_t i = 0; i < size; ++i)
      piece[i] = byte_at(seed_, written_ + i);
    const bool end = written_ + size == size_;
    const auto result = from_.command(
        [&](NodeCore& core, Instant) { return core.connectivity().write(*outgoing_, piece, end); });
    if (!result) {
      if (result.error() != QuicErrc::would_block) trouble_ = result.error().message();
      return;
    }
    written_ += size;
  }
}

void VerifiedTransfer::on_sender_event(Instant, const NodeEvent& event) {
  if (const auto* writable = std::get_if<PeerStreamWritable>(&event)) {
    if (outgoing_ && writable->stream == *outgoing_) write_more();
  } else if (const auto* lost = std::get_if<PeerStreamLost>(&event)) {
    if (outgoing_ && lost->stream == *outgoing_ && !finished_) trouble_ = lost->error.message();
  }
}

void VerifiedTransfer::on_receiver_event(Instant now, const NodeEvent& event) {
  if (const auto* opened = std::get_if<PeerStreamOpened>(&event)) {
    if (opened->peer == from_.id() && opened->header.protocol == protocol && !incoming_) {
      incoming_ = opened->stream;
    }
    return;
  }
  const auto* data = std::get_if<PeerStreamData>(&event);
  if (data == nullptr || !incoming_ || data->stream != *incoming_) return;
  if (last_arrival_ && now - *last_arrival_ >= gap_of_interest) {
    gaps_.push_back({now, now - *last_arrival_});
  }
  last_arrival_ = now;
  for (const std::uint8_t byte : data->data) {
    if (byte != byte_at(seed_, received_++)) ++wrong_;
  }
  to_.command([&](NodeCore& core, Instant) {
    core.connectivity().credit(data->stream, data->data.size());
    Bytes nothing;  // our direction of the stream ends with the sender's
    if (data->end) (void)core.connectivity().write(data->stream, nothing, true);
  });
  if (!data->end) return;
  finished_ = received_ == size_;
  finished_at_ = now;
  if (!finished_) trouble_ = "the stream ended after " + std::to_string(received_) + " bytes";
}

Duration VerifiedTransfer::longest_gap(Instant from, Instant until) const {
  Duration longest{};
  for (const Gap& gap : gaps_) {
    if (gap.end > from && gap.end <= until) longest = std::max(longest, gap.length);
  }
  return longest;
}

}  // namespace quicmesh::sim
