// A non-blocking UDP socket with segmentation offload; see udp_socket.hpp.
#include "common/udp_socket.hpp"

#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "common/measure.hpp"

namespace bench {

namespace {

// Missing from older <netinet/udp.h>; the numbers are the kernel's (include/uapi/linux/udp.h).
constexpr int udp_segment = 103;
constexpr int udp_gro = 104;

void set_option(int fd, int level, int name, int value) {
  if (setsockopt(fd, level, name, &value, sizeof value) != 0) {
    fail(std::string("setsockopt: ") + std::strerror(errno));
  }
}

}  // namespace

sockaddr_in loopback_address(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

UdpSocket::UdpSocket(const SocketOptions& options) : options_(options) {
  fd_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0) fail("cannot open a UDP socket");
  local_ = loopback_address(options.port);
  if (bind(fd_, reinterpret_cast<const sockaddr*>(&local_), sizeof local_) != 0) {
    fail(std::string("bind: ") + std::strerror(errno));
  }
  socklen_t length = sizeof local_;
  getsockname(fd_, reinterpret_cast<sockaddr*>(&local_), &length);
  // The FORCE variants pass net.core.*mem_max and need a privilege; without it the plain ones do.
  const int bytes = options.buffer_bytes;
  if (setsockopt(fd_, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) {
    set_option(fd_, SOL_SOCKET, SO_RCVBUF, bytes);
  }
  if (setsockopt(fd_, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0) {
    set_option(fd_, SOL_SOCKET, SO_SNDBUF, bytes);
  }
  if (options.gro) set_option(fd_, SOL_UDP, udp_gro, 1);
}

UdpSocket::~UdpSocket() {
  close(fd_);
}

void UdpSocket::send(const sockaddr_in& to, std::span<const std::uint8_t> train,
                     std::size_t segment) {
  if (options_.gso || train.size() <= segment) {
    send_one(to, train, segment);
    return;
  }
  while (!train.empty()) {
    const std::size_t size = std::min(segment, train.size());
    send_one(to, train.first(size), size);
    train = train.subspan(size);
  }
}

void UdpSocket::send_one(const sockaddr_in& to, std::span<const std::uint8_t> bytes,
                         std::size_t segment) {
  iovec piece{const_cast<std::uint8_t*>(bytes.data()), bytes.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::uint16_t))] = {};
  msghdr message{};
  message.msg_name = const_cast<sockaddr_in*>(&to);
  message.msg_namelen = sizeof to;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  if (bytes.size() > segment) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_UDP;
    header->cmsg_type = udp_segment;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto value = static_cast<std::uint16_t>(segment);
    std::memcpy(CMSG_DATA(header), &value, sizeof value);
  }
  while (sendmsg(fd_, &message, 0) < 0) {
    if (errno == EAGAIN || errno == ENOBUFS) {
      pollfd writable{fd_, POLLOUT, 0};
      poll(&writable, 1, 1);
    } else if (errno == ECONNREFUSED) {
      return;  // The other end has gone: its last datagram bounced, this one would too.
    } else if (errno != EINTR) {
      fail(std::string("sendmsg: ") + std::strerror(errno));
    }
  }
}

std::optional<ReceivedTrain> UdpSocket::receive(std::span<std::uint8_t> buffer) {
  ReceivedTrain train;
  iovec piece{buffer.data(), buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  msghdr message{};
  message.msg_name = &train.from;
  message.msg_namelen = sizeof train.from;
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t size = recvmsg(fd_, &message, 0);
  if (size <= 0) return std::nullopt;
  train.bytes = static_cast<std::size_t>(size);
  train.segment = train.bytes;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_UDP || header->cmsg_type != udp_gro) continue;
    int value = 0;
    std::memcpy(&value, CMSG_DATA(header), sizeof value);
    if (value > 0) train.segment = static_cast<std::size_t>(value);
  }
  return train;
}

bool UdpSocket::wait_readable(int timeout_ms) const {
  pollfd readable{fd_, POLLIN, 0};
  return poll(&readable, 1, timeout_ms) > 0;
}

}  // namespace bench
