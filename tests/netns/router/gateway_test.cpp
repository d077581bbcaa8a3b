// The gateway packet by packet. Which of the RFC 4787 behaviours holds is tested with the NAT table
// itself (sim/nat_test.cpp); here it is that the gateway applies it to what is on the wire.
#include "gateway.hpp"

#include "packets_fixture.hpp"

namespace quicmesh::natlab {
namespace {

constexpr std::string_view host = "192.168.1.2:5000";
constexpr std::string_view server = "203.0.113.1:4433";
const Instant start{1h};

GatewayConfig home() {
  GatewayConfig config;
  config.udp.ports = sim::PortAllocation::preserving;
  config.external = {at("198.51.100.1:0").ip};
  config.inner = Network::parse("192.168.1.0/24");
  return config;
}

struct Home {
  explicit Home(GatewayConfig config = home()) : gateway(std::move(config), Rng(7)) {}

  /// "source > destination" as it goes on, or the name of the cause why not.
  std::string pass(Side from, Bytes packet, Instant when = start) {
    auto parsed = IpPacket::parse(packet);
    if (!parsed) return "unreadable";
    const auto to = gateway.pass(when, from, *parsed);
    if (!to) return std::string(name_of(to.error()));
    expect_checksums_right(packet);
    return from_to(packet) + (*to == Side::inner ? " inside" : " outside");
  }
  Gateway gateway;
};

TEST(Gateway, translates_udp_out_and_back) {
  Home home;
  EXPECT_EQ(home.pass(Side::inner, udp(host, server)),
            "198.51.100.1:5000 > 203.0.113.1:4433 outside");
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5000")),
            "203.0.113.1:4433 > 192.168.1.2:5000 inside");
  EXPECT_EQ(home.pass(Side::outer, udp("203.0.113.1:1", "198.51.100.1:5000")), "filtered");
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5001")), "unmapped");
  EXPECT_EQ(home.gateway.dropped(GatewayDrop::filtered), 1U);
}

TEST(Gateway, translates_tcp_and_echo_beside_any_udp_behaviour) {
  GatewayConfig config = home();
  config.blocks_udp = true;
  Home home(config);
  EXPECT_EQ(home.pass(Side::inner, udp(host, server)), "udp_blocked");
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5000")), "udp_blocked");
  EXPECT_EQ(home.pass(Side::inner, tcp(host, server)),
            "198.51.100.1:5000 > 203.0.113.1:4433 outside");
  EXPECT_EQ(home.pass(Side::outer, tcp(server, "198.51.100.1:5000")),
            "203.0.113.1:4433 > 192.168.1.2:5000 inside");
  EXPECT_EQ(home.pass(Side::outer, tcp("203.0.113.9:4433", "198.51.100.1:5000")), "filtered");

  Bytes asked = echo(8, "192.168.1.2", "203.0.113.1", 77);
  auto packet = IpPacket::parse(asked);
  ASSERT_TRUE(home.gateway.pass(start, Side::inner, *packet));
  EXPECT_EQ(home.pass(Side::outer, echo(0, "203.0.113.1", "198.51.100.1", packet->source().port)),
            "203.0.113.1:0 > 192.168.1.2:77 inside");
  EXPECT_EQ(home.pass(Side::outer, echo(8, "203.0.113.1", "198.51.100.1", 77)), "unknown_protocol");
}

TEST(Gateway, lets_tcp_go_to_the_allowed_ports_only) {
  GatewayConfig config = home();
  config.tcp_ports = {443};
  Home home(config);
  EXPECT_EQ(home.pass(Side::inner, tcp(host, "203.0.113.1:443")),
            "198.51.100.1:5000 > 203.0.113.1:443 outside");
  EXPECT_EQ(home.pass(Side::inner, tcp(host, "203.0.113.1:80")), "tcp_blocked");
}

TEST(Gateway, an_icmp_error_reaches_who_caused_it) {
  Home home;
  Bytes sent = udp(host, server);
  auto packet = IpPacket::parse(sent);
  ASSERT_TRUE(home.gateway.pass(start, Side::inner, *packet));
  EXPECT_EQ(home.pass(Side::outer, unreachable("203.0.113.1", "198.51.100.1", sent)),
            "203.0.113.1:0 > 192.168.1.2:0 inside");
  const Bytes other = udp("198.51.100.1:9999", server);
  EXPECT_EQ(home.pass(Side::outer, unreachable("203.0.113.1", "198.51.100.1", other)), "unmapped");
}

TEST(Gateway, hairpins_with_the_external_source_where_it_does_at_all) {
  Home without;
  (void)without.pass(Side::inner, udp(host, server));
  EXPECT_EQ(without.pass(Side::inner, udp("192.168.1.3:6000", "198.51.100.1:5000")),
            "hairpin_refused");

  GatewayConfig config = home();
  config.udp.hairpin = sim::Hairpin::on;
  config.udp.filtering = sim::NatDependence::endpoint_independent;
  Home with(config);
  (void)with.pass(Side::inner, udp(host, server));
  EXPECT_EQ(with.pass(Side::inner, udp("192.168.1.3:6000", "198.51.100.1:5000")),
            "198.51.100.1:6000 > 192.168.1.2:5000 inside");
}

TEST(Gateway, a_rebinding_moves_every_mapping) {
  GatewayConfig config = home();
  config.udp.ports = sim::PortAllocation::random;
  Home home(config);
  const std::string before = home.pass(Side::inner, udp(host, server));
  EXPECT_EQ(home.pass(Side::inner, udp(host, server)), before);
  home.gateway.rebind();
  EXPECT_EQ(home.gateway.udp_mappings(), 0U);
  EXPECT_NE(home.pass(Side::inner, udp(host, server)), before);
}

TEST(Gateway, a_mapping_ends_with_its_lifetime) {
  GatewayConfig config = home();
  config.udp.lifetime = 30s;
  Home home(config);
  (void)home.pass(Side::inner, udp(host, server));
  EXPECT_NE(home.pass(Side::outer, udp(server, "198.51.100.1:5000"), start + 29s), "unmapped");
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5000"), start + 31s), "unmapped");
}

TEST(Gateway, a_sloppy_one_takes_an_early_punch_and_moves_the_hosts_flow) {
  GatewayConfig config = home();
  config.sloppy = true;
  Home home(config);
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5000")), "unmapped");
  // The flow to that remote leaves from a port of its own, and is answered there.
  Bytes moved = udp(host, server);
  auto packet = IpPacket::parse(moved);
  ASSERT_TRUE(home.gateway.pass(start, Side::inner, *packet));
  EXPECT_NE(packet->source().port, 5000);
  EXPECT_EQ(home.pass(Side::outer, udp(server, packet->source().to_string())),
            "203.0.113.1:4433 > 192.168.1.2:5000 inside");
  // What the remote sends on to the foreseen port is the gateway's own, as long as it lasts.
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5000"), start + 20s), "clashed");
  // Other remotes are not concerned.
  EXPECT_EQ(home.pass(Side::inner, udp(host, "203.0.113.2:1")),
            "198.51.100.1:5000 > 203.0.113.2:1 outside");
  EXPECT_EQ(home.pass(Side::inner, udp(host, server), start + 51s),
            "198.51.100.1:5000 > 203.0.113.1:4433 outside");
}

TEST(Gateway, remembers_a_bounded_number_of_clashes) {
  GatewayConfig config = home();
  config.sloppy = true;
  Home home(config);
  for (std::size_t i = 0; i < Gateway::clashes_max + 100; ++i) {
    const std::string flooder =
        "203.0." + std::to_string(i % 250) + "." + std::to_string(i / 250) + ":9";
    EXPECT_EQ(home.pass(Side::outer, udp(flooder, "198.51.100.1:5000")), "unmapped");
  }
  EXPECT_EQ(home.pass(Side::outer, udp("203.0.113.1:4433", "198.51.100.1:5000")), "unmapped");
  EXPECT_EQ(home.pass(Side::inner, udp(host, server)),
            "198.51.100.1:5000 > 203.0.113.1:4433 outside");
}

TEST(Gateway, packets_that_lead_nowhere_end_here) {
  Home home;
  EXPECT_EQ(home.pass(Side::inner, udp(host, "192.168.1.77:1")), "stray");
  EXPECT_EQ(home.pass(Side::inner, udp("10.0.0.1:5000", server)), "stray");
  EXPECT_EQ(home.pass(Side::inner, udp(host, server, "x", 1)), "time_to_live");
  Bytes fragment = udp(host, server);
  fragment[6] = 0x20;
  put16(fragment, 10, 0);
  put16(fragment, 10, complement(internet_sum(ByteView(fragment).first(20))));
  EXPECT_EQ(home.pass(Side::inner, fragment), "fragment");
}

TEST(Gateway, a_denied_remote_is_silence_both_ways_until_it_is_allowed) {
  Home home;
  (void)home.pass(Side::inner, udp(host, server));
  ASSERT_TRUE(home.gateway.deny(at(server).ip));
  EXPECT_EQ(home.pass(Side::inner, udp(host, server)), "denied");
  EXPECT_EQ(home.pass(Side::outer, udp(server, "198.51.100.1:5000")), "denied");
  home.gateway.allow(at(server).ip);
  EXPECT_NE(home.pass(Side::outer, udp(server, "198.51.100.1:5000")), "denied");
}

TEST(Gateway, without_an_external_address_it_only_routes) {
  GatewayConfig config = home();
  config.external.clear();
  config.inner.reset();
  Home router(config);
  EXPECT_EQ(router.pass(Side::inner, udp("198.51.100.7:1", server)),
            "198.51.100.7:1 > 203.0.113.1:4433 outside");
  EXPECT_EQ(router.pass(Side::outer, udp(server, "198.51.100.7:2")),
            "203.0.113.1:4433 > 198.51.100.7:2 inside");
}

TEST(Network, holds_what_is_within_its_bits) {
  const auto network = Network::parse("192.168.1.0/24");
  ASSERT_TRUE(network);
  EXPECT_TRUE(network->contains(at("192.168.1.255:0").ip));
  EXPECT_FALSE(network->contains(at("192.168.2.1:0").ip));
  EXPECT_TRUE(Network::parse("0.0.0.0/0")->contains(at("8.8.8.8:0").ip));
  for (const char* bad : {"192.168.1.0", "192.168.1.0/33", "192.168.1.0/x", "::/8", "/8"})
    EXPECT_FALSE(Network::parse(bad)) << bad;
}

}  // namespace
}  // namespace quicmesh::natlab
