#include "base/address_prefix.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

IpAddress ip(const char* text) {
  return IpAddress::parse(text).value();
}

TEST(AddressPrefix, a_network_is_a_24_or_a_48) {
  EXPECT_EQ(network_of(ip("198.51.100.200")), ip("198.51.100.0"));
  EXPECT_NE(network_of(ip("198.51.101.200")), ip("198.51.100.0"));
  EXPECT_EQ(network_of(ip("2001:db8:1:2:3::4")), ip("2001:db8:1::"));
  EXPECT_NE(network_of(ip("2001:db8:2::")), ip("2001:db8:1::"));
}

TEST(AddressPrefix, a_host_has_an_ipv4_address_or_a_64) {
  EXPECT_EQ(host_of(ip("198.51.100.200")), ip("198.51.100.200"));
  EXPECT_EQ(host_of(ip("2001:db8:1:2:3::4")), ip("2001:db8:1:2::"));
  EXPECT_NE(host_of(ip("2001:db8:1:3::")), ip("2001:db8:1:2::"));
}

// Families are never mixed up, nor does anything of the rest stay.
TEST(AddressPrefix, families_stay_apart) {
  EXPECT_EQ(prefix_of(ip("0.0.0.7"), 3, 6), ip("0.0.0.0"));
  EXPECT_EQ(prefix_of(ip("::7"), 3, 6), ip("::"));
  EXPECT_NE(prefix_of(ip("0.0.0.7"), 3, 6), prefix_of(ip("::7"), 3, 6));
  EXPECT_EQ(prefix_of(ip("2001:db8::1"), 4, 16), ip("2001:db8::1"));
  EXPECT_EQ(prefix_of(ip("192.0.2.1"), 0, 0), ip("0.0.0.0"));
}

}  // namespace
}  // namespace quicmesh
