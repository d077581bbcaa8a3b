#include "relay/relay_header.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh {
namespace {

constexpr auto first_data_type = static_cast<std::uint8_t>(RelayFrameType::from_initiator);
constexpr auto last_data_type = static_cast<std::uint8_t>(RelayFrameType::from_responder);

}  // namespace

std::array<std::uint8_t, relay_header_size> encode_relay_header(const RelayHeader& header) {
  std::array<std::uint8_t, relay_header_size> bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u8(static_cast<std::uint8_t>(first_data_type + static_cast<std::uint8_t>(header.sender)));
  writer.u64(static_cast<std::uint64_t>(header.session));
  writer.u16(header.epoch);
  return bytes;
}

std::optional<RelayHeader> decode_relay_header(ByteView datagram) {
  if (datagram.size() <= relay_header_size) return std::nullopt;
  if (datagram[0] < first_data_type || datagram[0] > last_data_type) return std::nullopt;
  ByteReader reader(datagram);
  RelayHeader header;
  header.sender = RelayRole{static_cast<std::uint8_t>(reader.u8() - first_data_type)};
  header.session = RelaySessionId{reader.u64()};
  header.epoch = reader.u16();
  return header;
}

}  // namespace quicmesh
