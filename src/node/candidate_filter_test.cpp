// Which claimed addresses are probed (THREATS TQ9, TR2), as a table.
#include "node/candidate_filter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

namespace quicmesh {
namespace {

SocketAddress address(std::string_view text) {
  return SocketAddress::parse(text).value();
}

class CandidateFilter : public testing::Test {
 protected:
  CandidateFilter() {
    endpoints = {{SocketId{0}, {}, address("192.168.1.2:4433")},
                 {SocketId{0}, {}, address("127.0.0.1:4433")},
                 {SocketId{1}, IpAddress::any(IpFamily::v6), address("[fd00:1::2]:4433")}};
    context.endpoints = endpoints;
    context.observed = {address("8.8.8.8:50000")};
  }

  bool probes(std::string_view text, CandidateKind kind = CandidateKind::host,
              std::optional<std::string_view> their_public = "8.8.8.8:50001") {
    std::vector<Candidate> told{{kind, address(text)}};
    if (their_public) told.push_back({CandidateKind::server_reflexive, address(*their_public)});
    const auto usable = usable_candidates(told, context);
    return std::ranges::any_of(usable, [&](const Candidate& one) { return one == told[0]; });
  }

  std::vector<LocalEndpoint> endpoints;
  CandidateContext context;
};

TEST_F(CandidateFilter, public_addresses_are_probed) {
  EXPECT_TRUE(probes("9.9.9.9:4433"));
  EXPECT_TRUE(probes("9.9.9.9:1024", CandidateKind::server_reflexive));
  EXPECT_TRUE(probes("[2a00:1450::1]:4433"));
}

TEST_F(CandidateFilter, what_can_only_be_a_mistake_or_an_attack_never_is) {
  for (const char* text : {"9.9.9.9:1023",
                           "9.9.9.9:53",
                           "9.9.9.9:0",
                           "0.0.0.0:4433",
                           "0.1.2.3:4433",
                           "127.0.0.1:9000",
                           "127.1.2.3:9000",
                           "[::1]:9000",
                           "[::]:9000",
                           "[::ffff:127.0.0.1]:9000",
                           "[::127.0.0.1]:9000",
                           "169.254.169.254:8080",
                           "[fe80::1]:4433",
                           "224.0.0.1:4433",
                           "239.255.255.250:1900",
                           "255.255.255.255:4433",
                           "[ff02::1]:4433",
                           "192.0.2.1:4433",
                           "198.51.100.1:4433",
                           "203.0.113.1:4433",
                           "[2001:db8::1]:4433",
                           "240.0.0.1:4433",
                           "[64:ff9b::7f00:1]:4433",
                           "[2002:7f00:1::1]:4433",
                           "192.168.1.2:4433"}) {
    for (const auto kind :
         {CandidateKind::host, CandidateKind::server_reflexive, CandidateKind::mapped}) {
      EXPECT_FALSE(probes(text, kind)) << text;
    }
  }
}

TEST_F(CandidateFilter, a_private_address_is_probed_in_a_subnet_of_ours_behind_one_public_address) {
  EXPECT_TRUE(probes("192.168.1.77:4433"));
  EXPECT_TRUE(probes("[fd00:1::77]:4433"));
  EXPECT_FALSE(probes("192.168.2.77:4433"));
  EXPECT_FALSE(probes("10.0.0.1:4433"));
  EXPECT_FALSE(probes("[fd00:2::77]:4433"));
  // The neighbour of the same name in another home.
  EXPECT_FALSE(probes("192.168.1.77:4433", CandidateKind::host, "9.9.9.9:50001"));
  // Nothing is known of the peer's public address: a network without any.
  EXPECT_TRUE(probes("192.168.1.77:4433", CandidateKind::host, std::nullopt));
}

TEST_F(CandidateFilter, loopback_is_probed_between_two_who_met_there) {
  context.met_in = AddressScope::loopback;
  EXPECT_TRUE(probes("127.0.0.1:9000"));
  EXPECT_TRUE(probes("[::1]:9000"));
  EXPECT_FALSE(probes("127.0.0.1:4433")) << "our own";
}

TEST_F(CandidateFilter, a_laboratory_has_public_documentation_addresses) {
  context.rules = AddressRules::laboratory;
  EXPECT_TRUE(probes("203.0.113.1:4433"));
  EXPECT_TRUE(probes("100.64.0.1:4433"));
  EXPECT_FALSE(probes("169.254.169.254:4433"));
}

TEST_F(CandidateFilter, a_private_address_is_not_probed_because_it_is_called_reflexive) {
  for (const auto kind : {CandidateKind::server_reflexive, CandidateKind::mapped}) {
    EXPECT_FALSE(probes("192.168.1.1:8080", kind));
    EXPECT_FALSE(probes("10.0.0.1:8080", kind));
  }
  context.met_in = AddressScope::private_realm;
  EXPECT_TRUE(probes("10.0.0.1:8080", CandidateKind::server_reflexive));
}

TEST_F(CandidateFilter, two_ports_of_one_host_and_no_more) {
  std::vector<Candidate> told;
  for (std::uint16_t port = 4000; port < 4010; ++port)
    told.push_back({CandidateKind::host, {IpAddress::parse("9.9.9.9").value(), port}});
  EXPECT_EQ(usable_candidates(told, context).size(), 2u);
}

TEST_F(CandidateFilter, nothing_twice) {
  const std::vector<Candidate> told{{CandidateKind::host, address("9.9.9.9:4433")},
                                    {CandidateKind::server_reflexive, address("9.9.9.9:4433")}};
  EXPECT_EQ(usable_candidates(told, context).size(), 1u);
}

}  // namespace
}  // namespace quicmesh
