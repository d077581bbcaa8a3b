// Opening and configuring the socket, and the two directions; see udp_socket.hpp.
#include "io/udp_socket.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/sockaddr.hpp"
#include "io/system_error.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace {

constexpr int buffer_bytes = 8 << 20;
constexpr int buffer_bytes_least = 4 << 20;

void set_option(int descriptor, int level, int option, int value) {
  // Each option improves the service, and none is needed for it.
  (void)::setsockopt(descriptor, level, option, &value, sizeof value);
}

void set_buffer(int descriptor, int option, int forced_option) {
  // The forced variant passes over net.core.*mem_max, and needs CAP_NET_ADMIN.
  const int wanted = buffer_bytes;
  if (::setsockopt(descriptor, SOL_SOCKET, forced_option, &wanted, sizeof wanted) == 0) return;
  if (::setsockopt(descriptor, SOL_SOCKET, option, &wanted, sizeof wanted) == 0) return;
  set_option(descriptor, SOL_SOCKET, option, buffer_bytes_least);
}

void configure(int descriptor, IpFamily family, bool offload) {
  set_buffer(descriptor, SO_RCVBUF, SO_RCVBUFFORCE);
  set_buffer(descriptor, SO_SNDBUF, SO_SNDBUFFORCE);
  if (offload) set_option(descriptor, IPPROTO_UDP, UDP_GRO, 1);
  if (family == IpFamily::v4) {
    set_option(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(descriptor, IPPROTO_IP, IP_RECVTOS, 1);
    set_option(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
  } else {
    set_option(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(descriptor, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    set_option(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
  }
}

template <class T>
void append_control(msghdr& message, std::size_t& used, int level, int type, const T& value) {
  auto* header = reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) + used);
  header->cmsg_level = level;
  header->cmsg_type = type;
  header->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(header), &value, sizeof value);
  used += CMSG_SPACE(sizeof value);
}

void append_source(msghdr& message, std::size_t& used, const IpAddress& local) {
  if (local.is_unspecified()) return;
  if (local.family() == IpFamily::v4) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, local.bytes().data(), sizeof info.ipi_spec_dst);
    append_control(message, used, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, local.bytes().data(), sizeof info.ipi6_addr);
    append_control(message, used, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

void read_control(const msghdr& message, ReceivedTrain& train) {
  auto& mutable_message = const_cast<msghdr&>(message);
  for (cmsghdr* header = CMSG_FIRSTHDR(&mutable_message); header != nullptr;
       header = CMSG_NXTHDR(&mutable_message, header)) {
    const unsigned char* data = CMSG_DATA(header);
    if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, data, sizeof size);
      if (size > 0) train.segment_size = static_cast<std::size_t>(size);
    } else if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_PKTINFO) {
      in_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      train.local = from_kernel(info.ipi_addr);
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info;
      std::memcpy(&info, data, sizeof info);
      train.local = from_kernel(info.ipi6_addr);
    } else if (header->cmsg_level == IPPROTO_IP && header->cmsg_type == IP_TOS) {
      train.ecn = static_cast<Ecn>(*data & 3);
    } else if (header->cmsg_level == IPPROTO_IPV6 && header->cmsg_type == IPV6_TCLASS) {
      int traffic_class = 0;
      std::memcpy(&traffic_class, data, sizeof traffic_class);
      train.ecn = static_cast<Ecn>(traffic_class & 3);
    }
  }
}

}  // namespace

