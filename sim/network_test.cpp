#include "sim/network.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}
SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}
AccessConfig access(Duration delay) {
  return {{.delay = delay}, {.delay = delay}};
}

struct Arrival {
  HostId host;
  Duration at;
  SocketAddress source;
  SocketAddress destination;
  Bytes payload;
};

// A network driven by hand, without hosts' programs.
class NetworkTest : public testing::Test {
 protected:
  HostId add_host(const std::string& name) { return network_.add_host(name).value(); }
  InterfaceId add_interface(HostId host, const std::string& name, std::string_view address,
                            Duration delay, RealmId realm = internet) {
    return network_
        .add_interface(
            host, {.name = name, .realm = realm, .address = ip(address), .access = access(delay)})
        .value();
  }
  NatId add_nat(const std::string& name, std::string_view address, NatConfig behaviour = {},
                RealmId outside = internet) {
    return network_
        .add_nat({.name = name,
                  .outside = outside,
                  .addresses = {ip(address)},
                  .behaviour = behaviour,
                  .access = access(1ms)})
        .value();
  }
  void send(HostId host, std::string_view source, std::string_view destination,
            std::string_view text = "hello") {
    network_.send(now_, host, endpoint(source), endpoint(destination), Ecn::ect0, as_bytes(text));
  }
  // Runs until nothing is under way; what arrived.
  std::vector<Arrival> settle() {
    std::vector<Arrival> arrivals;
    while (!queue_.empty()) {
      const auto entry = queue_.pop();
      now_ = entry.at;
      const auto delivery = network_.handle(now_, entry.payload);
      if (!delivery) continue;
      const Packet& packet = network_.packet(delivery->packet);
      arrivals.push_back(
          {delivery->host, now_ - Instant{}, packet.source, packet.destination, packet.payload});
      network_.release(delivery->packet);
    }
    EXPECT_EQ(network_.packets_under_way(), 0u);
    return arrivals;
  }
  std::uint64_t dropped(DropCause cause) { return network_.counters().dropped_for(cause); }

  SimulationQueue queue_;
  Trace trace_{Instant{}};
  Network network_{queue_, trace_, Rng(1)};
  Instant now_{};
};

TEST_F(NetworkTest, carries_a_datagram_over_both_access_links) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  add_interface(a, "if", "192.0.2.1", 3ms);
  add_interface(b, "if", "192.0.2.2", 4ms);
  send(a, "0.0.0.0:1000", "192.0.2.2:2000");
  const auto arrivals = settle();
  ASSERT_EQ(arrivals.size(), 1u);
  EXPECT_EQ(arrivals[0].host, b);
  EXPECT_EQ(arrivals[0].at, 7ms);
  EXPECT_EQ(arrivals[0].source, endpoint("192.0.2.1:1000"));
  EXPECT_EQ(arrivals[0].destination, endpoint("192.0.2.2:2000"));
  EXPECT_EQ(as_text(arrivals[0].payload), "hello");
  EXPECT_EQ(network_.counters().delivered, 1u);
}

TEST_F(NetworkTest, takes_the_explicit_path_of_a_pair_instead_of_the_access_links) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  const auto a0 = add_interface(a, "relay", "192.0.2.1", 10ms);
  const auto b0 = add_interface(b, "relay", "192.0.2.2", 10ms);
  const auto a1 = add_interface(a, "direct", "198.51.100.1", 10ms);
  const auto b1 = add_interface(b, "direct", "198.51.100.2", 10ms);
  ASSERT_TRUE(network_.set_path(network_.attachment_of(a0), network_.attachment_of(b0),
                                {.delay = 20ms}, {.delay = 25ms}));
  ASSERT_TRUE(network_.set_path(network_.attachment_of(a1), network_.attachment_of(b1),
                                {.delay = 3ms}, {.delay = 3ms}));
  send(a, "192.0.2.1:1", "192.0.2.2:1");
  EXPECT_EQ(settle().at(0).at, 20ms);
  now_ = Instant{1s};
  send(b, "192.0.2.2:1", "192.0.2.1:1");
  EXPECT_EQ(settle().at(0).at, 1s + 25ms);
  now_ = Instant{2s};
  send(a, "198.51.100.1:1", "198.51.100.2:1");
  EXPECT_EQ(settle().at(0).at, 2s + 3ms);
  now_ = Instant{3s};
  send(a, "192.0.2.1:1", "198.51.100.2:1");  // a pair without a path of its own
  EXPECT_EQ(settle().at(0).at, 3s + 20ms);
}

