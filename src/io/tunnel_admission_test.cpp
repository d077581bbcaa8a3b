#include "io/tunnel_admission.hpp"

#include <gtest/gtest.h>

#include <string>

#include "crypto/system_rng.hpp"

namespace quicmesh::io {
namespace {

using Verdict = TunnelAdmission::Verdict;

const Instant start{1s};

SecureRng& rng() {
  static SystemRng rng;
  return rng;
}

IpAddress v4(std::uint8_t last) {
  return IpAddress::v4({203, 0, 113, last});
}

TunnelLimits small() {
  TunnelLimits limits;
  limits.half_open = 4;
  limits.half_open_of_a_source = 2;
  limits.tunnels = 6;
  limits.tunnels_of_a_source = 3;
  return limits;
}

TEST(TunnelAdmission, one_source_has_few_half_open_places) {
  TunnelAdmission admission(small(), rng());
  EXPECT_EQ(admission.admit(v4(1)), Verdict::admitted);
  EXPECT_EQ(admission.admit(v4(1)), Verdict::admitted);
  EXPECT_EQ(admission.admit(v4(1)), Verdict::refused);
  EXPECT_EQ(admission.counters().refused_source, 1u);
  EXPECT_EQ(admission.admit(v4(2)), Verdict::admitted);
  admission.on_open(v4(1));
  EXPECT_EQ(admission.admit(v4(1)), Verdict::admitted);
  EXPECT_EQ(admission.half_open(), 3u);
}

TEST(TunnelAdmission, one_source_has_only_so_many_tunnels) {
  TunnelAdmission admission(small(), rng());
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(admission.admit(v4(1)), Verdict::admitted);
    admission.on_open(v4(1));
  }
  EXPECT_EQ(admission.admit(v4(1)), Verdict::refused);
  admission.on_closed(v4(1), true);
  EXPECT_EQ(admission.admit(v4(1)), Verdict::admitted);
}

TEST(TunnelAdmission, a_64_of_ipv6_is_one_source) {
  TunnelAdmission admission(small(), rng());
  EXPECT_EQ(admission.admit(*IpAddress::parse("2001:db8:0:1::1")), Verdict::admitted);
  EXPECT_EQ(admission.admit(*IpAddress::parse("2001:db8:0:1::2")), Verdict::admitted);
  EXPECT_EQ(admission.admit(*IpAddress::parse("2001:db8:0:1:f::3")), Verdict::refused);
  EXPECT_EQ(admission.admit(*IpAddress::parse("2001:db8:0:2::1")), Verdict::admitted);
}

TEST(TunnelAdmission, a_48_of_ipv6_and_a_24_of_ipv4_have_only_so_many_tunnels) {
  TunnelLimits limits;
  limits.tunnels_of_a_network = 4;
  TunnelAdmission admission(limits, rng());
  const auto v6 = [](int subnet) {
    return *IpAddress::parse("2001:db8:7:" + std::to_string(subnet) + "::1");
  };
  for (int i = 1; i <= 4; ++i) {
    ASSERT_EQ(admission.admit(v4(static_cast<std::uint8_t>(i))), Verdict::admitted);
    ASSERT_EQ(admission.admit(v6(i)), Verdict::admitted);
  }
  EXPECT_EQ(admission.admit(v4(5)), Verdict::refused);
  EXPECT_EQ(admission.admit(v6(5)), Verdict::refused);
  EXPECT_EQ(admission.counters().refused_source, 2u);
  EXPECT_EQ(admission.admit(IpAddress::v4({203, 0, 114, 5})), Verdict::admitted);
  EXPECT_EQ(admission.admit(*IpAddress::parse("2001:db8:8:5::1")), Verdict::admitted);
  admission.on_closed(v4(1), false);
  EXPECT_EQ(admission.admit(v4(5)), Verdict::admitted);
}

TEST(TunnelAdmission, a_place_is_to_be_made_when_all_are_taken) {
  TunnelAdmission admission(small(), rng());
  for (std::uint8_t i = 1; i <= 4; ++i)
    ASSERT_EQ(admission.admit(v4(i)), Verdict::admitted);
  EXPECT_EQ(admission.admit(v4(5)), Verdict::half_open_full);
  EXPECT_EQ(admission.half_open_of_network(v4(9)), 4u);
  admission.on_closed(v4(1), false);
  EXPECT_EQ(admission.admit(v4(5)), Verdict::admitted);
  EXPECT_EQ(admission.half_open(), 4u);
  for (std::uint8_t i = 2; i <= 5; ++i)
    admission.on_open(v4(i));
  EXPECT_EQ(admission.half_open_of_network(v4(9)), 0u);
  ASSERT_EQ(admission.admit(v4(6)), Verdict::admitted);
  ASSERT_EQ(admission.admit(v4(7)), Verdict::admitted);
  EXPECT_EQ(admission.admit(v4(8)), Verdict::full);
  admission.on_closed(v4(2), true);
  EXPECT_EQ(admission.admit(v4(8)), Verdict::admitted);
}

TEST(TunnelAdmission, handshakes_have_a_rate) {
  TunnelLimits limits;
  limits.handshakes = {.per_second = 10, .burst = 3, .total_per_second = 20, .total_burst = 5};
  TunnelAdmission admission(limits, rng());
  for (std::uint8_t i = 1; i <= 3; ++i)
    EXPECT_TRUE(admission.begin_handshake(start, v4(i)));
  EXPECT_FALSE(admission.begin_handshake(start, v4(4)));
  EXPECT_EQ(admission.counters().refused_rate, 1u);
  const IpAddress elsewhere = IpAddress::v4({198, 51, 100, 1});
  EXPECT_TRUE(admission.begin_handshake(start, elsewhere));
  EXPECT_TRUE(admission.begin_handshake(start + 100ms, v4(4)));
}

TEST(TunnelAdmission, nothing_is_kept_of_sources_without_tunnels) {
  TunnelAdmission admission({}, rng());
  for (std::uint8_t i = 1; i <= 100; ++i) {
    ASSERT_EQ(admission.admit(v4(i)), Verdict::admitted);
    if (i % 2 == 0) admission.on_open(v4(i));
    admission.on_closed(v4(i), i % 2 == 0);
  }
  EXPECT_EQ(admission.sources(), 0u);
  EXPECT_EQ(admission.networks(), 0u);
  EXPECT_EQ(admission.half_open(), 0u);
  EXPECT_EQ(admission.tunnels(), 0u);
}

}  // namespace
}  // namespace quicmesh::io
