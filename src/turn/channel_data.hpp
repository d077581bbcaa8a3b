// ChannelData (RFC 8656 s12.4): how a TURN client and its server exchange a peer's datagrams once a
// channel is bound to that peer.
//
//     0..1   channel number, 0x4000..0x4fff
//     2..3   bytes of application data
//     4..    the data; over UDP padding is allowed, and not written here
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/network_path.hpp"
#include "quicmesh/bytes.hpp"

namespace quicmesh {

enum class TurnChannel : std::uint16_t {};

inline constexpr TurnChannel turn_channel_first{0x4000};
inline constexpr TurnChannel turn_channel_last{0x4fff};
inline constexpr std::size_t channel_data_header_size = 4;

struct ChannelData {
  TurnChannel channel{};
  ByteView payload;  // borrowed
};

/// Nothing if the datagram is no ChannelData message, or shorter than it says.
[[nodiscard]] std::optional<ChannelData> decode_channel_data(ByteView datagram);

/// Makes a ChannelData message of every datagram of the train in `buffer`, which grows by 4 bytes a
/// datagram. False if the buffer has no room for that; then it is unchanged.
[[nodiscard]] bool wrap_in_channel_data(TurnChannel channel, Transmit& train,
                                        MutableByteView buffer);

}  // namespace quicmesh
