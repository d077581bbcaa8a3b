// Tests of IpAddress::scope(): both edges of every special range, and addresses within addresses.
#include <gtest/gtest.h>

#include <string_view>

#include "quicmesh/socket_address.hpp"

namespace quicmesh {

// Named in failures by what it means, not by its number.
void PrintTo(AddressScope scope, std::ostream* out) {
  constexpr std::string_view names[] = {"unusable", "loopback", "link_local", "private_realm",
                                        "public_internet"};
  *out << names[static_cast<std::size_t>(scope)];
}

namespace {

using enum AddressScope;

struct ScopeCase {
  std::string_view text;
  AddressScope scope;
};

constexpr ScopeCase v4_cases[] = {
    {"0.0.0.0", unusable},
    {"0.0.0.1", unusable},
    {"0.255.255.255", unusable},
    {"1.0.0.0", public_internet},
    {"8.8.8.8", public_internet},
    {"9.255.255.255", public_internet},
    {"10.0.0.0", private_realm},
    {"10.255.255.255", private_realm},
    {"11.0.0.0", public_internet},
    {"100.63.255.255", public_internet},
    {"100.64.0.0", private_realm},
    {"100.127.255.255", private_realm},
    {"100.128.0.0", public_internet},
    {"126.255.255.255", public_internet},
    {"127.0.0.0", loopback},
    {"127.0.0.1", loopback},
    {"127.255.255.255", loopback},
    {"128.0.0.0", public_internet},
    {"169.253.255.255", public_internet},
    {"169.254.0.0", link_local},
    {"169.254.169.254", link_local},  // the metadata service of many clouds
    {"169.254.255.255", link_local},
    {"169.255.0.0", public_internet},
    {"172.15.255.255", public_internet},
    {"172.16.0.0", private_realm},
    {"172.31.255.255", private_realm},
    {"172.32.0.0", public_internet},
    {"191.255.255.255", public_internet},
    {"192.0.0.0", private_realm},
    {"192.0.0.7", private_realm},
    {"192.0.0.8", unusable},
    {"192.0.0.255", unusable},
    {"192.0.1.0", public_internet},
    {"192.0.1.255", public_internet},
    {"192.0.2.0", unusable},
    {"192.0.2.255", unusable},
    {"192.0.3.0", public_internet},
    {"192.88.98.255", public_internet},
    {"192.88.99.0", unusable},
    {"192.88.99.255", unusable},
    {"192.88.100.0", public_internet},
    {"192.167.255.255", public_internet},
    {"192.168.0.0", private_realm},
    {"192.168.255.255", private_realm},
    {"192.169.0.0", public_internet},
    {"198.17.255.255", public_internet},
    {"198.18.0.0", private_realm},
    {"198.19.255.255", private_realm},
    {"198.20.0.0", public_internet},
    {"198.51.99.255", public_internet},
    {"198.51.100.0", unusable},
    {"198.51.100.255", unusable},
    {"198.51.101.0", public_internet},
    {"203.0.112.255", public_internet},
    {"203.0.113.0", unusable},
    {"203.0.113.255", unusable},
    {"203.0.114.0", public_internet},
    {"223.255.255.255", public_internet},
    {"224.0.0.0", unusable},
    {"224.0.0.251", unusable},
    {"239.255.255.255", unusable},
    {"240.0.0.0", unusable},
    {"255.255.255.254", unusable},
    {"255.255.255.255", unusable},
};

constexpr ScopeCase v6_cases[] = {
    {"::", unusable},
    {"::1", loopback},
    {"::2", unusable},
    {"::8.8.8.8", unusable},  // IPv4-compatible, of whatever address
    {"::127.0.0.1", unusable},
    {"::ffff:127.0.0.1", loopback},
    {"::ffff:10.0.0.1", private_realm},
    {"::ffff:169.254.169.254", link_local},
    {"::ffff:0.0.0.0", unusable},
    {"::ffff:8.8.8.8", public_internet},
    {"::ffff:0:8.8.8.8", unusable},  // RFC 2765 IPv4-translated
    {"64:ff9b::8.8.8.8", public_internet},
    {"64:ff9b::127.0.0.1", unusable},
    {"64:ff9b::10.0.0.1", unusable},
    {"64:ff9b::192.168.1.1", unusable},
    {"64:ff9b::169.254.169.254", unusable},
    {"64:ff9b::0.0.0.0", unusable},
    {"64:ff9b::224.0.0.1", unusable},
    {"64:ff9b::255.255.255.255", unusable},
    {"64:ff9b::203.0.113.9", unusable},
    {"64:ff9b:0:0:0:1:808:808", unusable},
    {"64:ff9b:1::8.8.8.8", unusable},
    {"100::", unusable},
    {"100::1", unusable},
    {"100:0:0:1::", unusable},
    {"200::1", unusable},
    {"1fff:ffff::", unusable},
    {"2000::", public_internet},
    {"2000:ffff::1", public_internet},
    // Teredo: server in bits 32 to 63, the client's address flipped in the last 32.
    {"2001:0:808:808:0:1234:f7f7:f7f7", public_internet},  // 8.8.8.8 and 8.8.8.8
    {"2001:0:7f00:1:0:1234:f7f7:f7f7", unusable},          // server 127.0.0.1
    {"2001:0:808:808:0:1234:80ff:fffe", unusable},         // client 127.0.0.1
    {"2001:0:808:808:0:1234:3f57:fefe", unusable},         // client 192.168.1.1
    {"2001:0:808:808:0:1234:ffff:ffff", unusable},         // client 0.0.0.0
    {"2001:1::1", unusable},
    {"2001:2::1", private_realm},
    {"2001:2:0:ffff::1", private_realm},
    {"2001:2:1::1", unusable},
    {"2001:10::1", unusable},
    {"2001:20::1", unusable},
    {"2001:1ff:ffff::1", unusable},
    {"2001:200::1", public_internet},
    {"2001:db7:ffff::1", public_internet},
    {"2001:db8::", unusable},
    {"2001:db8:ffff:ffff::1", unusable},
    {"2001:db9::1", public_internet},
    {"2001:4860:4860::8888", public_internet},
    {"2002:808:808::1", public_internet},  // 6to4 of 8.8.8.8
    {"2002:7f00:1::1", unusable},          // of 127.0.0.1
    {"2002:a00:1::1", unusable},           // of 10.0.0.1
    {"2002:c0a8:101::1", unusable},        // of 192.168.1.1
    {"2002:a9fe:a9fe::1", unusable},       // of 169.254.169.254
    {"2002::1", unusable},                 // of 0.0.0.0
    {"2002:e000:1::1", unusable},          // of 224.0.0.1
    {"2002:ffff:ffff::1", unusable},       // of 255.255.255.255
    {"2003::1", public_internet},
    {"3ffe::1", public_internet},
    {"3fff::1", unusable},
    {"3fff:fff:ffff::1", unusable},
    {"3fff:1000::1", public_internet},
    {"4000::", unusable},
    {"5f00::1", unusable},
    {"fbff::1", unusable},
    {"fc00::", private_realm},
    {"fd51::1", private_realm},
    {"fdff:ffff::1", private_realm},
    {"fe00::1", unusable},
    {"fe7f::1", unusable},
    {"fe80::", link_local},
    {"fe80::1", link_local},
    {"febf:ffff::1", link_local},
    {"fec0::1", unusable},
    {"ff00::", unusable},
    {"ff02::1", unusable},
    {"ff0e::1", unusable},
    {"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", unusable},
};

void check_scope(const ScopeCase& expected) {
  const auto address = IpAddress::parse(expected.text);
  ASSERT_TRUE(address) << expected.text;
  EXPECT_EQ(address->scope(), expected.scope) << expected.text;
}

TEST(AddressScope, every_v4_special_range_has_its_scope_up_to_its_edges) {
  for (const ScopeCase& expected : v4_cases)
    check_scope(expected);
}

TEST(AddressScope, no_v6_spelling_makes_a_denied_address_public) {
  for (const ScopeCase& expected : v6_cases)
    check_scope(expected);
}

}  // namespace
}  // namespace quicmesh
