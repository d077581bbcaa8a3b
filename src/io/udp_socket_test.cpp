// Sockets on loopback: trains, addresses, ECN; and kernels that refuse, put in by the send
// function.
#include "io/udp_socket.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>

#include <cerrno>
#include <numeric>

#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace {

UdpSocket open_loopback(IpFamily family) {
  return UdpSocket::open({IpAddress::loopback(family), 0}).value();
}

Bytes numbered(std::size_t size) {
  Bytes bytes(size);
  std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
  return bytes;
}

Transmit to(const UdpSocket& socket, std::size_t size, std::size_t segment) {
  Transmit transmit;
  transmit.path.remote = socket.local();
  transmit.path.local = IpAddress::any(socket.family());
  transmit.size = size;
  transmit.segment_size = segment;
  return transmit;
}

/// Everything that arrives, put together; and the sizes of the datagrams.
struct Arrived {
  Bytes bytes;
  std::vector<std::size_t> sizes;
  ReceivedTrain last;
};

Arrived receive_all(UdpSocket& socket, std::size_t expected) {
  Arrived arrived;
  Bytes buffer(UdpSocket::receive_buffer_size);
  while (arrived.bytes.size() < expected) {
    pollfd waiting{socket.descriptor(), POLLIN, 0};
    if (::poll(&waiting, 1, 5'000) != 1) break;  // a guard against hanging only
    while (const auto train = socket.receive(buffer)) {
      for (std::size_t at = 0; at < train->size; at += train->segment_size) {
        arrived.sizes.push_back(std::min(train->segment_size, train->size - at));
      }
      arrived.bytes.insert(arrived.bytes.end(), buffer.begin(),
                           buffer.begin() + static_cast<std::ptrdiff_t>(train->size));
      arrived.last = *train;
    }
  }
  return arrived;
}

bool is_train(const msghdr* message) {
  for (auto* header = CMSG_FIRSTHDR(message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(message), header)) {
    if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_SEGMENT) return true;
  }
  return false;
}

class UdpSocketOfFamily : public testing::TestWithParam<IpFamily> {};
INSTANTIATE_TEST_SUITE_P(Both, UdpSocketOfFamily, testing::Values(IpFamily::v4, IpFamily::v6));

TEST_P(UdpSocketOfFamily, train_arrives_cut_as_it_was_sent) {
  UdpSocket from = open_loopback(GetParam());
  UdpSocket at = open_loopback(GetParam());
  const Bytes data = numbered(10 * 1200 + 77);
  std::size_t offset = 0;
  EXPECT_EQ(from.send(to(at, data.size(), 1200), data, offset), SendOutcome::done);
  EXPECT_EQ(offset, data.size());
  const Arrived arrived = receive_all(at, data.size());
  EXPECT_EQ(arrived.bytes, data);
  EXPECT_EQ(arrived.sizes.size(), 11u);
  EXPECT_EQ(arrived.sizes.back(), 77u);
  EXPECT_EQ(arrived.last.remote, from.local());
  EXPECT_EQ(arrived.last.local, IpAddress::loopback(GetParam()));
  EXPECT_EQ(from.counters().send_calls, 1u);
  EXPECT_EQ(from.counters().datagrams_sent, 11u);
  EXPECT_EQ(at.counters().datagrams_received, 11u);
}

TEST_P(UdpSocketOfFamily, ecn_bits_travel) {
  UdpSocket from = open_loopback(GetParam());
  UdpSocket at = open_loopback(GetParam());
  for (const Ecn ecn : {Ecn::ect0, Ecn::ect1, Ecn::ce, Ecn::not_ect}) {
    Transmit transmit = to(at, 100, 100);
    transmit.ecn = ecn;
    std::size_t offset = 0;
    EXPECT_EQ(from.send(transmit, numbered(100), offset), SendOutcome::done);
    EXPECT_EQ(receive_all(at, 100).last.ecn, ecn);
  }
}

TEST(UdpSocket, source_address_is_the_one_asked_for) {
  UdpSocket from = UdpSocket::open({IpAddress::any(IpFamily::v4), 0}).value();
  UdpSocket at = open_loopback(IpFamily::v4);
  Transmit transmit = to(at, 100, 100);
  transmit.path.local = IpAddress::parse("127.0.0.77").value();
  std::size_t offset = 0;
  EXPECT_EQ(from.send(transmit, numbered(100), offset), SendOutcome::done);
  EXPECT_EQ(receive_all(at, 100).last.remote.ip, transmit.path.local);
}

TEST(UdpSocket, more_segments_than_a_train_holds_are_sent_in_several) {
  UdpSocket from = open_loopback(IpFamily::v4);
  UdpSocket at = open_loopback(IpFamily::v4);
  const Bytes data = numbered(150 * 400);
  std::size_t offset = 0;
  EXPECT_EQ(from.send(to(at, data.size(), 400), data, offset), SendOutcome::done);
  EXPECT_EQ(from.counters().send_calls, 3u);  // 64 + 64 + 22
  EXPECT_EQ(receive_all(at, data.size()).bytes, data);
}

class RefusedGso : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Errors, RefusedGso, testing::Values(EIO, EINVAL));

