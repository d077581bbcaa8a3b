// Reading and rewriting of packets; every sum is checked against one computed in full.
#include "ip_packet.hpp"

#include "base/rng.hpp"
#include "packets_fixture.hpp"

namespace quicmesh::natlab {
namespace {

TEST(IpPacket, a_known_header_has_the_checksum_of_the_textbook) {
  // The example of the Wikipedia article "Internet checksum": b861.
  const Bytes header = {0x45, 0,    0,    0x73, 0, 0, 0x40, 0,    0x40, 0x11,
                        0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,    0xc7};
  EXPECT_EQ(internet_sum(header), 0xffff);
}

TEST(IpPacket, rewriting_keeps_checksums_right_whatever_the_addresses) {
  Rng rng(1);
  for (int i = 0; i < 2000; ++i) {
    const auto draw = [&] {
      std::array<std::uint8_t, 4> ip{};
      rng.fill(ip);
      return SocketAddress{IpAddress::v4(ip), static_cast<std::uint16_t>(rng.below(65'536))};
    };
    const std::string text(rng.below(5), 'x');
    for (Bytes packet : {udp("192.168.1.2:5000", "203.0.113.1:4433", text),
                         tcp("192.168.1.2:5000", "203.0.113.1:4433", text),
                         echo(8, "192.168.1.2", "203.0.113.1", 77)}) {
      auto parsed = IpPacket::parse(packet);
      ASSERT_TRUE(parsed);
      const SocketAddress source = draw();
      const SocketAddress destination = draw();
      parsed->set_source(source);
      parsed->set_destination(destination);
      ASSERT_TRUE(parsed->cross(3));
      expect_checksums_right(packet);
      ASSERT_EQ(parsed->source(), source);
      ASSERT_EQ(parsed->destination().ip, destination.ip);
    }
  }
}

TEST(IpPacket, a_wrong_checksum_stays_wrong_and_none_stays_none) {
  Bytes damaged = udp("192.168.1.2:5000", "203.0.113.1:4433");
  damaged.back() ^= 1;
  IpPacket::parse(damaged)->set_source(at("198.51.100.1:9"));
  EXPECT_NE(transport_sum(damaged), 0xffff);

  Bytes without = udp("192.168.1.2:5000", "203.0.113.1:4433");
  put16(without, 26, 0);
  IpPacket::parse(without)->set_source(at("198.51.100.1:9"));
  EXPECT_EQ(without[26] << 8 | without[27], 0);
}

TEST(IpPacket, a_time_to_live_that_ends_on_the_way_is_told) {
  Bytes packet = udp("192.168.1.2:5000", "203.0.113.1:4433", "x", 4);
  auto parsed = IpPacket::parse(packet);
  EXPECT_FALSE(parsed->cross(4));
  EXPECT_TRUE(parsed->cross(3));
  EXPECT_FALSE(parsed->cross(1));
}

TEST(IpPacket, an_error_message_is_rewritten_with_its_culprit) {
  const Bytes sent = udp("198.51.100.1:40000", "203.0.113.1:4433");
  Bytes error = unreachable("203.0.113.1", "198.51.100.1", sent);
  auto parsed = IpPacket::parse(error);
  ASSERT_EQ(parsed->kind(), PacketKind::icmp_error);
  auto culprit = parsed->culprit();
  ASSERT_TRUE(culprit);
  EXPECT_EQ(culprit->source(), at("198.51.100.1:40000"));
  culprit->set_source(at("192.168.1.2:5000"));
  parsed->renew_icmp_checksum();
  parsed->set_destination(at("192.168.1.2:0"));
  expect_checksums_right(error);
  EXPECT_EQ(parsed->culprit()->source(), at("192.168.1.2:5000"));
}

TEST(IpPacket, cut_and_garbled_packets_are_refused_or_harmless) {
  const Bytes whole = tcp("192.168.1.2:5000", "203.0.113.1:4433");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_FALSE(IpPacket::parse(cut)) << size;
  }
  Rng rng(2);
  for (int i = 0; i < 20'000; ++i) {
    Bytes noise(rng.below(80));
    rng.fill(noise);
    if (!noise.empty()) noise[0] = static_cast<std::uint8_t>(rng.chance(1, 4) ? 0x60 : 0x45);
    if (noise.size() > 4) put16(noise, 2, static_cast<std::uint32_t>(noise.size()));
    if (noise.size() > 9) noise[9] = std::array<std::uint8_t, 3>{1, 6, 17}[rng.below(3)];
    auto parsed = IpPacket::parse(noise);
    if (!parsed) continue;
    (void)parsed->payload_size();
    (void)parsed->cross(1);
    if (auto culprit = parsed->culprit(); culprit && culprit->family() == IpFamily::v4)
      culprit->set_source(at("192.0.2.1:1"));
    if (parsed->family() == IpFamily::v4) parsed->set_source(at("192.0.2.1:1"));
  }
}

TEST(IpPacket, fragments_are_known_by_flag_and_by_offset) {
  Bytes packet = udp("192.168.1.2:5000", "203.0.113.1:4433");
  EXPECT_FALSE(IpPacket::parse(packet)->is_fragment());
  packet[6] = 0x20;  // more fragments
  EXPECT_TRUE(IpPacket::parse(packet)->is_fragment());
  put16(packet, 6, 100);
  EXPECT_TRUE(IpPacket::parse(packet)->is_fragment());
}

}  // namespace
}  // namespace quicmesh::natlab
