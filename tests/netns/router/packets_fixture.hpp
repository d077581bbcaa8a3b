// Packets for the tests of the router, built and checked byte by byte with sums computed in full,
// unlike the router's own, which change by differences.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string_view>

#include "ip_packet.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::natlab {

inline SocketAddress at(std::string_view text) {
  return SocketAddress::parse(text).value();
}

inline void put16(Bytes& bytes, std::size_t at, std::uint32_t value) {
  bytes[at] = static_cast<std::uint8_t>(value >> 8);
  bytes[at + 1] = static_cast<std::uint8_t>(value);
}

inline std::uint16_t complement(std::uint16_t sum) {
  return static_cast<std::uint16_t>(~sum);
}

/// The sum over the IPv4 pseudo header and what is behind the IP header (RFC 768, RFC 9293 s3.1).
inline std::uint16_t transport_sum(ByteView packet) {
  const ByteView transport = packet.subspan(20);
  const auto start = static_cast<std::uint32_t>(packet[9] + transport.size()) +
                     internet_sum(packet.subspan(12, 8));
  return internet_sum(transport, start);
}

/// An IPv4 packet with a header of 20 bytes around `transport`.
inline Bytes ipv4(std::uint8_t protocol, const IpAddress& source, const IpAddress& destination,
                  ByteView transport, std::uint8_t ttl = 64) {
  Bytes packet(20 + transport.size());
  packet[0] = 0x45;
  put16(packet, 2, static_cast<std::uint32_t>(packet.size()));
  packet[6] = 0x40;  // do not fragment
  packet[8] = ttl;
  packet[9] = protocol;
  for (std::size_t i = 0; i < 4; ++i) {
    packet[12 + i] = source.bytes()[i];
    packet[16 + i] = destination.bytes()[i];
  }
  put16(packet, 10, complement(internet_sum(ByteView(packet).first(20))));
  std::copy(transport.begin(), transport.end(), packet.begin() + 20);
  return packet;
}

inline Bytes udp(std::string_view source, std::string_view destination,
                 std::string_view text = "hello", std::uint8_t ttl = 64) {
  Bytes transport(8);
  put16(transport, 0, at(source).port);
  put16(transport, 2, at(destination).port);
  put16(transport, 4, static_cast<std::uint32_t>(8 + text.size()));
  transport.insert(transport.end(), text.begin(), text.end());
  Bytes packet = ipv4(17, at(source).ip, at(destination).ip, transport, ttl);
  const std::uint16_t checksum = complement(transport_sum(packet));
  put16(packet, 26, checksum == 0 ? 0xffff : checksum);
  return packet;
}

inline Bytes tcp(std::string_view source, std::string_view destination,
                 std::string_view text = "GET /") {
  Bytes transport(20);
  put16(transport, 0, at(source).port);
  put16(transport, 2, at(destination).port);
  transport[12] = 0x50;
  transport.insert(transport.end(), text.begin(), text.end());
  Bytes packet = ipv4(6, at(source).ip, at(destination).ip, transport);
  put16(packet, 36, complement(transport_sum(packet)));
  return packet;
}

/// `type` 8 asks and 0 answers.
inline Bytes echo(std::uint8_t type, std::string_view source, std::string_view destination,
                  std::uint16_t identifier) {
  Bytes transport = {type, 0, 0, 0, 0, 0, 0, 1, 'p', 'i', 'n', 'g'};
  put16(transport, 4, identifier);
  put16(transport, 2, complement(internet_sum(transport)));
  return ipv4(1, IpAddress::parse(source).value(), IpAddress::parse(destination).value(),
              transport);
}

/// "Port unreachable", sent by `source` because of `culprit`.
inline Bytes unreachable(std::string_view source, std::string_view destination, ByteView culprit) {
  Bytes transport = {3, 3, 0, 0, 0, 0, 0, 0};
  transport.insert(transport.end(), culprit.begin(), culprit.begin() + 28);
  put16(transport, 2, complement(internet_sum(transport)));
  return ipv4(1, IpAddress::parse(source).value(), IpAddress::parse(destination).value(),
              transport);
}

inline void expect_checksums_right(ByteView packet) {
  EXPECT_EQ(internet_sum(packet.first(20)), 0xffff) << "IP header";
  if (packet[9] == 1) {
    EXPECT_EQ(internet_sum(packet.subspan(20)), 0xffff) << "ICMP";
  } else {
    EXPECT_EQ(transport_sum(packet), 0xffff) << "transport";
  }
}

inline std::string from_to(ByteView packet) {
  Bytes copy = to_bytes(packet);
  const auto parsed = IpPacket::parse(copy);
  if (!parsed) return "unreadable";
  return parsed->source().to_string() + " > " + parsed->destination().to_string();
}

}  // namespace quicmesh::natlab
