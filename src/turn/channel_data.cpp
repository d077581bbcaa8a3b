#include "turn/channel_data.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh {

std::optional<ChannelData> decode_channel_data(ByteView datagram) {
  ByteReader reader(datagram);
  const TurnChannel channel{reader.u16()};
  const std::size_t size = reader.u16();
  const ByteView payload = reader.bytes(size);
  if (!reader.ok() || channel < turn_channel_first || channel > turn_channel_last) {
    return std::nullopt;
  }
  return ChannelData{channel, payload};
}

bool wrap_in_channel_data(TurnChannel channel, Transmit& train, MutableByteView buffer) {
  QM_ASSERT(train.segment_size > 0);
  const std::size_t count = (train.size + train.segment_size - 1) / train.segment_size;
  const std::size_t size = train.size + count * channel_data_header_size;
  if (size > buffer.size()) return false;
  // From the last to the first, so that none is overwritten before it has moved.
  for (std::size_t i = count; i-- > 0;) {
    const std::size_t from = i * train.segment_size;
    const std::size_t to = from + i * channel_data_header_size;
    const std::size_t length = std::min(train.segment_size, train.size - from);
    std::memmove(buffer.data() + to + channel_data_header_size, buffer.data() + from, length);
    ByteWriter writer(buffer.subspan(to, channel_data_header_size));
    writer.u16(std::to_underlying(channel));
    writer.u16(static_cast<std::uint16_t>(length));
  }
  train.size = size;
  train.segment_size += channel_data_header_size;
  return true;
}

}  // namespace quicmesh
