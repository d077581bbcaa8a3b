#include "nat/nat_discovery_judgement.hpp"

#include <gtest/gtest.h>

#include "base/rng.hpp"

namespace quicmesh {
namespace {

using enum NatBehaviour;

SocketAddress endpoint(std::string_view text) {
  return SocketAddress::parse(text).value();
}
MappingSample seen(std::string_view destination, std::uint16_t port) {
  return {endpoint(destination), {endpoint("203.0.113.1:1").ip, port}};
}
std::vector<PortSample> ports(std::vector<int> external, std::uint16_t inner = 50000) {
  std::vector<PortSample> samples;
  for (const int port : external) {
    samples.push_back({inner, {endpoint("203.0.113.1:1").ip, static_cast<std::uint16_t>(port)}});
    inner = static_cast<std::uint16_t>(inner + 7);
  }
  return samples;
}

TEST(JudgeMapping, compares_addresses_and_ports_of_destinations) {
  struct Row {
    std::vector<MappingSample> samples;
    NatBehaviour behaviour;
    bool settled;
  };
  const Row rows[] = {
      {{}, unknown, false},
      {{seen("1.1.1.1:1", 9)}, unknown, false},
      // The same server twice, or two ports of one address, say nothing about addresses.
      {{seen("1.1.1.1:1", 9), seen("1.1.1.1:1", 9)}, unknown, false},
      {{seen("1.1.1.1:1", 9), seen("1.1.1.1:2", 9)}, unknown, false},
      {{seen("1.1.1.1:1", 9), seen("1.1.1.1:2", 8)}, address_and_port_dependent, true},
      {{seen("1.1.1.1:1", 9), seen("2.2.2.2:1", 9)}, endpoint_independent, true},
      {{seen("1.1.1.1:1", 9), seen("2.2.2.2:1", 8)}, address_and_port_dependent, false},
      {{seen("1.1.1.1:1", 9), seen("2.2.2.2:1", 8), seen("2.2.2.2:2", 8)}, address_dependent, true},
      {{seen("1.1.1.1:1", 9), seen("2.2.2.2:1", 8), seen("2.2.2.2:2", 7)},
       address_and_port_dependent,
       true},
      {{seen("1.1.1.1:1", 9), seen("2.2.2.2:1", 9), seen("3.3.3.3:1", 8)},
       address_and_port_dependent,
       false},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(judge_mapping(row.samples), row.behaviour);
    EXPECT_EQ(is_mapping_settled(row.samples), row.settled);
  }
}

TEST(JudgePorts, tells_preserved_sequential_and_random) {
  struct Row {
    std::vector<int> external;
    PortAllocation allocation;
    int delta;
    int confidence;
  };
  using enum PortAllocation;
  const Row rows[] = {
      {{50000, 50007}, PortAllocation::unknown, 0, 0},
      {{50000, 50007, 50014, 50021, 50028}, preserved, 0, 100},
      {{50000, 50007, 1234, 50021, 50028}, preserved, 0, 80},
      {{2000, 2001, 2002, 2003, 2004}, sequential, 1, 100},
      {{2000, 2002, 2004, 2006}, sequential, 2, 100},
      {{2004, 2003, 2002, 2001}, sequential, -1, 100},
      {{65534, 65535, 0, 1}, sequential, 1, 100},
      // The second was lost and came last.
      {{2000, 2002, 2003, 2004, 2001}, sequential, 1, 100},
      // Others use the NAT as well.
      {{2000, 2001, 2005, 2006, 2009}, sequential, 1, 50},
      {{2000, 2003, 2010, 2029}, sequential, 3, 33},
      {{2000, 3000, 4000, 5000}, sequential, 1000, 100},
      {{2000, 30000, 4000, 51000}, random, 0, 100},
      {{2000, 12000, 22000, 32000}, random, 0, 100},
      {{2000, 2000, 2000, 2000}, random, 0, 100},
  };
  for (const Row& row : rows) {
    const PortJudgement judgement = judge_ports(ports(row.external));
    EXPECT_EQ(judgement.allocation, row.allocation) << row.external[0] << " " << row.external[1];
    EXPECT_EQ(judgement.delta, row.delta);
    EXPECT_EQ(judgement.confidence, row.confidence);
  }
}

TEST(JudgePorts, random_ports_are_not_taken_for_a_sequence) {
  Rng rng(1);
  unsigned wrong = 0;
  for (int run = 0; run < 100'000; ++run) {
    std::vector<int> external;
    for (int i = 0; i < 5; ++i)
      external.push_back(static_cast<int>(1024 + rng.below(64'512)));
    wrong += judge_ports(ports(external)).allocation != PortAllocation::random;
  }
  EXPECT_LE(wrong, 2u);
}

TEST(CarrierGrade, is_the_shared_address_space) {
  EXPECT_TRUE(is_carrier_grade(endpoint("100.64.0.1:1").ip));
  EXPECT_TRUE(is_carrier_grade(endpoint("100.127.255.255:1").ip));
  EXPECT_FALSE(is_carrier_grade(endpoint("100.63.0.1:1").ip));
  EXPECT_FALSE(is_carrier_grade(endpoint("100.128.0.1:1").ip));
  EXPECT_FALSE(is_carrier_grade(endpoint("[6440::1]:1").ip));
}

TEST(MergeFamilies, takes_ipv6_from_the_one_and_the_rest_from_the_other) {
  NatProfile v4{.mapping = address_dependent, .ipv6 = Ipv6State::unknown};
  NatProfile v6{.mapping = endpoint_independent,
                .ipv6 = Ipv6State::direct,
                .ipv6_filtering = address_dependent};
  const NatProfile merged = merge_families(v4, v6);
  EXPECT_EQ(merged.mapping, address_dependent);
  EXPECT_EQ(merged.ipv6, Ipv6State::direct);
  EXPECT_EQ(merged.ipv6_filtering, address_dependent);
}

}  // namespace
}  // namespace quicmesh
