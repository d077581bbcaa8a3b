// See network_watch.hpp.
#include "io/network_watch.hpp"

#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/sockaddr.hpp"
#include "io/system_error.hpp"

namespace quicmesh::io {
namespace {

constexpr std::size_t notices_max_bytes = 32'768;  // the kernel's own bound of one datagram
constexpr int datagrams_per_turn = 64;             // the rest is told by the next readiness

// Which way packets to these go is the way to the internet; nothing is sent there. They are root
// name servers (a and b): such addresses stay what they are.
constexpr IpAddress probe_v4 = IpAddress::v4({198, 41, 0, 4});
const IpAddress probe_v6 =
    IpAddress::v6({0x20, 0x01, 0x05, 0x03, 0xba, 0x3e, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0x30});

Result<FileDescriptor> open_netlink(unsigned groups) {
  FileDescriptor socket(
      ::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!socket) return failure(socket_error(errno));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return failure(socket_error(errno));
  }
  return socket;
}

std::size_t size_of(IpFamily family) {
  return family == IpFamily::v4 ? 4 : 16;
}

IpAddress address_from(IpFamily family, ByteView bytes) {
  if (family == IpFamily::v4) return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
  std::array<std::uint8_t, 16> all{};
  std::ranges::copy(bytes.first(16), all.begin());
  return IpAddress::v6(all);
}

// A question for the route to `destination` (RTM_GETROUTE with one attribute).
Bytes route_question(const IpAddress& destination) {
  const std::size_t size = size_of(destination.family());
  Bytes question(NLMSG_SPACE(sizeof(rtmsg)) + RTA_SPACE(size));
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(question.size());
  header.nlmsg_type = RTM_GETROUTE;
  header.nlmsg_flags = NLM_F_REQUEST;
  rtmsg route{};
  route.rtm_family = destination.family() == IpFamily::v4 ? AF_INET : AF_INET6;
  route.rtm_dst_len = static_cast<std::uint8_t>(size * 8);
  rtattr attribute{};
  attribute.rta_len = static_cast<std::uint16_t>(RTA_LENGTH(size));
  attribute.rta_type = RTA_DST;
  std::memcpy(question.data(), &header, sizeof header);
  std::memcpy(question.data() + NLMSG_HDRLEN, &route, sizeof route);
  std::uint8_t* const at = question.data() + NLMSG_SPACE(sizeof(rtmsg));
  std::memcpy(at, &attribute, sizeof attribute);
  std::memcpy(at + RTA_LENGTH(0), destination.bytes().data(), size);
  return question;
}

Route read_route(IpFamily family, ByteView answer) {
  Route found;
  nlmsghdr header{};
  if (answer.size() < NLMSG_SPACE(sizeof(rtmsg))) return found;
  std::memcpy(&header, answer.data(), sizeof header);
  if (header.nlmsg_type != RTM_NEWROUTE) return found;  // an error: there is no route
  ByteView rest = answer.first(std::min<std::size_t>(answer.size(), header.nlmsg_len));
  rest = rest.subspan(std::min<std::size_t>(rest.size(), NLMSG_SPACE(sizeof(rtmsg))));
  while (rest.size() >= sizeof(rtattr)) {
    rtattr attribute{};
    std::memcpy(&attribute, rest.data(), sizeof attribute);
    if (attribute.rta_len < RTA_LENGTH(0) || attribute.rta_len > rest.size()) break;
    const ByteView value = rest.subspan(RTA_LENGTH(0), attribute.rta_len - RTA_LENGTH(0));
    if (attribute.rta_type == RTA_OIF && value.size() >= sizeof found.interface_index) {
      std::memcpy(&found.interface_index, value.data(), sizeof found.interface_index);
    } else if (attribute.rta_type == RTA_GATEWAY && value.size() >= size_of(family)) {
      found.gateway = address_from(family, value);
    } else if (attribute.rta_type == RTA_PREFSRC && value.size() >= size_of(family)) {
      found.source = address_from(family, value);
    }
    rest = rest.subspan(std::min<std::size_t>(rest.size(), RTA_ALIGN(attribute.rta_len)));
  }
  return found;
}

Route route_to(int socket, const IpAddress& destination) {
  const Bytes question = route_question(destination);
  // The kernel answers within the call: the answer waits when it returns.
  if (::send(socket, question.data(), question.size(), 0) < 0) return {};
  Bytes answer(4096);
  const ssize_t size = ::recv(socket, answer.data(), answer.size(), MSG_DONTWAIT);
  if (size <= 0) return {};
  return read_route(destination.family(), ByteView(answer).first(static_cast<std::size_t>(size)));
}

std::vector<std::pair<std::string, IpAddress>> read_addresses() {
  std::vector<std::pair<std::string, IpAddress>> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    const bool works = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_RUNNING) != 0;
    if (one->ifa_addr == nullptr || !works) continue;
    const auto address = from_kernel(one->ifa_addr);
    // Link-local addresses are not told to anybody, and every bridge and container has one.
    if (!address || address->ip.scope() == AddressScope::link_local) continue;
    addresses.emplace_back(one->ifa_name, address->ip);
  }
  ::freeifaddrs(list);
  std::ranges::sort(addresses);
  return addresses;
}

}  // namespace

Result<NetworkState> read_network_state() {
  const auto socket = open_netlink(0);
  if (!socket) return failure(socket.error());
  NetworkState state;
  state.addresses = read_addresses();
  state.internet = {route_to(socket->get(), probe_v4), route_to(socket->get(), probe_v6)};
  return state;
}

Result<std::unique_ptr<NetworkWatch>> NetworkWatch::open() {
  auto socket = open_netlink(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                             RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
  if (!socket) return failure(socket.error());
  // After the socket listens: a change in between is noticed twice rather than never.
  auto state = read_network_state();
  if (!state) return failure(state.error());
  auto watch = std::unique_ptr<NetworkWatch>(new NetworkWatch(std::move(*socket)));
  watch->state_ = std::move(*state);
  return watch;
}

void NetworkWatch::receive(Instant now) {
  Bytes buffer(notices_max_bytes);
  for (int i = 0; i < datagrams_per_turn; ++i) {
    sockaddr_nl from{};
    socklen_t from_size = sizeof from;
    const ssize_t size = ::recvfrom(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT,
                                    reinterpret_cast<sockaddr*>(&from), &from_size);
    if (size >= 0) {
      if (from.nl_pid != 0) continue;  // not the kernel's
      news_.handle_messages(now, ByteView(buffer).first(static_cast<std::size_t>(size)));
    } else if (errno == ENOBUFS) {
      news_.handle_overflow(now);
    } else if (errno != EINTR) {
      return;
    }
  }
}

bool NetworkWatch::poll(Instant now) {
  const auto verdict = news_.poll(now);
  if (!verdict) return false;
  auto state = read_network_state();
  const bool other = !state || *state != state_;
  if (state) state_ = std::move(*state);
  return other || *verdict == NetlinkNews::Verdict::changed;
}

}  // namespace quicmesh::io