TEST_F(NetworkTest, chooses_a_source_of_the_right_family_that_is_up) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  const auto first = add_interface(a, "v4", "192.0.2.1", 1ms);
  add_interface(a, "v4b", "192.0.2.9", 1ms);
  add_interface(a, "v6", "2001:db8::1", 1ms);
  add_interface(b, "v4", "192.0.2.2", 1ms);
  add_interface(b, "v6", "2001:db8::2", 1ms);
  send(a, "[::]:1", "[2001:db8::2]:1");
  EXPECT_EQ(settle().at(0).source.ip, ip("2001:db8::1"));
  send(a, "0.0.0.0:1", "192.0.2.2:1");
  EXPECT_EQ(settle().at(0).source.ip, ip("192.0.2.1"));
  network_.set_interface_state(first, InterfaceState::down);
  send(a, "0.0.0.0:1", "192.0.2.2:1");
  EXPECT_EQ(settle().at(0).source.ip, ip("192.0.2.9"));
  send(a, "192.0.2.1:1", "192.0.2.2:1");
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::interface_down), 1u);
  send(a, "192.0.2.77:1", "192.0.2.2:1");
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::bad_source), 1u);
  send(a, "192.0.2.9:1", "[2001:db8::2]:1");
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::bad_source), 2u);
}

TEST_F(NetworkTest, prefers_the_interface_whose_realm_knows_the_destination) {
  const NatId home = add_nat("home", "203.0.113.1");
  const HostId a = add_host("a");
  add_interface(a, "public", "192.0.2.1", 1ms);
  add_interface(a, "lan", "192.168.1.1", 1ms, network_.inside(home));
  const HostId printer = add_host("printer");
  add_interface(printer, "lan", "192.168.1.2", 1ms, network_.inside(home));
  send(a, "0.0.0.0:1", "192.168.1.2:1");
  EXPECT_EQ(settle().at(0).source.ip, ip("192.168.1.1"));
}

TEST_F(NetworkTest, delivers_to_oneself_without_a_link) {
  const HostId a = add_host("a");
  add_interface(a, "if", "192.0.2.1", 3ms);
  const NatId home = add_nat("home", "203.0.113.1");
  add_interface(a, "lan", "192.168.1.1", 3ms, network_.inside(home));
  send(a, "192.0.2.1:1", "192.168.1.1:2");
  const auto arrivals = settle();
  ASSERT_EQ(arrivals.size(), 1u);
  EXPECT_EQ(arrivals[0].host, a);
  EXPECT_EQ(arrivals[0].at, 0ms);
}

TEST_F(NetworkTest, translates_out_and_back_through_a_nat) {
  const NatId home = add_nat("home", "203.0.113.1");
  const HostId inner = add_host("inner");
  const HostId server = add_host("server");
  add_interface(inner, "lan", "192.168.1.2", 2ms, network_.inside(home));
  add_interface(server, "if", "198.51.100.1", 5ms);
  send(inner, "0.0.0.0:1000", "198.51.100.1:53");
  const auto there = settle();
  ASSERT_EQ(there.size(), 1u);
  EXPECT_EQ(there[0].at, 2ms + 1ms + 5ms) << "LAN, the NAT's line, the server's";
  EXPECT_EQ(there[0].source.ip, ip("203.0.113.1"));
  network_.send(now_, server, there[0].destination, there[0].source, Ecn::not_ect, as_bytes("x"));
  const auto back = settle();
  ASSERT_EQ(back.size(), 1u);
  EXPECT_EQ(back[0].host, inner);
  EXPECT_EQ(back[0].destination, endpoint("192.168.1.2:1000"));
  EXPECT_EQ(back[0].source, endpoint("198.51.100.1:53"));

  network_.rebind_nat(home);
  network_.send(now_, server, there[0].destination, there[0].source, Ecn::not_ect, as_bytes("x"));
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::nat_unmapped), 1u);
}

TEST_F(NetworkTest, filters_strangers_at_a_nat) {
  const NatId home = add_nat("home", "203.0.113.1");
  const HostId inner = add_host("inner");
  const HostId server = add_host("server");
  add_interface(inner, "lan", "192.168.1.2", 2ms, network_.inside(home));
  add_interface(server, "if", "198.51.100.1", 5ms);
  send(inner, "0.0.0.0:1000", "198.51.100.1:53");
  const auto mapped = settle().at(0).source;
  network_.send(now_, server, endpoint("198.51.100.1:54"), mapped, Ecn::not_ect, as_bytes("x"));
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::nat_filtered), 1u);
}

