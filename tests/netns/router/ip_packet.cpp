// See ip_packet.hpp.
#include "ip_packet.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace quicmesh::natlab {
namespace {

constexpr std::uint8_t protocol_icmp = 1;
constexpr std::uint8_t protocol_tcp = 6;
constexpr std::uint8_t protocol_udp = 17;

constexpr std::size_t v4_header_min = 20;
constexpr std::size_t v4_ttl = 8;
constexpr std::size_t v4_checksum = 10;
constexpr std::size_t v4_source = 12;
constexpr std::size_t v4_destination = 16;
constexpr std::size_t v6_header = 40;
constexpr std::size_t v6_hop_limit = 7;
constexpr std::size_t v6_source = 8;
constexpr std::size_t v6_destination = 24;

constexpr std::size_t udp_header = 8;
constexpr std::size_t tcp_header_min = 20;
constexpr std::size_t icmp_header = 8;
constexpr std::size_t ports_bytes = 4;

constexpr std::uint8_t icmp_echo_reply = 0;
constexpr std::uint8_t icmp_unreachable = 3;
constexpr std::uint8_t icmp_echo_request = 8;
constexpr std::uint8_t icmp_time_exceeded = 11;
constexpr std::uint8_t icmp_parameter_problem = 12;

std::size_t transport_header(PacketKind kind) {
  switch (kind) {
    case PacketKind::udp:
      return udp_header;
    case PacketKind::tcp:
      return tcp_header_min;
    case PacketKind::echo_request:
    case PacketKind::echo_reply:
    case PacketKind::icmp_error:
      return icmp_header;
    case PacketKind::other:
      break;
  }
  return 0;
}

}  // namespace

std::uint16_t internet_sum(ByteView bytes, std::uint32_t start) {
  std::uint64_t sum = start;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2)
    sum += static_cast<std::uint32_t>(bytes[i] << 8 | bytes[i + 1]);
  if (bytes.size() % 2 == 1) sum += static_cast<std::uint32_t>(bytes.back() << 8);
  while (sum > 0xffff)
    sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

std::optional<IpPacket> IpPacket::parse(MutableByteView bytes, Extent extent) {
  if (bytes.empty()) return std::nullopt;
  const bool is_v4 = bytes[0] >> 4 == 4;
  if (!is_v4 && bytes[0] >> 4 != 6) return std::nullopt;
  const std::size_t header = is_v4 ? (bytes[0] & 0x0fU) * 4U : v6_header;
  if (header < v4_header_min || bytes.size() < header) return std::nullopt;

  IpPacket packet(bytes, is_v4 ? IpFamily::v4 : IpFamily::v6, header);
  const std::size_t total = is_v4 ? packet.read16(2) : packet.read16(4) + v6_header;
  if (total < header) return std::nullopt;
  if (total > bytes.size() && extent == Extent::whole) return std::nullopt;
  packet.bytes_ = bytes.first(std::min(total, bytes.size()));
  // More fragments, or an offset: the ports are in the first fragment only.
  packet.is_fragment_ = is_v4 && (packet.read16(6) & 0x3fff) != 0;
  packet.read_kind(bytes[is_v4 ? 9 : 6]);
  const std::size_t needed =
      extent == Extent::whole ? transport_header(packet.kind_) : std::size_t{icmp_header};
  if (packet.kind_ != PacketKind::other && packet.bytes_.size() < header + needed)
    return std::nullopt;
  return packet;
}

void IpPacket::read_kind(std::uint8_t protocol) {
  if (is_fragment_) return;
  if (protocol == protocol_udp) kind_ = PacketKind::udp;
  if (protocol == protocol_tcp) kind_ = PacketKind::tcp;
  if (protocol != protocol_icmp || family_ != IpFamily::v4 || bytes_.size() <= header_) return;
  switch (bytes_[header_]) {
    case icmp_echo_request:
      kind_ = PacketKind::echo_request;
      break;
    case icmp_echo_reply:
      kind_ = PacketKind::echo_reply;
      break;
    case icmp_unreachable:
    case icmp_time_exceeded:
    case icmp_parameter_problem:
      kind_ = PacketKind::icmp_error;
      break;
    default:
      break;
  }
}

std::size_t IpPacket::payload_size() const {
  std::size_t headers = header_ + transport_header(kind_);
  if (kind_ == PacketKind::tcp) headers = header_ + (bytes_[header_ + 12] >> 4) * 4U;
  return bytes_.size() - std::min(bytes_.size(), headers);
}

std::uint16_t IpPacket::read16(std::size_t at) const {
  return static_cast<std::uint16_t>(bytes_[at] << 8 | bytes_[at + 1]);
}

void IpPacket::write16(std::size_t at, std::uint16_t value) {
  bytes_[at] = static_cast<std::uint8_t>(value >> 8);
  bytes_[at + 1] = static_cast<std::uint8_t>(value);
}

