#include "sim/nat.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace quicmesh::sim {
namespace {

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}
IpAddress ip(std::string_view text) {
  return IpAddress::parse(text).value();
}
Instant at(Duration offset) {
  return Instant{} + offset;
}

const SocketAddress inner = endpoint("192.168.1.10:5000");
const std::vector<IpAddress> one_address = {ip("203.0.113.1")};

using enum NatDependence;

Nat make_nat(NatConfig config, std::uint64_t seed = 1) {
  return Nat(config, one_address, Rng(seed));
}

// A STUN server with the two addresses and two ports of RFC 5780 s4.
struct BehaviourServer {
  SocketAddress primary = endpoint("198.51.100.1:3478");
  SocketAddress other_port = endpoint("198.51.100.1:3479");
  SocketAddress other_address = endpoint("198.51.100.2:3478");
  SocketAddress other_both = endpoint("198.51.100.2:3479");
};

// RFC 5780 s4.3: tests I to III compare the mapped addresses that three destinations see.
NatDependence probe_mapping(Nat& nat) {
  const BehaviourServer server;
  const auto first = nat.translate_outbound(at(0s), inner, server.primary);
  const auto second = nat.translate_outbound(at(0s), inner, server.other_address);
  if (first == second) return endpoint_independent;
  const auto third = nat.translate_outbound(at(0s), inner, server.other_both);
  return second == third ? address_dependent : address_and_port_dependent;
}

// RFC 5780 s4.4: after one request, from where does an answer get in?
NatDependence probe_filtering(Nat& nat) {
  const BehaviourServer server;
  const SocketAddress fresh = endpoint("192.168.1.10:6000");
  const auto mapped = nat.translate_outbound(at(0s), fresh, server.primary);
  if (nat.translate_inbound(at(0s), mapped, server.other_both)) return endpoint_independent;
  if (nat.translate_inbound(at(0s), mapped, server.other_port)) return address_dependent;
  EXPECT_EQ(nat.translate_inbound(at(0s), mapped, server.primary), fresh);
  return address_and_port_dependent;
}

// S1.33 full cone, S1.34 restricted cone, S1.35 port-restricted cone, S1.36 symmetric.
TEST(Nat, shows_each_of_the_nine_behaviours_to_rfc_5780_probes) {
  struct Row {
    NatDependence mapping;
    NatDependence filtering;
    std::string_view name;
  };
  const Row rows[] = {
      {endpoint_independent, endpoint_independent, "full cone"},
      {endpoint_independent, address_dependent, "restricted cone"},
      {endpoint_independent, address_and_port_dependent, "port-restricted cone"},
      {address_dependent, endpoint_independent, "symmetric"},
      {address_dependent, address_dependent, "symmetric"},
      {address_dependent, address_and_port_dependent, "symmetric"},
      {address_and_port_dependent, endpoint_independent, "symmetric"},
      {address_and_port_dependent, address_dependent, "symmetric"},
      {address_and_port_dependent, address_and_port_dependent, "symmetric"},
  };
  using enum PortAllocation;
  for (const PortAllocation ports : {preserving, sequential, PortAllocation::random}) {
    for (const Row& row : rows) {
      Nat nat = make_nat({.mapping = row.mapping, .filtering = row.filtering, .ports = ports});
      const NatDependence mapping = probe_mapping(nat);
      const NatDependence filtering = probe_filtering(nat);
      EXPECT_EQ(mapping, row.mapping) << row.name;
      EXPECT_EQ(filtering, row.filtering) << row.name;
      EXPECT_EQ(classic_name(mapping, filtering), row.name);
    }
  }
}

TEST(Nat, admits_nothing_before_the_first_outbound_datagram) {
  Nat nat = make_nat({.filtering = endpoint_independent});
  EXPECT_EQ(nat.translate_inbound(at(0s), endpoint("203.0.113.1:5000"), endpoint("9.9.9.9:1")),
            std::unexpected(NatDrop::unmapped));
  EXPECT_EQ(nat.counters().unmapped, 1u);
}

TEST(Nat, counts_what_it_filters) {
  Nat nat = make_nat({.filtering = address_dependent});
  const auto mapped = nat.translate_outbound(at(0s), inner, endpoint("198.51.100.1:1"));
  EXPECT_EQ(nat.translate_inbound(at(0s), mapped, endpoint("198.51.100.9:1")),
            std::unexpected(NatDrop::filtered));
  EXPECT_EQ(nat.counters().filtered, 1u);
}