TEST_P(RefusedGso, train_goes_out_one_by_one_and_later_ones_too) {
  UdpSocket from = open_loopback(IpFamily::v4);
  UdpSocket at = open_loopback(IpFamily::v4);
  int trains_tried = 0;
  from.set_send_function([&](int descriptor, const msghdr* message, int flags) -> ssize_t {
    if (!is_train(message)) return ::sendmsg(descriptor, message, flags);
    ++trains_tried;
    errno = GetParam();
    return -1;
  });
  const Bytes data = numbered(5 * 1000 + 1);
  for (int i = 0; i < 2; ++i) {
    std::size_t offset = 0;
    EXPECT_EQ(from.send(to(at, data.size(), 1000), data, offset), SendOutcome::done);
    EXPECT_EQ(receive_all(at, data.size()).bytes, data);
  }
  EXPECT_FALSE(from.gso());
  EXPECT_EQ(trains_tried, 1);
  EXPECT_EQ(from.counters().refused_gso, 1u);
  EXPECT_EQ(from.counters().datagrams_sent, 12u);
}

TEST(UdpSocket, full_socket_is_resumed_where_it_stopped) {
  UdpSocket from = open_loopback(IpFamily::v4);
  UdpSocket at = open_loopback(IpFamily::v4);
  int calls = 0;
  int error = EAGAIN;
  from.set_send_function([&](int descriptor, const msghdr* message, int flags) -> ssize_t {
    if (++calls == 2) {
      errno = error;
      return -1;
    }
    return ::sendmsg(descriptor, message, flags);
  });
  const Bytes data = numbered(100 * 500);  // two trains
  const Transmit transmit = to(at, data.size(), 500);
  std::size_t offset = 0;
  EXPECT_EQ(from.send(transmit, data, offset), SendOutcome::full);
  EXPECT_EQ(offset, 64u * 500u);
  EXPECT_EQ(from.send(transmit, data, offset), SendOutcome::done);
  EXPECT_EQ(receive_all(at, data.size()).bytes, data);
  EXPECT_EQ(from.counters().delayed, 1u);

  calls = 1;
  error = ENOBUFS;
  offset = 0;
  EXPECT_EQ(from.send(transmit, data, offset), SendOutcome::no_buffers);
  EXPECT_EQ(offset, 0u);
}

TEST(UdpSocket, datagram_larger_than_the_path_counts_as_lost) {
  UdpSocket from = open_loopback(IpFamily::v4);
  UdpSocket at = open_loopback(IpFamily::v4);
  from.set_send_function([](int, const msghdr*, int) -> ssize_t {
    errno = EMSGSIZE;
    return -1;
  });
  std::size_t offset = 0;
  EXPECT_EQ(from.send(to(at, 100, 100), numbered(100), offset), SendOutcome::done);
  EXPECT_EQ(from.counters().too_large, 1u);
  EXPECT_EQ(from.counters().datagrams_sent, 0u);
}

TEST(UdpSocket, unreachable_peer_costs_packets_and_nothing_else) {
  UdpSocket from = open_loopback(IpFamily::v4);
  from.set_send_function([](int, const msghdr*, int) -> ssize_t {
    errno = EHOSTUNREACH;
    return -1;
  });
  std::size_t offset = 0;
  EXPECT_EQ(from.send(to(from, 300, 100), numbered(300), offset), SendOutcome::done);
  EXPECT_EQ(from.counters().failed, 3u);
}

TEST(UdpSocket, open_tells_what_is_wrong_with_the_address) {
  const UdpSocket first = open_loopback(IpFamily::v4);
  EXPECT_EQ(UdpSocket::open(first.local()).error(), IoErrc::address_in_use);
  const auto foreign = UdpSocket::open(SocketAddress::parse("192.0.2.1:0").value());
  EXPECT_EQ(foreign.error(), IoErrc::no_such_address);
}

TEST(UdpSocket, both_families_can_share_a_port) {
  const auto v6 = UdpSocket::open({IpAddress::any(IpFamily::v6), 0}).value();
  const auto v4 = UdpSocket::open({IpAddress::any(IpFamily::v4), v6.local().port});
  ASSERT_TRUE(v4.has_value()) << "IPV6_V6ONLY is not set";
}

}  // namespace
}  // namespace quicmesh::io
