// A non-blocking UDP socket on 127.0.0.1 with segmentation offload both ways.
//
// Sending (UDP_SEGMENT): one sendmsg carries a train of datagrams of equal size, the last may be
// shorter. Receiving (UDP_GRO): one recvmsg returns such a train and the size of its segments. On
// loopback a train crosses the kernel once instead of once a datagram, which is a factor of twenty
// and more; both can be switched off as the negative control.
#pragma once

#include <netinet/in.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace bench {

struct SocketOptions {
  std::uint16_t port = 0;
  bool gso = true;
  bool gro = true;
  int buffer_bytes = 4 << 20;
};

/// The largest train one sendmsg takes: 65,535 less the IPv4 and UDP headers.
constexpr std::size_t max_train_bytes = 65'507;
/// The kernel's own bound of datagrams in one train (UDP_MAX_SEGMENTS before Linux 6.9).
constexpr std::size_t max_train_segments = 64;

struct ReceivedTrain {
  std::size_t bytes = 0;
  std::size_t segment = 0;
  sockaddr_in from{};
};

class UdpSocket {
 public:
  explicit UdpSocket(const SocketOptions& options);
  ~UdpSocket();
  UdpSocket(const UdpSocket&) = delete;
  UdpSocket& operator=(const UdpSocket&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] const sockaddr_in& local() const { return local_; }
  [[nodiscard]] std::uint16_t port() const { return ntohs(local_.sin_port); }

  /// Sends `train` as datagrams of `segment` bytes each. Waits up to a millisecond at a time while
  /// the send buffer is full, so a yardstick never loses packets before the wire.
  void send(const sockaddr_in& to, std::span<const std::uint8_t> train, std::size_t segment);

  /// The next train, or nothing if the queue is empty. `buffer` holds at least 65,535 bytes.
  [[nodiscard]] std::optional<ReceivedTrain> receive(std::span<std::uint8_t> buffer);

  /// Blocks until something can be read or the time is over.
  [[nodiscard]] bool wait_readable(int timeout_ms) const;

 private:
  void send_one(const sockaddr_in& to, std::span<const std::uint8_t> bytes, std::size_t segment);

  SocketOptions options_;
  int fd_ = -1;
  sockaddr_in local_{};
};

[[nodiscard]] sockaddr_in loopback_address(std::uint16_t port);

}  // namespace bench
