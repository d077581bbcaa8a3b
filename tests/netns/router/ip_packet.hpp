// An IP packet in a buffer, as a router needs it: who sends to whom, and rewriting of either end
// with checksums that stay right.
//
// IPv4 (RFC 791) and IPv6 (RFC 8200) without extension headers; UDP, TCP and ICMP echo have
// endpoints (of an echo the identifier is the asking side's port, RFC 5508 s3). Rewriting changes a
// checksum by the difference only (RFC 1624 eq. 3), so one that arrived wrong leaves wrong, and a
// damaged packet is not made good. A UDP checksum of zero means "none" and stays zero
// (RFC 768).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "quicmesh/bytes.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::natlab {

enum class PacketKind : std::uint8_t { udp, tcp, echo_request, echo_reply, icmp_error, other };

/// Of an error message of ICMP only the beginning of the packet that caused it is there.
enum class Extent : std::uint8_t { whole, beginning };

class IpPacket {
 public:
  /// Borrows `bytes`; trims what is behind the packet. Nothing if the headers are not all there,
  /// or if the packet is not, unless only its beginning is asked for.
  static std::optional<IpPacket> parse(MutableByteView bytes, Extent extent = Extent::whole);

  [[nodiscard]] IpFamily family() const { return family_; }
  [[nodiscard]] PacketKind kind() const { return kind_; }
  [[nodiscard]] bool is_fragment() const { return is_fragment_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  /// Behind the IP and UDP, TCP or ICMP header.
  [[nodiscard]] std::size_t payload_size() const;

  /// The port is 0 where the kind has none at that end.
  [[nodiscard]] SocketAddress source() const;
  [[nodiscard]] SocketAddress destination() const;
  /// The port is left alone where the kind has none at that end. IPv4 only.
  void set_source(const SocketAddress& address);
  void set_destination(const SocketAddress& address);

  /// Takes `hops` from the time to live; false, and unchanged, if the packet does not survive them.
  bool cross(unsigned hops);

  /// Of an error message of ICMPv4: the packet that caused it, as it left here.
  [[nodiscard]] std::optional<IpPacket> culprit() const;
  /// After the culprit was rewritten: computes the checksum of the message anew.
  void renew_icmp_checksum();

 private:
  IpPacket(MutableByteView bytes, IpFamily family, std::size_t header)
      : bytes_(bytes), family_(family), header_(header) {}

  void read_kind(std::uint8_t protocol);
  [[nodiscard]] std::uint16_t read16(std::size_t at) const;
  void write16(std::size_t at, std::uint16_t value);
  [[nodiscard]] IpAddress address_at(std::size_t at) const;
  void set_address(std::size_t at, const IpAddress& address);
  void set_port(std::size_t at, std::uint16_t port);
  void adjust_checksum(std::size_t at, std::uint16_t before, std::uint16_t after);
  [[nodiscard]] std::optional<std::size_t> transport_checksum() const;
  [[nodiscard]] std::optional<std::size_t> source_port() const;
  [[nodiscard]] std::optional<std::size_t> destination_port() const;

  MutableByteView bytes_;
  IpFamily family_;
  std::size_t header_;  // bytes of the IP header
  PacketKind kind_ = PacketKind::other;
  bool is_fragment_ = false;
};

/// The ones' complement sum of RFC 1071 over `bytes`, folded, not complemented.
[[nodiscard]] std::uint16_t internet_sum(ByteView bytes, std::uint32_t start = 0);

}  // namespace quicmesh::natlab