// S1.36: a CGNAT is a NAT behind a NAT.
TEST_F(NetworkTest, nests_nats_and_hairpins_at_the_carrier_only_if_it_does) {
  for (const Hairpin hairpin : {Hairpin::off, Hairpin::on}) {
    const std::string tag = hairpin == Hairpin::on ? "1" : "0";
    const NatConfig open{.filtering = NatDependence::endpoint_independent, .hairpin = hairpin};
    const NatId carrier = add_nat("carrier" + tag, "203.0.113." + tag, open);
    const NatId home1 = add_nat("home1" + tag, "100.64.0.1", open, network_.inside(carrier));
    const NatId home2 = add_nat("home2" + tag, "100.64.0.2", open, network_.inside(carrier));
    const HostId one = add_host("one" + tag);
    const HostId two = add_host("two" + tag);
    const HostId server = add_host("server" + tag);
    // Both homes use the same addresses.
    add_interface(one, "lan", "192.168.1.2", 1ms, network_.inside(home1));
    add_interface(two, "lan", "192.168.1.2", 1ms, network_.inside(home2));
    add_interface(server, "if", "198.51.100.1" + tag, 1ms);
    const std::string stun = "198.51.100.1" + tag + ":3478";
    send(one, "0.0.0.0:1000", stun);
    const auto mapped_one = settle().at(0).source;
    send(two, "0.0.0.0:1000", stun);
    const auto mapped_two = settle().at(0).source;
    EXPECT_EQ(mapped_one.ip, mapped_two.ip);
    EXPECT_NE(mapped_one.port, mapped_two.port);

    send(one, "0.0.0.0:1000", mapped_two.to_string());
    const auto arrivals = settle();
    if (hairpin == Hairpin::off) {
      EXPECT_TRUE(arrivals.empty());
      EXPECT_EQ(dropped(DropCause::nat_hairpin), 1u);
    } else {
      ASSERT_EQ(arrivals.size(), 1u);
      EXPECT_EQ(arrivals[0].host, two);
      EXPECT_EQ(arrivals[0].source, mapped_one);
    }
  }
}

TEST_F(NetworkTest, drops_what_has_no_route) {
  const HostId a = add_host("a");
  add_interface(a, "if", "192.0.2.1", 1ms);
  const NatId home = add_nat("home", "203.0.113.1");
  add_interface(add_host("inner"), "lan", "192.168.1.2", 1ms, network_.inside(home));
  send(a, "0.0.0.0:1", "192.168.1.2:1");
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::no_route), 1u);
}

TEST_F(NetworkTest, loses_the_address_that_an_interface_gives_up) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  add_interface(a, "if", "192.0.2.1", 5ms);
  const auto moving = add_interface(b, "if", "192.0.2.2", 5ms);
  send(a, "0.0.0.0:1", "192.0.2.2:1");
  (void)network_.handle(Instant{5ms}, queue_.pop().payload);  // at the core; now on b's line
  ASSERT_TRUE(network_.change_address(moving, ip("192.0.2.3")));
  EXPECT_TRUE(settle().empty());
  send(a, "0.0.0.0:1", "192.0.2.2:1");
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::no_route), 2u);
  send(a, "0.0.0.0:1", "192.0.2.3:1");
  EXPECT_EQ(settle().size(), 1u);
  EXPECT_EQ(network_.change_address(moving, ip("192.0.2.1")).error(), SimErrc::address_in_use);
  EXPECT_EQ(network_.poll_interface_change(), moving);
  EXPECT_EQ(network_.poll_interface_change(), std::nullopt);
}

TEST_F(NetworkTest, renumbers_a_nat) {
  const NatId home = add_nat("home", "203.0.113.1");
  const HostId inner = add_host("inner");
  add_interface(inner, "lan", "192.168.1.2", 2ms, network_.inside(home));
  add_interface(add_host("server"), "if", "198.51.100.1", 5ms);
  EXPECT_EQ(network_.renumber_nat(home, {ip("198.51.100.1")}).error(), SimErrc::address_in_use);
  ASSERT_TRUE(network_.renumber_nat(home, {ip("203.0.113.9")}));
  send(inner, "0.0.0.0:1000", "198.51.100.1:53");
  EXPECT_EQ(settle().at(0).source.ip, ip("203.0.113.9"));
}

TEST_F(NetworkTest, blackholes_one_direction_only) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  const auto interface = add_interface(a, "if", "192.0.2.1", 1ms);
  add_interface(b, "if", "192.0.2.2", 1ms);
  const auto links = network_.access_links(network_.attachment_of(interface));
  network_.set_link_state(links.down, LinkState::blackhole);
  send(a, "0.0.0.0:1", "192.0.2.2:1");
  EXPECT_EQ(settle().size(), 1u);
  send(b, "0.0.0.0:1", "192.0.2.1:1");
  EXPECT_TRUE(settle().empty());
  EXPECT_EQ(dropped(DropCause::blackhole), 1u);
  network_.heal();
  send(b, "0.0.0.0:1", "192.0.2.1:1");
  EXPECT_EQ(settle().size(), 1u);
}

