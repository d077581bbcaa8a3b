// Our own frames beside QUIC on the same socket: path probes and hints.
//
// Probing many paths happens outside QUIC, because ngtcp2 validates one path at a time; and the one
// hint that matters most, "the path we use is dead", cannot travel inside QUIC on that path.
//
//     0      type: 0x20 request, 0x21 response, 0x22 hint     (bit 0x40 clear: never a QUIC packet)
//     1..8   tag: names the connection at the receiver
//     9..16  nonce: of the request; a response repeats it
//     17..18 epoch: how often the dialler has come to this path
//     19..34 MAC: keyed BLAKE3 over bytes 0..18, cut to 16 bytes
//
// Tags and the MAC key come from the connection's TLS exporter, so that only its two ends can make
// a frame. All frames have one size: an answer is never larger than the question.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "quicmesh/bytes.hpp"

namespace quicmesh {

enum class ProbeFrameType : std::uint8_t { request = 0x20, response = 0x21, hint = 0x22 };

/// Names a connection at the node that receives the frame.
enum class LinkTag : std::uint64_t {};

using ProbeKey = std::array<std::uint8_t, 32>;

struct ProbeFrame {
  ProbeFrameType type{};
  LinkTag tag{};
  std::uint64_t nonce = 0;
  std::uint16_t epoch = 0;
};

inline constexpr std::size_t probe_frame_size = 35;
using ProbeFrameBytes = std::array<std::uint8_t, probe_frame_size>;

/// True for a first byte that announces one of our frames.
constexpr bool is_probe_frame_type(std::uint8_t first_byte) {
  return first_byte >= 0x20 && first_byte <= 0x22;
}

ProbeFrameBytes encode_probe_frame(const ProbeFrame& frame, const ProbeKey& key);

/// The tag alone, to find the connection and its key; nothing if `datagram` is no such frame.
std::optional<LinkTag> probe_frame_tag(ByteView datagram);

/// Nothing if the frame is malformed or its MAC is not of `key`.
std::optional<ProbeFrame> decode_probe_frame(ByteView datagram, const ProbeKey& key);

}  // namespace quicmesh
