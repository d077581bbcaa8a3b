// See netlink_news.hpp.
#include "io/netlink_news.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace quicmesh::io {
namespace {

using Verdict = NetlinkNews::Verdict;

// Messages are aligned in the datagram, but the datagram need not be in memory.
template <class Header>
std::optional<Header> header_at(ByteView bytes, std::size_t offset) {
  if (bytes.size() < offset + sizeof(Header)) return std::nullopt;
  Header header;
  std::memcpy(&header, bytes.data() + offset, sizeof header);
  return header;
}

Verdict judge_route(const rtmsg& route) {
  const bool cached = (route.rtm_flags & RTM_F_CLONED) != 0;
  if (cached || route.rtm_table == RT_TABLE_LOCAL) return Verdict::nothing;
  // Made for an address, or by a router's advertisement, and renewed with it.
  const bool derived = route.rtm_protocol == RTPROT_KERNEL || route.rtm_protocol == RTPROT_RA;
  return derived ? Verdict::doubtful : Verdict::changed;
}

Verdict judge(std::uint16_t type, ByteView message) {
  switch (type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return Verdict::doubtful;
    case RTM_NEWROUTE:
    case RTM_DELROUTE:
      if (const auto route = header_at<rtmsg>(message, NLMSG_HDRLEN)) return judge_route(*route);
      break;
    default:
      break;
  }
  return Verdict::nothing;
}

}  // namespace

void NetlinkNews::handle_messages(Instant now, ByteView messages) {
  Verdict verdict = Verdict::nothing;
  while (const auto header = header_at<nlmsghdr>(messages, 0)) {
    if (header->nlmsg_len < NLMSG_HDRLEN || header->nlmsg_len > messages.size()) break;
    verdict = std::max(verdict, judge(header->nlmsg_type, messages.first(header->nlmsg_len)));
    const std::size_t taken = NLMSG_ALIGN(std::size_t{header->nlmsg_len});
    messages = messages.subspan(std::min(taken, messages.size()));
  }
  note(now, verdict);
}

void NetlinkNews::note(Instant now, Verdict verdict) {
  if (verdict == Verdict::nothing) return;
  if (verdict_ == Verdict::nothing) first_ = now;
  last_ = now;
  verdict_ = std::max(verdict_, verdict);
}

Instant NetlinkNews::deadline() const {
  if (verdict_ == Verdict::nothing) return never;
  const Instant settled = std::min(last_ + settle, first_ + settle_max);
  return polled_ ? std::max(settled, *polled_ + interval_min) : settled;
}

std::optional<NetlinkNews::Verdict> NetlinkNews::poll(Instant now) {
  if (now < deadline()) return std::nullopt;
  polled_ = now;
  return std::exchange(verdict_, Verdict::nothing);
}

}  // namespace quicmesh::io
