// Tests of the address parser and printer: a table of spellings, and glibc's inet_pton/inet_ntop as
// an independent opinion on random texts and random addresses.
#include "quicmesh/socket_address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/base_errc.hpp"
#include "base/rng.hpp"

namespace quicmesh {
namespace {

struct Spelling {
  std::string_view text;
  std::string_view canonical;  // empty: refused
};

constexpr Spelling v4_spellings[] = {
    {"0.0.0.0", "0.0.0.0"},
    {"1.2.3.4", "1.2.3.4"},
    {"255.255.255.255", "255.255.255.255"},
    {"127.0.0.1", "127.0.0.1"},
    {"100.64.0.1", "100.64.0.1"},
    // inet_aton's other forms of 127.0.0.1, and near misses.
    {"127.1", ""},
    {"127.0.1", ""},
    {"2130706433", ""},
    {"0x7f000001", ""},
    {"0x7f.0.0.1", ""},
    {"0x7f.1", ""},
    {"017700000001", ""},
    {"0177.0.0.1", ""},
    {"0177.0.0.01", ""},
    {"127.0.0.01", ""},
    {"127.0.0.001", ""},
    {"127.000.000.001", ""},
    {"00.0.0.0", ""},
    {"127.0.0.1.", ""},
    {".127.0.0.1", ""},
    {"127..0.1", ""},
    {"127.0.0", ""},
    {"127.0.0.", ""},
    {"127.0.0.0.1", ""},
    {"127.0.0.256", ""},
    {"127.0.0.1000", ""},
    {"127.0.0.99999999999999999999", ""},
    {"256.1.1.1", ""},
    {"-1.0.0.1", ""},
    {"+1.0.0.1", ""},
    {"1.2.3.4/32", ""},
    {"1.2.3.4:5", ""},
    {" 1.2.3.4", ""},
    {"1.2.3.4 ", ""},
    {"1. 2.3.4", ""},
    {"1.2.3.4\n", ""},
    {"1.2.3.0x4", ""},
    {"1,2,3,4", ""},
    {"1.2.3.a", ""},
    {"\xd9\xa1.2.3.4", ""},  // an Arabic-Indic one
    {"", ""},
    {".", ""},
    {"...", ""},
    {"localhost", ""},
    {"[1.2.3.4]", ""},
    {std::string_view("1.2.3.4\0", 8), ""},
    {std::string_view("1.2.3\0.4", 8), ""},
};

constexpr Spelling v6_spellings[] = {
    {"::", "::"},
    {"::1", "::1"},
    {"1::", "1::"},
    {"0:0:0:0:0:0:0:0", "::"},
    {"0:0:0:0:0:0:0:1", "::1"},
    {"0000:0000:0000:0000:0000:0000:0000:0001", "::1"},
    {"0::1", "::1"},
    {"::0:1", "::1"},
    {"0::0:0:1", "::1"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
    {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
    {"1:2:3::5:6:7:8", "1:2:3:0:5:6:7:8"},
    {"ABCD:EF01::aBcD", "abcd:ef01::abcd"},
    {"2001:DB8::1", "2001:db8::1"},
    // RFC 5952 s4 and s2.
    {"2001:0db8::0001", "2001:db8::1"},
    {"2001:db8:0:0:0:0:2:1", "2001:db8::2:1"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:db8::1:0:0:1", "2001:db8::1:0:0:1"},
    {"2001:db8:0:0:1::1", "2001:db8::1:0:0:1"},
    {"2001:db8:aaaa:bbbb:cccc:dddd:eeee:0001", "2001:db8:aaaa:bbbb:cccc:dddd:eeee:1"},
    {"2001:db8:aaaa:bbbb:cccc:dddd:0:1", "2001:db8:aaaa:bbbb:cccc:dddd:0:1"},
    {"1:0:0:2:0:0:3:4", "1::2:0:0:3:4"},
    {"0:0:1:0:0:0:0:0", "0:0:1::"},
    {"1:0:0:0:0:0:0:0", "1::"},
    // RFC 4291 s2.2 (3): a dotted quad at the end.
    {"::13.1.68.3", "::d01:4403"},
    {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
    {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
    {"1::1.2.3.4", "1::102:304"},
    {"::0.0.0.0", "::"},
    {"::0.0.0.1", "::1"},
    {"2001:db8:1111:2222:3333:4444:255.255.255.255", "2001:db8:1111:2222:3333:4444:ffff:ffff"},
    // CVE-2026-27624's class: an IPv4-mapped address is the IPv4 address, in every spelling.
    {"::ffff:127.0.0.1", "127.0.0.1"},
    {"::FFFF:127.0.0.1", "127.0.0.1"},
    {"::ffff:7f00:1", "127.0.0.1"},
    {"::ffff:7f00:0001", "127.0.0.1"},
    {"0:0:0:0:0:ffff:127.0.0.1", "127.0.0.1"},
    {"0:0:0:0:0:ffff:7f00:1", "127.0.0.1"},
    {"0000:0000:0000:0000:0000:FFFF:7F00:0001", "127.0.0.1"},
    {"0000:0000:0000:0000:0000:ffff:127.0.0.1", "127.0.0.1"},
    {"0::ffff:127.0.0.1", "127.0.0.1"},
    {"0::0:ffff:7f00:1", "127.0.0.1"},
    {"::0:ffff:127.0.0.1", "127.0.0.1"},
    {"::ffff:0.0.0.0", "0.0.0.0"},
    {"::ffff:0:0", "0.0.0.0"},
    {"::ffff:255.255.255.255", "255.255.255.255"},
    {"::fffe:127.0.0.1", "::fffe:7f00:1"},
    {"::ffff:0:127.0.0.1", "::ffff:0:7f00:1"},
    {"1::ffff:127.0.0.1", "1::ffff:7f00:1"},
    {"::1:ffff:127.0.0.1", "::1:ffff:7f00:1"},
    // Malformed.
    {":", ""},
    {":::", ""},
    {"::::", ""},
    {":1", ""},
    {"1:", ""},
    {"1:2", ""},
    {":1::2", ""},
    {"1::2:", ""},
    {"1:::2", ""},
    {"1::2::3", ""},
    {"::1::", ""},
    {"1:2:3:4:5:6:7", ""},
    {"1:2:3:4:5:6:7:", ""},
    {":2:3:4:5:6:7:8", ""},
    {"1:2:3:4:5:6:7:8:9", ""},
    {"1:2:3:4:5:6:7:8::", ""},
    {"::1:2:3:4:5:6:7:8", ""},
    {"1:2:3:4::5:6:7:8", ""},  // "::" for no group at all
    {"12345::", ""},
    {"00001::", ""},
    {"::10000", ""},
    {"g::", ""},
    {"::0x1", ""},
    {"::-1", ""},
    {"::+1", ""},
    {":: 1", ""},
    {" ::1", ""},
    {"::1 ", ""},
    {"::1\n", ""},
    {"[::1]", ""},
    {"[::1", ""},
    {"::1]", ""},
    {"::1/128", ""},
    {"::1%lo", ""},
    {"fe80::1%eth0", ""},
    {"fe80::1%2", ""},
    {"fe80::1%25eth0", ""},
    {"::1.2.3", ""},
    {"::1.2.3.4.5", ""},
    {"::1.2.3.256", ""},
    {"::01.2.3.4", ""},
    {"::ffff:0x7f.0.0.1", ""},
    {"::ffff:0177.0.0.1", ""},
    {"::ffff:127.1", ""},
    {"::ffff:2130706433", ""},
    {"1.2.3.4::", ""},
    {"1.2.3.4::1", ""},
    {"::1.2.3.4:1", ""},
    {"1:1.2.3.4:2::", ""},
    {"1:2:3:4:5:6:7:1.2.3.4", ""},
    {"1:2:3:4:5:1.2.3.4", ""},
    {"1:2:3:4:5:6::1.2.3.4", ""},
    {"0000:0000:0000:0000:0000:ffff:0127.0.0.1", ""},
    {"00000:0000:0000:0000:0000:0000:0000:0001", ""},
    {"::ffff:127.0.0.1:80", ""},
    {std::string_view("::1\0", 4), ""},
    {"0000:0000:0000:0000:0000:0000:255.255.255.2555", ""},
};

void check_spelling(const Spelling& spelling) {
  const auto address = IpAddress::parse(spelling.text);
  if (spelling.canonical.empty()) {
    ASSERT_FALSE(address) << spelling.text << " was read as " << address->to_string();
    EXPECT_EQ(address.error(), BaseErrc::malformed_address);
    return;
  }
  ASSERT_TRUE(address) << spelling.text;
  EXPECT_EQ(address->to_string(), spelling.canonical) << spelling.text;
  EXPECT_EQ(IpAddress::parse(address->to_string()), *address) << spelling.text;
}

TEST(IpAddress, parses_and_prints_every_spelling_of_the_v4_table) {
  for (const Spelling& spelling : v4_spellings)
    check_spelling(spelling);
}

TEST(IpAddress, parses_and_prints_every_spelling_of_the_v6_table) {
  for (const Spelling& spelling : v6_spellings)
    check_spelling(spelling);
}

/// What inet_pton makes of `text`, in our representation.
std::optional<IpAddress> opinion_of_glibc(const std::string& text) {
  std::array<std::uint8_t, 4> quad{};
  if (inet_pton(AF_INET, text.c_str(), quad.data()) == 1) return IpAddress::v4(quad);
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return IpAddress::v6(bytes);
  return std::nullopt;
}

TEST(IpAddress, agrees_with_inet_pton_on_random_texts) {
  // Pieces rather than characters, so that a good part of the texts is well-formed.
  constexpr std::array<std::string_view, 18> pieces{"0", "1",    "9",  "25", "255",     "256",
                                                    "f", "ffff", "1a", "00", "01",      ".",
                                                    ":", ":",    ":",  "::", "1.2.3.4", "0:0:0"};
  Rng rng(1);
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text;
    for (auto left = rng.below(15) + 1; left > 0; --left)
      text += pieces[rng.below(pieces.size())];
    const auto ours = IpAddress::parse(text);
    const auto theirs = opinion_of_glibc(text);
    ASSERT_EQ(ours.has_value(), theirs.has_value()) << text;
    if (ours) {
      ASSERT_EQ(*ours, *theirs) << text;
      ++accepted;
    }
  }
  EXPECT_GT(accepted, 1000);
}

TEST(IpAddress, prints_random_v6_addresses_as_inet_ntop_does) {
  Rng rng(2);
  for (int round = 0; round < 100'000; ++round) {
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t group = 0; group < 8; ++group) {
      if (!rng.chance(1, 2)) bytes[2 * group + 1] = static_cast<std::uint8_t>(rng.next());
      if (rng.chance(1, 4)) bytes[2 * group] = static_cast<std::uint8_t>(rng.next());
    }
    if ((bytes[0] | bytes[1]) == 0) bytes[0] = 1;  // inet_ntop prints ::/96 as a dotted quad
    std::array<char, INET6_ADDRSTRLEN> text{};
    ASSERT_NE(inet_ntop(AF_INET6, bytes.data(), text.data(), text.size()), nullptr);
    const IpAddress address = IpAddress::v6(bytes);
    ASSERT_EQ(address.to_string(), text.data());
    ASSERT_EQ(IpAddress::parse(address.to_string()), address);
  }
}

TEST(IpAddress, a_mapped_address_equals_and_hashes_like_the_v4_address) {
  const IpAddress mapped = IpAddress::v6({0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3});
  const IpAddress plain = IpAddress::v4({10, 1, 2, 3});
  EXPECT_EQ(mapped, plain);
  EXPECT_EQ(mapped.family(), IpFamily::v4);
  EXPECT_EQ(std::hash<IpAddress>{}(mapped), std::hash<IpAddress>{}(plain));
}

TEST(IpAddress, knows_the_unspecified_and_loopback_addresses_of_both_families) {
  EXPECT_EQ(IpAddress::any(IpFamily::v4).to_string(), "0.0.0.0");
  EXPECT_EQ(IpAddress::any(IpFamily::v6).to_string(), "::");
  EXPECT_TRUE(IpAddress::any(IpFamily::v6).is_unspecified());
  EXPECT_NE(IpAddress::any(IpFamily::v4), IpAddress::any(IpFamily::v6));
  EXPECT_EQ(IpAddress::loopback(IpFamily::v4).to_string(), "127.0.0.1");
  EXPECT_EQ(IpAddress::loopback(IpFamily::v6).to_string(), "::1");
  EXPECT_FALSE(IpAddress::loopback(IpFamily::v6).is_unspecified());
}

constexpr Spelling endpoint_spellings[] = {
    {"1.2.3.4:5", "1.2.3.4:5"},
    {"1.2.3.4:0", "1.2.3.4:0"},
    {"0.0.0.0:65535", "0.0.0.0:65535"},
    {"[::1]:443", "[::1]:443"},
    {"[2001:DB8:0:0::1]:1", "[2001:db8::1]:1"},
    {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
    {"1.2.3.4", ""},
    {"1.2.3.4:", ""},
    {"1.2.3.4:65536", ""},
    {"1.2.3.4:99999", ""},
    {"1.2.3.4:100000", ""},
    {"1.2.3.4:05", ""},
    {"1.2.3.4:00", ""},
    {"1.2.3.4:+5", ""},
    {"1.2.3.4:-5", ""},
    {"1.2.3.4: 5", ""},
    {"1.2.3.4:5 ", ""},
    {"1.2.3.4:0x5", ""},
    {"1.2.3.4:5:6", ""},
    {"1.2.3.4::5", ""},
    {":5", ""},
    {"[]:5", ""},
    {"[:5", ""},
    {"]:5", ""},
    {"::1:443", ""},
    {"2001:db8::1:443", ""},
    {"[::1]", ""},
    {"[::1]443", ""},
    {"[::1]:", ""},
    {"[::1]:65536", ""},
    {"[[::1]]:1", ""},
    {"[1.2.3.4]:5", ""},
    {"[::1%lo]:5", ""},
    {"host:5", ""},
    {"", ""},
    {":", ""},
};

TEST(SocketAddress, parses_and_prints_every_spelling_of_the_table) {
  for (const Spelling& spelling : endpoint_spellings) {
    const auto address = SocketAddress::parse(spelling.text);
    ASSERT_EQ(address.has_value(), !spelling.canonical.empty()) << spelling.text;
    if (address) {
      EXPECT_EQ(address->to_string(), spelling.canonical);
      EXPECT_EQ(SocketAddress::parse(address->to_string()), *address);
    } else {
      EXPECT_EQ(address.error(), BaseErrc::malformed_address);
    }
  }
}

TEST(SocketAddress, hashes_differ_for_neighbouring_ports_and_addresses) {
  std::unordered_set<std::size_t> hashes;
  for (std::uint16_t port = 0; port < 100; ++port) {
    for (std::uint8_t last = 0; last < 100; ++last) {
      hashes.insert(
          std::hash<SocketAddress>{}(SocketAddress{IpAddress::v4({10, 0, 0, last}), port}));
    }
  }
  EXPECT_EQ(hashes.size(), 10'000U);
}

}  // namespace
}  // namespace quicmesh
