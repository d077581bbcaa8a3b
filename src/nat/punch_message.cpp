#include "nat/punch_message.hpp"

#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"
#include "nat/nat_errc.hpp"

namespace quicmesh {
namespace {

constexpr std::uint8_t version = 1;

// Numbers of the wire, which stay when the enumeration grows.
std::uint8_t technique_number(PunchTechnique technique) {
  if (technique == PunchTechnique::synchronised) return 1;
  return technique == PunchTechnique::predict ? 2 : 3;
}

}  // namespace

Bytes encode_punch_message(const PunchMessage& message) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u8(version);
  writer.u8(static_cast<std::uint8_t>(message.type));
  writer.u8(technique_number(message.technique));
  writer.u8(message.round);
  writer.u16(message.attempt);
  if (message.type == PunchMessageType::predicted) {
    writer.u16(message.port);
    writer.u16(static_cast<std::uint16_t>(message.step));
    writer.u8(static_cast<std::uint8_t>(message.count));
  } else if (message.type == PunchMessageType::openers_out) {
    writer.u16(message.count);
  }
  return bytes;
}

Result<PunchMessage> decode_punch_message(ByteView bytes) {
  ByteReader reader(bytes);
  const std::uint8_t told_version = reader.u8();
  if (reader.ok() && told_version != version) return failure(NatErrc::unknown_punch_version);
  PunchMessage message;
  const std::uint8_t type = reader.u8();
  const std::uint8_t technique = reader.u8();
  message.type = static_cast<PunchMessageType>(type);
  message.round = reader.u8();
  message.attempt = reader.u16();
  bool valid = type >= 1 && type <= 5 && technique >= 1 && technique <= 3 && message.round >= 1;
  if (!valid) return failure(NatErrc::malformed_punch_message);
  constexpr PunchTechnique techniques[] = {PunchTechnique::synchronised, PunchTechnique::predict,
                                           PunchTechnique::birthday};
  message.technique = techniques[technique - 1];
  if (message.type == PunchMessageType::predicted) {
    message.port = reader.u16();
    message.step = static_cast<std::int16_t>(reader.u16());
    message.count = reader.u8();
    valid = message.step != 0 && message.count > 0;
  } else if (message.type == PunchMessageType::openers_out) {
    message.count = reader.u16();
    valid = message.count > 0;
  }
  if (!valid || !reader.finish()) return failure(NatErrc::malformed_punch_message);
  return message;
}

}  // namespace quicmesh
