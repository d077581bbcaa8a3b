#include "spoofed_packet.hpp"

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/assert.hpp"
#include "base/byte_writer.hpp"
#include "io/sockaddr.hpp"

namespace quicmesh::abuser {
namespace {

constexpr std::size_t ip_header_bytes = 20;
constexpr std::size_t udp_header_bytes = 8;

}  // namespace

SpoofingSocket::SpoofingSocket() : descriptor_(::socket(AF_INET, SOCK_RAW, IPPROTO_RAW)) {
  QM_ASSERT(bool(descriptor_));
}

void SpoofingSocket::send(const SocketAddress& from, const SocketAddress& to, ByteView payload) {
  const auto udp_size = static_cast<std::uint16_t>(udp_header_bytes + payload.size());
  Bytes packet;
  ByteWriter writer(packet);
  writer.u16(0x4500);  // version 4, five words of header
  writer.u16(static_cast<std::uint16_t>(ip_header_bytes + udp_size));
  writer.u32(0);  // no fragment; the kernel fills in the identification
  writer.u8(64);
  writer.u8(IPPROTO_UDP);
  writer.u16(0);  // the kernel's
  writer.bytes(ByteView(from.ip.bytes()).first(4));
  writer.bytes(ByteView(to.ip.bytes()).first(4));
  writer.u16(from.port);
  writer.u16(to.port);
  writer.u16(udp_size);
  writer.u16(0);
  writer.bytes(payload);
  const io::KernelAddress address = io::to_kernel({to.ip, 0});
  const ssize_t sent =
      ::sendto(descriptor_.get(), packet.data(), packet.size(), 0, address.data(), address.size);
  QM_ASSERT(sent == static_cast<ssize_t>(packet.size()));
  ++packets_;
  bytes_ += payload.size();
}

}  // namespace quicmesh::abuser