Result<UdpSocket> UdpSocket::open(const SocketAddress& local, bool offload) {
  const int domain = local.ip.family() == IpFamily::v4 ? AF_INET : AF_INET6;
  FileDescriptor descriptor(::socket(domain, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor) return failure(socket_error(errno));
  configure(descriptor.get(), local.ip.family(), offload);
  const KernelAddress wanted = to_kernel(local);
  if (::bind(descriptor.get(), wanted.data(), wanted.size) != 0) {
    return failure(socket_error(errno));
  }
  KernelAddress bound;
  bound.size = sizeof bound.storage;
  if (::getsockname(descriptor.get(), bound.data(), &bound.size) != 0) {
    return failure(socket_error(errno));
  }
  return UdpSocket(std::move(descriptor), from_kernel(bound.data()).value_or(local), offload);
}

std::optional<ReceivedTrain> UdpSocket::receive(MutableByteView buffer) {
  KernelAddress remote;
  iovec vector{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, 256> control;
  for (;;) {
    msghdr message{};
    message.msg_name = remote.data();
    message.msg_namelen = sizeof remote.storage;
    message.msg_iov = &vector;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const ssize_t size = ::recvmsg(descriptor_.get(), &message, 0);
    if (size < 0) {
      // Other errors are ICMP's, queued for some earlier packet: they are gone when reported.
      if (errno == EAGAIN || errno == EWOULDBLOCK) return std::nullopt;
      continue;
    }
    ++counters_.receive_calls;
    if ((message.msg_flags & MSG_TRUNC) != 0) {
      ++counters_.datagrams_truncated;
      continue;
    }
    const auto address = from_kernel(remote.data());
    if (size == 0 || !address) continue;
    ReceivedTrain train;
    train.remote = *address;
    train.local = IpAddress::any(family());
    train.size = train.segment_size = static_cast<std::size_t>(size);
    read_control(message, train);
    counters_.bytes_received += train.size;
    counters_.datagrams_received += (train.size + train.segment_size - 1) / train.segment_size;
    return train;
  }
}

SendOutcome UdpSocket::send(const Transmit& transmit, ByteView data, std::size_t& offset) {
  const std::size_t segment = transmit.segment_size;
  while (offset < transmit.size) {
    std::size_t chunk = segment;
    if (gso_) {
      const std::size_t fitting = std::max<std::size_t>(1, train_bytes_max / segment);
      chunk = segment * std::min(fitting, segments_max);
    }
    chunk = std::min(chunk, transmit.size - offset);
    const bool as_train = chunk > segment;
    const int error = send_once(transmit, data.subspan(offset, chunk), as_train);
    if (error == EINTR) continue;
    if (error == EAGAIN || error == EWOULDBLOCK || error == ENOBUFS) {
      ++counters_.delayed;
      return error == ENOBUFS ? SendOutcome::no_buffers : SendOutcome::full;
    }
    if (as_train && (error == EIO || error == EINVAL)) {
      // A device without checksum offload, or a kernel without UDP_SEGMENT.
      gso_ = false;
      ++counters_.refused_gso;
      continue;
    }
    const std::size_t datagrams = (chunk + segment - 1) / segment;
    if (error == 0) {
      counters_.datagrams_sent += datagrams;
      counters_.bytes_sent += chunk;
    } else if (error == EMSGSIZE) {
      counters_.too_large += datagrams;
    } else {
      counters_.failed += datagrams;
    }
    offset += chunk;
  }
  return SendOutcome::done;
}

int UdpSocket::send_once(const Transmit& transmit, ByteView data, bool as_train) {
  KernelAddress remote = to_kernel(transmit.path.remote);
  iovec vector{const_cast<std::uint8_t*>(data.data()), data.size()};
  alignas(cmsghdr) std::array<char, 128> control{};
  msghdr message{};
  message.msg_name = remote.data();
  message.msg_namelen = remote.size;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  std::size_t used = 0;
  if (as_train) {
    const auto segment = static_cast<std::uint16_t>(transmit.segment_size);
    append_control(message, used, IPPROTO_UDP, UDP_SEGMENT, segment);
  }
  append_source(message, used, transmit.path.local);
  if (transmit.ecn != Ecn::not_ect) {
    const int bits = static_cast<int>(transmit.ecn);
    if (family() == IpFamily::v4) {
      append_control(message, used, IPPROTO_IP, IP_TOS, bits);
    } else {
      append_control(message, used, IPPROTO_IPV6, IPV6_TCLASS, bits);
    }
  }
  if (transmit.hop_limit != 0) {
    const int limit = transmit.hop_limit;
    if (family() == IpFamily::v4) {
      append_control(message, used, IPPROTO_IP, IP_TTL, limit);
    } else {
      append_control(message, used, IPPROTO_IPV6, IPV6_HOPLIMIT, limit);
    }
  }
  message.msg_controllen = used;
  if (used == 0) message.msg_control = nullptr;
  ++counters_.send_calls;
  const ssize_t sent = send_function_ ? send_function_(descriptor_.get(), &message, 0)
                                      : ::sendmsg(descriptor_.get(), &message, 0);
  return sent < 0 ? errno : 0;
}

}  // namespace quicmesh::io
