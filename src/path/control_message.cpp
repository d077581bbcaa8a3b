#include "path/control_message.hpp"

#include "base/base_errc.hpp"
#include "base/byte_reader.hpp"
#include "base/byte_writer.hpp"

namespace quicmesh {

Bytes encode_control_message(const ControlMessage& message) {
  Bytes bytes;
  ByteWriter writer(bytes);
  writer.u8(static_cast<std::uint8_t>(message.type));
  const bool hint = message.type == ControlType::hint;
  writer.u8(hint ? 8 : 0);
  if (hint) writer.u64(message.nonce);
  return bytes;
}

Result<DecodedControlMessage> decode_control_message(ByteView bytes) {
  if (bytes.size() < 2) return failure(BaseErrc::truncated);
  const std::size_t body_size = bytes[1];
  if (body_size > control_body_max) return failure(BaseErrc::out_of_range);
  if (bytes.size() < 2 + body_size) return failure(BaseErrc::truncated);
  DecodedControlMessage decoded;
  decoded.size = 2 + body_size;
  const ByteView body = bytes.subspan(2, body_size);
  switch (ControlType{bytes[0]}) {
    case ControlType::hint:
      if (body.size() != 8) return failure(BaseErrc::out_of_range);
      decoded.message = ControlMessage{ControlType::hint, ByteReader(body).u64()};
      break;
    case ControlType::retire:
      if (!body.empty()) return failure(BaseErrc::out_of_range);
      decoded.message = ControlMessage{ControlType::retire, 0};
      break;
  }
  return decoded;
}

}  // namespace quicmesh
