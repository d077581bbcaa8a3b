#include "path/probe_frame.hpp"

#include <algorithm>

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "crypto/mac.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t authenticated_size = 19;

}  // namespace

ProbeFrameBytes encode_probe_frame(const ProbeFrame& frame, const ProbeKey& key) {
  ProbeFrameBytes bytes{};
  ByteWriter writer{MutableByteView(bytes)};
  writer.u8(static_cast<std::uint8_t>(frame.type));
  writer.u64(static_cast<std::uint64_t>(frame.tag));
  writer.u64(frame.nonce);
  writer.u16(frame.epoch);
  const Mac mac = make_mac(key, ByteView(bytes).first(authenticated_size));
  writer.bytes(mac);
  return bytes;
}

std::optional<LinkTag> probe_frame_tag(ByteView datagram) {
  if (datagram.size() != probe_frame_size || !is_probe_frame_type(datagram[0])) return std::nullopt;
  return LinkTag{ByteReader(datagram.subspan(1)).u64()};
}

std::optional<ProbeFrame> decode_probe_frame(ByteView datagram, const ProbeKey& key) {
  if (datagram.size() != probe_frame_size || !is_probe_frame_type(datagram[0])) return std::nullopt;
  const ByteView mac = datagram.subspan(authenticated_size);
  if (!verify_mac(key, datagram.first(authenticated_size), mac)) return std::nullopt;
  ByteReader reader(datagram);
  ProbeFrame frame;
  frame.type = ProbeFrameType{reader.u8()};
  frame.tag = LinkTag{reader.u64()};
  frame.nonce = reader.u64();
  frame.epoch = reader.u16();
  return frame;
}

}  // namespace quicmesh
