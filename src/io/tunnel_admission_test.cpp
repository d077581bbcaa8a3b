#include "io/tunnel_admission.hpp"

#include <gtest/gtest.h>

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
  EXPECT_EQ(admission.admit(start, v4(1)), Verdict::admitted);
  EXPECT_EQ(admission.admit(start, v4(1)), Verdict::admitted);
  EXPECT_EQ(admission.admit(start, v4(1)), Verdict::refused);
  EXPECT_EQ(admission.counters().refused_source, 1u);
  EXPECT_EQ(admission.admit(start, v4(2)), Verdict::admitted);
  admission.on_open(v4(1));
  EXPECT_EQ(admission.admit(start, v4(1)), Verdict::admitted);
  EXPECT_EQ(admission.half_open(), 3u);
}

TEST(TunnelAdmission, one_source_has_only_so_many_tunnels) {
  TunnelAdmission admission(small(), rng());
  for (int i = 0; i < 3; ++i) {
    ASSERT_EQ(admission.admit(start, v4(1)), Verdict::admitted);
    admission.on_open(v4(1));
  }
  EXPECT_EQ(admission.admit(start, v4(1)), Verdict::refused);
  admission.on_closed(v4(1), true);
  EXPECT_EQ(admission.admit(start, v4(1)), Verdict::admitted);
}

TEST(TunnelAdmission, a_64_of_ipv6_is_one_source) {
  TunnelAdmission admission(small(), rng());
  EXPECT_EQ(admission.admit(start, *IpAddress::parse("2001:db8:0:1::1")), Verdict::admitted);
  EXPECT_EQ(admission.admit(start, *IpAddress::parse("2001:db8:0:1::2")), Verdict::admitted);
  EXPECT_EQ(admission.admit(start, *IpAddress::parse("2001:db8:0:1:f::3")), Verdict::refused);
  EXPECT_EQ(admission.admit(start, *IpAddress::parse("2001:db8:0:2::1")), Verdict::admitted);
}

TEST(TunnelAdmission, the_oldest_half_open_goes_when_all_places_are_taken) {
  TunnelAdmission admission(small(), rng());
  for (std::uint8_t i = 1; i <= 4; ++i)
    ASSERT_EQ(admission.admit(start, v4(i)), Verdict::admitted);
  EXPECT_EQ(admission.admit(start, v4(5)), Verdict::admitted_for_oldest);
  admission.on_closed(v4(1), false);
  EXPECT_EQ(admission.half_open(), 4u);
  EXPECT_EQ(admission.counters().evicted, 1u);
}

TEST(TunnelAdmission, tunnels_that_stand_are_never_evicted) {
  TunnelAdmission admission(small(), rng());
  for (std::uint8_t i = 1; i <= 6; ++i) {
    ASSERT_EQ(admission.admit(start, v4(i)), Verdict::admitted);
    admission.on_open(v4(i));
  }
  EXPECT_EQ(admission.admit(start, v4(7)), Verdict::refused);
  EXPECT_EQ(admission.counters().refused_tunnels, 1u);
}

TEST(TunnelAdmission, handshakes_have_a_rate) {
  TunnelLimits limits;
  limits.handshakes = {.per_second = 10, .burst = 3, .total_per_second = 20, .total_burst = 5};
  TunnelAdmission admission(limits, rng());
  for (std::uint8_t i = 1; i <= 3; ++i)
    EXPECT_EQ(admission.admit(start, v4(i)), Verdict::admitted);
  EXPECT_EQ(admission.admit(start, v4(4)), Verdict::refused);
  EXPECT_EQ(admission.counters().refused_rate, 1u);
  const IpAddress elsewhere = IpAddress::v4({198, 51, 100, 1});
  EXPECT_EQ(admission.admit(start, elsewhere), Verdict::admitted);
  EXPECT_EQ(admission.admit(start + 100ms, v4(4)), Verdict::admitted);
}

TEST(TunnelAdmission, nothing_is_kept_of_sources_without_tunnels) {
  TunnelAdmission admission({}, rng());
  for (std::uint8_t i = 1; i <= 100; ++i) {
    ASSERT_EQ(admission.admit(start, v4(i)), Verdict::admitted);
    if (i % 2 == 0) admission.on_open(v4(i));
    admission.on_closed(v4(i), i % 2 == 0);
  }
  EXPECT_EQ(admission.sources(), 0u);
  EXPECT_EQ(admission.half_open(), 0u);
  EXPECT_EQ(admission.tunnels(), 0u);
}

}  // namespace
}  // namespace quicmesh::io
