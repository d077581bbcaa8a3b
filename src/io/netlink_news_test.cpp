// What the kernel's notices mean, and when they are acted upon.
#include "io/netlink_news.hpp"

#include <gtest/gtest.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <sys/socket.h>

#include <cstring>

namespace quicmesh::io {
namespace {

using Verdict = NetlinkNews::Verdict;

constexpr Instant t0{100s};

template <class Body>
Bytes notice(std::uint16_t type, const Body& body) {
  Bytes bytes(NLMSG_SPACE(sizeof body));
  nlmsghdr header{};
  header.nlmsg_len = NLMSG_LENGTH(sizeof body);
  header.nlmsg_type = type;
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + NLMSG_HDRLEN, &body, sizeof body);
  return bytes;
}

Bytes route(std::uint8_t protocol, std::uint8_t table = RT_TABLE_MAIN, unsigned flags = 0) {
  rtmsg body{};
  body.rtm_family = AF_INET;
  body.rtm_protocol = protocol;
  body.rtm_table = table;
  body.rtm_flags = flags;
  return notice(RTM_NEWROUTE, body);
}

Bytes address() {
  return notice(RTM_NEWADDR, ifaddrmsg{});
}

Verdict verdict_on(const Bytes& messages) {
  NetlinkNews news;
  news.handle_messages(t0, messages);
  return news.poll(t0 + NetlinkNews::settle).value_or(Verdict::nothing);
}

TEST(NetlinkNews, tells_what_is_renewed_from_what_somebody_has_set) {
  EXPECT_EQ(verdict_on(address()), Verdict::doubtful);
  EXPECT_EQ(verdict_on(notice(RTM_DELADDR, ifaddrmsg{})), Verdict::doubtful);
  EXPECT_EQ(verdict_on(notice(RTM_NEWLINK, ifinfomsg{})), Verdict::doubtful);
  EXPECT_EQ(verdict_on(notice(RTM_DELLINK, ifinfomsg{})), Verdict::doubtful);
  EXPECT_EQ(verdict_on(route(RTPROT_RA)), Verdict::doubtful);
  EXPECT_EQ(verdict_on(route(RTPROT_KERNEL)), Verdict::doubtful);
  EXPECT_EQ(verdict_on(route(RTPROT_BOOT)), Verdict::changed);
  EXPECT_EQ(verdict_on(route(RTPROT_STATIC)), Verdict::changed);
  EXPECT_EQ(verdict_on(route(RTPROT_STATIC, RT_TABLE_LOCAL)), Verdict::nothing);
  EXPECT_EQ(verdict_on(route(RTPROT_STATIC, RT_TABLE_MAIN, RTM_F_CLONED)), Verdict::nothing);
  EXPECT_EQ(verdict_on(notice(RTM_NEWNEIGH, ndmsg{})), Verdict::nothing);
}

TEST(NetlinkNews, several_notices_in_one_datagram_count_as_the_gravest) {
  Bytes both = address();
  const Bytes second = route(RTPROT_STATIC);
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(verdict_on(both), Verdict::changed);
  for (std::size_t size = 0; size < both.size(); ++size) {
    (void)verdict_on(Bytes(both.begin(), both.begin() + static_cast<std::ptrdiff_t>(size)));
  }
  Bytes liar = address();
  liar[0] = 0xff;  // longer than the datagram
  EXPECT_EQ(verdict_on(liar), Verdict::nothing);
  liar[0] = 1;  // shorter than its own header
  EXPECT_EQ(verdict_on(liar), Verdict::nothing);
}

// A socket that overflowed has lost what nobody can know.
TEST(NetlinkNews, lost_notices_are_news) {
  NetlinkNews news;
  news.handle_overflow(t0);
  EXPECT_EQ(news.deadline(), t0 + NetlinkNews::settle);
  EXPECT_EQ(news.poll(t0 + NetlinkNews::settle), Verdict::changed);
}

TEST(NetlinkNews, a_burst_is_one_change) {
  NetlinkNews news;
  EXPECT_EQ(news.deadline(), never);
  EXPECT_EQ(news.poll(t0), std::nullopt);
  news.handle_messages(t0, address());
  news.handle_messages(t0 + 90ms, address());
  EXPECT_EQ(news.deadline(), t0 + 190ms);
  EXPECT_EQ(news.poll(t0 + 189ms), std::nullopt);
  EXPECT_EQ(news.poll(t0 + 190ms), Verdict::doubtful);
  EXPECT_EQ(news.deadline(), never);
  EXPECT_EQ(news.poll(t0 + 1h), std::nullopt) << "said once";
}

TEST(NetlinkNews, notices_without_end_are_acted_upon_once_a_second) {
  NetlinkNews news;
  int polled = 0;
  for (Duration at = 0ms; at < 10s; at += 10ms) {
    news.handle_messages(t0 + at, address());
    if (news.poll(t0 + at)) ++polled;
  }
  EXPECT_GE(polled, 8);
  EXPECT_LE(polled, 10);
  // Nor do changes that come one by one.
  NetlinkNews slow;
  polled = 0;
  for (Duration at = 0ms; at < 10s; at += 200ms) {
    slow.handle_messages(t0 + at, address());
    if (slow.poll(t0 + at + 150ms)) ++polled;
  }
  EXPECT_LE(polled, 11);
}

}  // namespace
}  // namespace quicmesh::io