TEST(Nat, preserves_the_port_unless_another_host_has_it) {
  Nat nat = make_nat({.ports = PortAllocation::preserving});
  const auto remote = endpoint("198.51.100.1:1");
  EXPECT_EQ(nat.translate_outbound(at(0s), inner, remote).port, 5000);
  EXPECT_EQ(nat.translate_outbound(at(0s), endpoint("192.168.1.11:5000"), remote).port, 5001);
  EXPECT_GE(nat.translate_outbound(at(0s), endpoint("192.168.1.11:80"), remote).port, 1024)
      << "well-known ports are not handed out";
}

TEST(Nat, allocates_sequential_ports_with_its_delta) {
  Nat nat = make_nat({.mapping = address_and_port_dependent,
                      .ports = PortAllocation::sequential,
                      .port_delta = 3});
  std::uint16_t last = nat.translate_outbound(at(0s), inner, endpoint("198.51.100.1:1")).port;
  for (std::uint16_t port = 2; port < 200; ++port) {
    const auto mapped = nat.translate_outbound(at(0s), inner, {ip("198.51.100.1"), port});
    const bool wrapped = mapped.port < last;
    EXPECT_TRUE(wrapped || mapped.port == last + 3);
    last = mapped.port;
  }
}

TEST(Nat, allocates_random_ports_without_repeating_one) {
  Nat nat = make_nat({.mapping = address_and_port_dependent});
  std::set<std::uint16_t> ports;
  for (std::uint16_t port = 1; port <= 5000; ++port) {
    ports.insert(nat.translate_outbound(at(0s), inner, {ip("198.51.100.1"), port}).port);
  }
  EXPECT_EQ(ports.size(), 5000u);
  EXPECT_GT(*ports.rbegin() - *ports.begin(), 60'000);
}

TEST(Nat, forgets_a_mapping_after_its_lifetime_without_outbound_traffic) {
  const auto remote = endpoint("198.51.100.1:1");
  Nat nat = make_nat({.lifetime = 30s});
  const auto mapped = nat.translate_outbound(at(0s), inner, remote);
  EXPECT_EQ(nat.translate_outbound(at(29s), inner, remote), mapped) << "refreshed";
  EXPECT_TRUE(nat.translate_inbound(at(58s), mapped, remote)) << "inbound does not refresh";
  EXPECT_FALSE(nat.translate_inbound(at(59s), mapped, remote));
  EXPECT_NE(nat.translate_outbound(at(60s), inner, remote), mapped);
  EXPECT_EQ(nat.counters().mappings_expired, 1u);

  Nat kind = make_nat({.lifetime = 30s, .refresh = NatRefresh::both_ways});
  const auto kept = kind.translate_outbound(at(0s), inner, remote);
  EXPECT_TRUE(kind.translate_inbound(at(29s), kept, remote));
  EXPECT_TRUE(kind.translate_inbound(at(58s), kept, remote));
}

TEST(Nat, forgets_a_permission_even_while_the_mapping_lives) {
  Nat nat = make_nat({.lifetime = 30s});
  const auto early = endpoint("198.51.100.1:1");
  const auto mapped = nat.translate_outbound(at(0s), inner, early);
  EXPECT_EQ(nat.translate_outbound(at(20s), inner, endpoint("198.51.100.2:1")), mapped);
  EXPECT_EQ(nat.translate_inbound(at(40s), mapped, early), std::unexpected(NatDrop::filtered));
  EXPECT_TRUE(nat.translate_inbound(at(40s), mapped, endpoint("198.51.100.2:1")));
}

TEST(Nat, hairpins_with_the_external_source_only_when_it_is_on) {
  const auto neighbour = endpoint("192.168.1.11:6000");
  const auto server = endpoint("198.51.100.1:1");
  Nat nat = make_nat({.filtering = endpoint_independent, .hairpin = Hairpin::on});
  const auto mine = nat.translate_outbound(at(0s), inner, server);
  const auto theirs = nat.translate_outbound(at(0s), neighbour, server);
  const auto turned = nat.hairpin(at(0s), inner, theirs);
  ASSERT_TRUE(turned);
  EXPECT_EQ(turned->source, mine) << "RFC 4787 REQ-9a";
  EXPECT_EQ(turned->destination, neighbour);

  Nat strict = make_nat({.hairpin = Hairpin::on});
  const auto to = strict.translate_outbound(at(0s), neighbour, server);
  EXPECT_EQ(strict.hairpin(at(0s), inner, to).error(), NatDrop::filtered)
      << "filtering holds for hairpinned datagrams too";

  Nat without = make_nat({.hairpin = Hairpin::off});
  EXPECT_EQ(without.hairpin(at(0s), inner, mine).error(), NatDrop::hairpin_refused);
  EXPECT_EQ(without.counters().hairpin_refused, 1u);
}

TEST(Nat, pairs_an_inner_host_with_one_address_of_the_pool) {
  Nat nat({.mapping = address_and_port_dependent},
          {ip("203.0.113.1"), ip("203.0.113.2"), ip("203.0.113.3")}, Rng(1));
  std::set<IpAddress> used;
  for (std::uint8_t host = 1; host < 60; ++host) {
    const SocketAddress source{IpAddress::v4({10, 0, 0, host}), 1000};
    const IpAddress first = nat.translate_outbound(at(0s), source, endpoint("9.9.9.9:1")).ip;
    EXPECT_EQ(nat.translate_outbound(at(0s), source, endpoint("9.9.9.9:2")).ip, first);
    used.insert(first);
  }
  EXPECT_EQ(used.size(), 3u);
}

TEST(Nat, a_forwarded_port_is_open_and_answers_leave_by_it) {
  const auto remote = endpoint("198.51.100.1:1");
  const auto other = endpoint("198.51.100.1:2");
  const auto external = endpoint("203.0.113.1:4433");
  Nat nat = make_nat({.mapping = address_and_port_dependent});
  EXPECT_FALSE(nat.translate_inbound(at(0s), external, remote));
  nat.forward(external, inner);
  EXPECT_EQ(nat.translate_inbound(at(0s), external, remote), inner);
  EXPECT_EQ(nat.translate_outbound(at(0s), inner, remote), external);
  EXPECT_NE(nat.translate_outbound(at(0s), inner, other), external) << "nobody came from there";
  nat.rebind();
  EXPECT_FALSE(nat.translate_inbound(at(0s), external, remote));
}

TEST(Nat, forgets_all_mappings_on_rebind) {
  const auto remote = endpoint("198.51.100.1:1");
  Nat nat = make_nat({.filtering = endpoint_independent});
  const auto before = nat.translate_outbound(at(0s), inner, remote);
  nat.rebind();
  EXPECT_EQ(nat.mappings(), 0u);
  EXPECT_FALSE(nat.translate_inbound(at(0s), before, remote));
  EXPECT_NE(nat.translate_outbound(at(0s), inner, remote), before);
}

TEST(Nat, drops_the_mapping_next_to_expire_when_its_table_is_full) {
  Nat nat = make_nat({.mapping = address_and_port_dependent,
                      .filtering = endpoint_independent,
                      .mappings_max = 100});
  const auto first = nat.translate_outbound(at(0s), inner, {ip("9.9.9.9"), 1});
  const auto second = nat.translate_outbound(at(1s), inner, {ip("9.9.9.9"), 2});
  for (std::uint16_t port = 3; port <= 100; ++port) {
    (void)nat.translate_outbound(at(2s), inner, {ip("9.9.9.9"), port});
  }
  (void)nat.translate_outbound(at(3s), inner, {ip("9.9.9.9"), 1});  // refreshes the first
  (void)nat.translate_outbound(at(4s), inner, {ip("9.9.9.9"), 101});
  EXPECT_EQ(nat.mappings(), 100u);
  EXPECT_EQ(nat.counters().mappings_evicted, 1u);
  EXPECT_TRUE(nat.translate_inbound(at(4s), first, endpoint("8.8.8.8:1")));
  EXPECT_FALSE(nat.translate_inbound(at(4s), second, endpoint("8.8.8.8:1")));
}

TEST(Nat, bounds_the_permissions_of_a_mapping) {
  Nat nat = make_nat({});
  SocketAddress mapped;
  for (std::size_t i = 0; i <= Nat::permissions_max; ++i) {
    mapped = nat.translate_outbound(at(1ms * static_cast<int>(i)), inner,
                                    {ip("9.9.9.9"), static_cast<std::uint16_t>(1 + i)});
  }
  EXPECT_EQ(nat.counters().permissions_evicted, 1u);
  EXPECT_FALSE(nat.translate_inbound(at(2s), mapped, endpoint("9.9.9.9:1"))) << "the oldest went";
  EXPECT_TRUE(nat.translate_inbound(at(2s), mapped, endpoint("9.9.9.9:2")));
}

TEST(Nat, check_refuses_what_cannot_work) {
  EXPECT_TRUE(Nat::check({}, one_address));
  EXPECT_FALSE(Nat::check({}, {}));
  EXPECT_FALSE(Nat::check({.lifetime = 0s}, one_address));
  EXPECT_FALSE(Nat::check({.mappings_max = 0}, one_address));
  EXPECT_FALSE(Nat::check({.mappings_max = 60'000}, one_address));
  EXPECT_FALSE(Nat::check({.port_delta = 0}, one_address));
}

}  // namespace
}  // namespace quicmesh::sim