// E8: partition, also asymmetric (A hears B, not back).
TEST_F(NetworkTest, partitions_an_island_in_each_way) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  const HostId c = add_host("c");
  const auto island = add_interface(a, "if", "192.0.2.1", 1ms);
  const auto path_end = add_interface(b, "if", "192.0.2.2", 1ms);
  add_interface(c, "if", "192.0.2.3", 1ms);
  ASSERT_TRUE(
      network_.set_path(network_.attachment_of(island), network_.attachment_of(path_end), {}, {}));
  auto count = [&](HostId from, std::string_view to) {
    send(from, "0.0.0.0:1", to);
    return settle().size();
  };
  network_.partition({network_.attachment_of(island)}, Cut::both_ways);
  EXPECT_EQ(count(a, "192.0.2.2:1"), 0u) << "explicit path";
  EXPECT_EQ(count(a, "192.0.2.3:1"), 0u) << "access links";
  EXPECT_EQ(count(c, "192.0.2.1:1"), 0u);
  EXPECT_EQ(count(c, "192.0.2.2:1"), 1u) << "the mainland is one";
  EXPECT_EQ(dropped(DropCause::partition), 3u);
  network_.partition({network_.attachment_of(island)}, Cut::from_island);
  EXPECT_EQ(count(a, "192.0.2.3:1"), 0u);
  EXPECT_EQ(count(c, "192.0.2.1:1"), 1u);
  network_.partition({network_.attachment_of(island)}, Cut::to_island);
  EXPECT_EQ(count(a, "192.0.2.3:1"), 1u);
  EXPECT_EQ(count(c, "192.0.2.1:1"), 0u);
  network_.heal();
  EXPECT_EQ(count(c, "192.0.2.1:1"), 1u);
}

TEST_F(NetworkTest, counts_ip_and_udp_headers_in_the_mtu) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  add_interface(a, "v4", "192.0.2.1", 1ms);
  add_interface(b, "v4", "192.0.2.2", 1ms);
  add_interface(a, "v6", "2001:db8::1", 1ms);
  add_interface(b, "v6", "2001:db8::2", 1ms);
  auto fits = [&](std::string_view to, std::size_t size) {
    send(a, endpoint(to).ip.family() == IpFamily::v4 ? "0.0.0.0:1" : "[::]:1", to,
         std::string(size, 'x'));
    return settle().size() == 1;
  };
  EXPECT_TRUE(fits("192.0.2.2:1", 1472));
  EXPECT_FALSE(fits("192.0.2.2:1", 1473));
  EXPECT_TRUE(fits("[2001:db8::2]:1", 1452));
  EXPECT_FALSE(fits("[2001:db8::2]:1", 1453));
  EXPECT_EQ(dropped(DropCause::too_big), 2u);
}

// E7: duplicates and flipped bits reach the receiver as such.
TEST_F(NetworkTest, delivers_duplicates_and_a_single_flipped_bit) {
  const HostId a = add_host("a");
  const HostId b = add_host("b");
  const LinkConfig noisy{.duplicate = {1, 1}, .bit_flip = {1, 1}};
  (void)network_.add_interface(a, {.name = "if", .address = ip("192.0.2.1"), .access = {noisy, {}}})
      .value();
  add_interface(b, "if", "192.0.2.2", 1ms);
  send(a, "0.0.0.0:1", "192.0.2.2:1", "aaaaaaaa");
  const auto arrivals = settle();
  ASSERT_EQ(arrivals.size(), 2u);
  int flipped = 0;
  for (const Arrival& arrival : arrivals) {
    for (const std::uint8_t byte : arrival.payload)
      flipped += std::popcount(byte ^ unsigned{'a'});
  }
  EXPECT_EQ(flipped, 1) << "the original is damaged, its copy is not";
}

TEST_F(NetworkTest, refuses_names_and_addresses_that_are_taken) {
  const HostId a = add_host("a");
  add_interface(a, "if", "192.0.2.1", 1ms);
  EXPECT_EQ(network_.add_host("a").error(), SimErrc::duplicate_name);
  EXPECT_EQ(network_.add_interface(a, {.name = "if", .address = ip("192.0.2.8")}).error(),
            SimErrc::duplicate_name);
  EXPECT_EQ(network_.add_interface(a, {.name = "if2", .address = ip("192.0.2.1")}).error(),
            SimErrc::address_in_use);
  EXPECT_EQ(network_.add_nat({.name = "n", .addresses = {}}).error(), SimErrc::bad_nat);
  EXPECT_EQ(network_.add_nat({.name = "a", .addresses = {ip("9.9.9.9")}}).error(),
            SimErrc::duplicate_name);
  EXPECT_EQ(network_
                .add_interface(
                    a, {.name = "x", .address = ip("192.0.2.9"), .access = {{.mtu_bytes = 0}, {}}})
                .error(),
            SimErrc::bad_link);
  EXPECT_EQ(network_.find_interface("a.if"), InterfaceId{0});
  EXPECT_EQ(network_.find_interface("a.nope"), std::nullopt);
}

}  // namespace
}  // namespace quicmesh::sim
