// Documentation and CGN ranges are public in a laboratory and nowhere else.
#include "base/laboratory_address.hpp"

#include <gtest/gtest.h>

namespace quicmesh {
namespace {

TEST(LaboratoryAddress, ranges_count_as_public_only_in_a_laboratory) {
  for (const char* text : {"192.0.2.0", "192.0.2.255", "198.51.100.7", "203.0.113.255",
                           "100.64.0.0", "100.127.255.255", "198.18.0.0", "198.19.255.255",
                           "2001:db8::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"}) {
    const IpAddress ip = IpAddress::parse(text).value();
    EXPECT_EQ(scope_of(ip, AddressRules::laboratory), AddressScope::public_internet) << text;
    EXPECT_EQ(scope_of(ip, AddressRules::internet), ip.scope()) << text;
    EXPECT_NE(ip.scope(), AddressScope::public_internet) << text;
  }
}

TEST(LaboratoryAddress, others_keep_their_scope_in_a_laboratory) {
  for (const char* text :
       {"127.0.0.1", "10.0.0.1", "192.168.1.1", "192.0.1.255", "192.0.3.0", "100.63.255.255",
        "100.128.0.0", "198.17.255.255", "198.20.0.0", "169.254.169.254", "0.0.0.0", "224.0.0.1",
        "8.8.8.8", "2001:db9::1", "2001:db7::1", "::1", "fe80::1"}) {
    const IpAddress ip = IpAddress::parse(text).value();
    EXPECT_EQ(scope_of(ip, AddressRules::laboratory), ip.scope()) << text;
  }
}

}  // namespace
}  // namespace quicmesh
