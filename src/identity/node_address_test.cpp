// Tests of the texts that name a node and where it is.
#include "quicmesh/node_address.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "identity/identity_errc.hpp"

namespace quicmesh {
namespace {

struct HostCase {
  std::string text;
  std::string canonical;  // empty: refused
};

const HostCase host_cases[] = {
    {"example.org:1", "example.org:1"},
    {"Example.ORG:65535", "example.org:65535"},
    {"localhost:4242", "localhost:4242"},
    {"a:1", "a:1"},
    {"1a.b-c.d2:80", "1a.b-c.d2:80"},
    {"3com.com:80", "3com.com:80"},
    {"xn--bcher-kva.example:80", "xn--bcher-kva.example:80"},
    {"1.2.3.4:5", "1.2.3.4:5"},
    {"[2001:DB8::1]:5", "[2001:db8::1]:5"},
    {"[::ffff:1.2.3.4]:5", "1.2.3.4:5"},
    {std::string(63, 'a') + ".org:1", std::string(63, 'a') + ".org:1"},
    // What a resolver would take for an IP address in disguise.
    {"127.1:80", ""},
    {"127.0.0.1.:80", ""},
    {"2130706433:80", ""},
    {"0x7f000001:80", ""},
    {"0x7f.1:80", ""},
    {"0177.0.0.1:80", ""},
    {"1.2.3.0x4:80", ""},
    {"example.1:80", ""},
    {"example.0x1:80", ""},
    {"example.0x:80", ""},
    {"256.1.1.1:80", ""},
    // Malformed names.
    {"example.org.:80", ""},
    {".example.org:80", ""},
    {"example..org:80", ""},
    {"-a.org:80", ""},
    {"a-.org:80", ""},
    {"a_b.org:80", ""},
    {"a b.org:80", ""},
    {"b\xc3\xbc.org:80", ""},
    {"a/b:80", ""},
    {"a@b:80", ""},
    {"[example.org]:80", ""},
    {"::1:80", ""},
    {std::string(64, 'a') + ".org:1", ""},
    {std::string("a.org\0.b:1", 10), ""},
    // Malformed ports.
    {"example.org", ""},
    {"example.org:", ""},
    {"example.org:0", ""},
    {"1.2.3.4:0", ""},
    {"example.org:065", ""},
    {"example.org:65536", ""},
    {"example.org:80:80", ""},
    {"example.org:+80", ""},
    {"example.org:80 ", ""},
    {"example.org:\n80", ""},
    {":80", ""},
    {"", ""},
};

TEST(HostPort, parses_and_prints_every_spelling_of_the_table) {
  for (const HostCase& expected : host_cases) {
    const auto host = HostPort::parse(expected.text);
    ASSERT_EQ(host.has_value(), !expected.canonical.empty()) << expected.text;
    if (host) {
      EXPECT_EQ(host->to_string(), expected.canonical);
      EXPECT_EQ(HostPort::parse(host->to_string()), *host);
    } else {
      EXPECT_EQ(host.error(), IdentityErrc::malformed_host) << expected.text;
    }
  }
}

TEST(HostPort, names_are_at_most_253_characters) {
  const std::string label(49, 'a');
  const std::string longest =
      label + "." + label + "." + label + "." + label + "." + label + ".org";
  ASSERT_EQ(longest.size(), 253U);
  EXPECT_TRUE(HostPort::parse(longest + ":65535"));
  EXPECT_FALSE(HostPort::parse("a" + longest + ":1"));
  EXPECT_FALSE(HostPort::parse(std::string(100'000, 'a') + ":1"));
}

TEST(HostPort, only_ip_addresses_are_literals) {
  EXPECT_EQ(HostPort::parse("1.2.3.4:5")->literal(), SocketAddress::parse("1.2.3.4:5").value());
  EXPECT_EQ(HostPort::parse("[::1]:5")->literal(), SocketAddress::parse("[::1]:5").value());
  EXPECT_EQ(HostPort::parse("example.org:5")->literal(), std::nullopt);
}

const std::string id_text = NodeId{}.to_short_string();

TEST(NodeAddress, an_id_alone_is_an_address_in_either_form) {
  for (const std::string& text : {id_text, NodeId{}.to_hex()}) {
    const auto address = NodeAddress::parse(text);
    ASSERT_TRUE(address);
    EXPECT_EQ(address->id, NodeId{});
    EXPECT_TRUE(address->addresses.empty());
    EXPECT_EQ(address->to_string(), id_text);
  }
}

TEST(NodeAddress, lists_hosts_behind_the_id_in_their_order) {
  const auto address = NodeAddress::parse(id_text + "@Example.org:1,[::1]:2,1.2.3.4:3");
  ASSERT_TRUE(address);
  ASSERT_EQ(address->addresses.size(), 3U);
  EXPECT_EQ(address->addresses[0].host, "example.org");
  EXPECT_EQ(address->addresses[1].host, "::1");
  EXPECT_EQ(address->addresses[2].port, 3);
  EXPECT_EQ(address->to_string(), id_text + "@example.org:1,[::1]:2,1.2.3.4:3");
  EXPECT_EQ(NodeAddress::parse(address->to_string()), *address);
}

TEST(NodeAddress, errors_say_which_part_is_wrong) {
  const auto error_of = [](const std::string& text) { return NodeAddress::parse(text).error(); };
  EXPECT_EQ(error_of(""), IdentityErrc::malformed_node_id);
  EXPECT_EQ(error_of("@a:1"), IdentityErrc::malformed_node_id);
  EXPECT_EQ(error_of("a:1@" + id_text), IdentityErrc::malformed_node_id);
  EXPECT_EQ(error_of("b" + id_text.substr(1) + "@a:1"), IdentityErrc::node_id_checksum);
  for (const char* rest :
       {"@", "@,", "@a:1,", "@,a:1", "@a:1,,b:2", "@a:1@b:2", "@a", "@a:1, b:2"}) {
    EXPECT_EQ(error_of(id_text + rest), IdentityErrc::malformed_host) << rest;
  }
}

TEST(NodeAddress, holds_at_most_sixteen_hosts) {
  std::string text = id_text + "@a:1";
  for (std::size_t i = 1; i < NodeAddress::addresses_max; ++i)
    text += ",a:1";
  EXPECT_TRUE(NodeAddress::parse(text));
  const auto too_many = NodeAddress::parse(text + ",a:1");
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error(), IdentityErrc::malformed_node_address);
}

}  // namespace
}  // namespace quicmesh
