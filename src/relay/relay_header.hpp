// The header in front of every relayed datagram, and the first bytes of all relay frames.
//
//     0      type: 0x30 from the session's initiator, 0x31 from its responder
//     1..8   session id: random, the same on both legs
//     9..10  epoch: reserved, 0 in this version (docs/protocols/relay.md)
//     11..   the peers' own datagram: QUIC, or a frame beside it
//
// The sending peer writes the header, the relay forwards the datagram with it untouched, the
// receiving peer strips it. Nothing in it is an address, and the relay reads type and session only.
// Big-endian. The type says which end claims to send, so that the relay knows against which bound
// path to hold the source, and whose key a challenge must be made with.
//
// First bytes have bit 0x40 clear and are at least 16: never a QUIC packet, never
// STUN. Probe frames have 0x20 to 0x22.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "quicmesh/bytes.hpp"

namespace quicmesh {

enum class RelayFrameType : std::uint8_t {
  from_initiator = 0x30,
  from_responder = 0x31,
  challenge = 0x32,
  answer = 0x33,
};

/// Which end of a session: who asked for it, or who was asked for.
enum class RelayRole : std::uint8_t { initiator = 0, responder = 1 };

constexpr RelayRole other_end(RelayRole role) {
  return role == RelayRole::initiator ? RelayRole::responder : RelayRole::initiator;
}

enum class RelaySessionId : std::uint64_t {};

struct RelayHeader {
  RelayRole sender{};
  RelaySessionId session{};
  std::uint16_t epoch = 0;

  auto operator<=>(const RelayHeader&) const = default;
};

inline constexpr std::size_t relay_header_size = 11;
/// What every path's MTU keeps free for the header and what may be added to it.
inline constexpr std::size_t relay_header_reserve = 16;
static_assert(relay_header_size <= relay_header_reserve);

/// True for a first byte that announces one of our relay frames.
constexpr bool is_relay_frame_type(std::uint8_t first_byte) {
  return first_byte >= 0x30 && first_byte <= 0x33;
}

std::array<std::uint8_t, relay_header_size> encode_relay_header(const RelayHeader& header);

/// The header of a relayed datagram; nothing for other frames and for one without any payload.
std::optional<RelayHeader> decode_relay_header(ByteView datagram);

}  // namespace quicmesh
