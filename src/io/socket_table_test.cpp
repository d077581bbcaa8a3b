#include "io/socket_table.hpp"

#include <gtest/gtest.h>

namespace quicmesh::io {
namespace {

SocketTable listening_on(std::initializer_list<const char*> addresses) {
  std::vector<UdpSocket> sockets;
  for (const char* address : addresses) {
    auto socket = UdpSocket::open({*IpAddress::parse(address), 0});
    if (socket) sockets.push_back(std::move(*socket));
  }
  return SocketTable(std::move(sockets));
}

TEST(SocketTable, what_goes_out_is_bound_where_the_node_listens) {
  SocketTable table = listening_on({"127.0.0.1"});
  const auto opened = table.open(IpFamily::v4);
  ASSERT_TRUE(opened);
  EXPECT_EQ(table.find(*opened)->local().ip, *IpAddress::parse("127.0.0.1"));
  EXPECT_EQ(table.open(IpFamily::v6).error(), std::errc::address_family_not_supported);
}

TEST(SocketTable, a_node_that_listens_everywhere_goes_out_anywhere) {
  SocketTable table = listening_on({"0.0.0.0"});
  for (const IpFamily family : {IpFamily::v4, IpFamily::v6})
    EXPECT_EQ(table.outgoing_address(family), IpAddress::any(family));
}

TEST(SocketTable, an_id_given_back_is_not_used_again_at_once) {
  SocketTable table = listening_on({"127.0.0.1"});
  const auto first = table.open(IpFamily::v4);
  ASSERT_TRUE(first);
  table.close(*first);
  EXPECT_EQ(table.find(*first), nullptr);
  const auto second = table.open(IpFamily::v4);
  ASSERT_TRUE(second);
  EXPECT_NE(*first, *second);
}

}  // namespace
}  // namespace quicmesh::io
