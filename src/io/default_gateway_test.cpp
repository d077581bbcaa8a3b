// The default route, as the kernel's table says it.
#include "io/default_gateway.hpp"

#include <gtest/gtest.h>

namespace quicmesh::io {
namespace {

constexpr std::string_view head =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n";

std::string table(std::string_view rows) {
  return std::string(head).append(rows);
}

TEST(DefaultGateway, is_the_router_of_the_default_route_with_the_least_metric) {
  const auto router =
      parse_default_router(table("wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
                                 "eth0\t00000000\tFE01A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
                                 "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"));
  ASSERT_TRUE(router);
  EXPECT_EQ(router->to_string(), "192.168.1.254");
}

TEST(DefaultGateway, none_without_a_router_that_is_up) {
  EXPECT_FALSE(parse_default_router(""));
  EXPECT_FALSE(parse_default_router(head));
  // A point-to-point link, a route that is down, a network route, and rubbish.
  EXPECT_FALSE(
      parse_default_router(table("ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\n")));
  EXPECT_FALSE(
      parse_default_router(table("eth0\t00000000\t0101A8C0\t0002\t0\t0\t0\t00000000\t0\n")));
  EXPECT_FALSE(
      parse_default_router(table("eth0\t0001A8C0\t0101A8C0\t0003\t0\t0\t0\t00FFFFFF\t0\n")));
  EXPECT_FALSE(parse_default_router(table("eth0\t00000000\tzz\t0003\t0\t0\t0\t00000000\t0\n")));
  EXPECT_FALSE(parse_default_router(table("eth0\t00000000\t0101A8C0\n")));
}

}  // namespace
}  // namespace quicmesh::io