IpAddress IpPacket::address_at(std::size_t at) const {
  if (family_ == IpFamily::v4) {
    std::array<std::uint8_t, 4> v4{};
    std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at), v4.size(), v4.begin());
    return IpAddress::v4(v4);
  }
  std::array<std::uint8_t, 16> v6{};
  std::copy_n(bytes_.begin() + static_cast<std::ptrdiff_t>(at), v6.size(), v6.begin());
  return IpAddress::v6(v6);
}

std::optional<std::size_t> IpPacket::source_port() const {
  if (kind_ == PacketKind::udp || kind_ == PacketKind::tcp) return header_;
  if (kind_ == PacketKind::echo_request) return header_ + 4;
  return std::nullopt;
}

std::optional<std::size_t> IpPacket::destination_port() const {
  if (kind_ == PacketKind::udp || kind_ == PacketKind::tcp) return header_ + 2;
  if (kind_ == PacketKind::echo_reply) return header_ + 4;
  return std::nullopt;
}

SocketAddress IpPacket::source() const {
  const auto port = source_port();
  return {address_at(family_ == IpFamily::v4 ? v4_source : v6_source),
          port ? read16(*port) : std::uint16_t{0}};
}

SocketAddress IpPacket::destination() const {
  const auto port = destination_port();
  return {address_at(family_ == IpFamily::v4 ? v4_destination : v6_destination),
          port ? read16(*port) : std::uint16_t{0}};
}

void IpPacket::set_source(const SocketAddress& address) {
  set_address(v4_source, address.ip);
  if (const auto port = source_port()) set_port(*port, address.port);
}

void IpPacket::set_destination(const SocketAddress& address) {
  set_address(v4_destination, address.ip);
  if (const auto port = destination_port()) set_port(*port, address.port);
}

std::optional<std::size_t> IpPacket::transport_checksum() const {
  std::size_t at = header_;
  if (kind_ == PacketKind::udp) {
    at += 6;
  } else if (kind_ == PacketKind::tcp) {
    at += 16;
  } else if (kind_ == PacketKind::echo_request || kind_ == PacketKind::echo_reply) {
    at += 2;
  } else {
    return std::nullopt;
  }
  // The beginning of a TCP packet may end before it.
  if (at + 2 > bytes_.size()) return std::nullopt;
  if (kind_ == PacketKind::udp && read16(at) == 0) return std::nullopt;
  return at;
}

void IpPacket::adjust_checksum(std::size_t at, std::uint16_t before, std::uint16_t after) {
  // RFC 1624 eq. 3: HC' = ~(~HC + ~m + m').
  std::uint32_t sum = static_cast<std::uint16_t>(~read16(at));
  sum += static_cast<std::uint16_t>(~before);
  sum += after;
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  auto checksum = static_cast<std::uint16_t>(~sum);
  // RFC 768: a computed zero is sent as all ones.
  if (kind_ == PacketKind::udp && at != v4_checksum && checksum == 0) checksum = 0xffff;
  write16(at, checksum);
}

void IpPacket::set_address(std::size_t at, const IpAddress& address) {
  QM_ASSERT(family_ == IpFamily::v4 && address.family() == IpFamily::v4);
  const bool in_pseudo_header = kind_ == PacketKind::udp || kind_ == PacketKind::tcp;
  const auto checksum = in_pseudo_header ? transport_checksum() : std::nullopt;
  for (std::size_t i = 0; i < 4; i += 2) {
    const std::uint16_t before = read16(at + i);
    const auto after = static_cast<std::uint16_t>(address.bytes()[i] << 8 | address.bytes()[i + 1]);
    write16(at + i, after);
    adjust_checksum(v4_checksum, before, after);
    if (checksum) adjust_checksum(*checksum, before, after);
  }
}

void IpPacket::set_port(std::size_t at, std::uint16_t port) {
  const std::uint16_t before = read16(at);
  const auto checksum = transport_checksum();
  write16(at, port);
  if (checksum) adjust_checksum(*checksum, before, port);
}

bool IpPacket::cross(unsigned hops) {
  const std::size_t at = family_ == IpFamily::v4 ? v4_ttl : v6_hop_limit;
  if (bytes_[at] <= hops) return false;
  if (family_ == IpFamily::v6) {
    bytes_[at] = static_cast<std::uint8_t>(bytes_[at] - hops);
    return true;
  }
  const std::uint16_t before = read16(at);  // with the protocol number, which stays
  bytes_[at] = static_cast<std::uint8_t>(bytes_[at] - hops);
  adjust_checksum(v4_checksum, before, read16(at));
  return true;
}

std::optional<IpPacket> IpPacket::culprit() const {
  if (kind_ != PacketKind::icmp_error) return std::nullopt;
  return parse(bytes_.subspan(header_ + icmp_header), Extent::beginning);
}

void IpPacket::renew_icmp_checksum() {
  write16(header_ + 2, 0);
  write16(header_ + 2, static_cast<std::uint16_t>(~internet_sum(bytes_.subspan(header_))));
}

}  // namespace quicmesh::natlab
