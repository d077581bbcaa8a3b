#include "base/address_codec.hpp"

namespace quicmesh {

void write_address(ByteWriter& writer, const SocketAddress& address) {
  const bool is_v4 = address.ip.family() == IpFamily::v4;
  writer.u8(is_v4 ? 4 : 6);
  writer.bytes(ByteView(address.ip.bytes()).first(is_v4 ? 4 : 16));
  writer.u16(address.port);
}

SocketAddress read_address(ByteReader& reader) {
  SocketAddress address;
  switch (reader.u8()) {
    case 4:
      address.ip = IpAddress::v4(reader.array<4>());
      break;
    case 6:
      address.ip = IpAddress::v6(reader.array<16>());
      if (address.ip.family() != IpFamily::v6) reader.fail(BaseErrc::out_of_range);
      break;
    default:
      reader.fail(BaseErrc::out_of_range);
  }
  address.port = reader.u16();
  return address;
}

}  // namespace quicmesh
