// One UDP socket as the node needs it: trains of datagrams in and out, each with its local address
// and its ECN bits.
//
// Receiving: UDP_GRO hands over a train of up to 64 KB of equal datagrams in one call; the segment
// size comes as a control message. IP_PKTINFO tells to which of our addresses it came, IP_TOS with
// which ECN bits (RFC 3168).
//
// Sending: one sendmsg with UDP_SEGMENT for a train. A kernel, driver or tunnel that cannot do it
// says EIO or EINVAL; from then on this socket sends one by one. EMSGSIZE is a lost packet: path
// MTU discovery is QUIC's (IP_PMTUDISC_PROBE: DF set, the kernel's own estimate ignored).
// EAGAIN and ENOBUFS mean later: the caller keeps the train.
#pragma once

#include <sys/socket.h>
#include <sys/types.h>

#include <array>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/network_path.hpp"
#include "io/file_descriptor.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

/// What came in one call: datagrams of `segment_size` bytes, the last of which may be shorter.
struct ReceivedTrain {
  SocketAddress remote;
  IpAddress local;
  std::size_t size = 0;
  std::size_t segment_size = 0;
  Ecn ecn = Ecn::not_ect;
};

enum class SendOutcome : std::uint8_t {
  done,        // sent, or lost for a reason that QUIC heals
  full,        // nothing or a part was sent: wait until the socket is writable, then `resume`
  no_buffers,  // the same, but the socket will claim to be writable: wait a moment instead
};

struct UdpCounters {
  std::uint64_t receive_calls = 0;
  std::uint64_t datagrams_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t datagrams_truncated = 0;
  std::uint64_t send_calls = 0;
  std::uint64_t datagrams_sent = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t refused_gso = 0;
  std::uint64_t too_large = 0;
  std::uint64_t failed = 0;
  std::uint64_t delayed = 0;
};

class UdpSocket {
 public:
  /// Like sendmsg(2): tests put a kernel without GSO, or a full one, in its place.
  using SendFunction = std::function<ssize_t(int, const msghdr*, int)>;

  static constexpr std::size_t receive_buffer_size = 65'536;

  /// Opens and binds. `offload`: trains in both directions, where the kernel can. Fails with the
  /// codes of IoErrc, or the system's.
  static Result<UdpSocket> open(const SocketAddress& local, bool offload = true);

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  [[nodiscard]] const SocketAddress& local() const { return local_; }
  [[nodiscard]] IpFamily family() const { return local_.ip.family(); }
  [[nodiscard]] bool gso() const { return gso_; }
  [[nodiscard]] const UdpCounters& counters() const { return counters_; }

  /// The next train, or nothing if none waits. `buffer` holds at least `receive_buffer_size` bytes.
  std::optional<ReceivedTrain> receive(MutableByteView buffer);

  /// Sends `transmit.size` bytes of `data` from `offset` on, a multiple of the segment size.
  /// Moves `offset` past what was sent or lost.
  SendOutcome send(const Transmit& transmit, ByteView data, std::size_t& offset);

  void set_send_function(SendFunction function) { send_function_ = std::move(function); }

 private:
  // A train is at most this many datagrams (UDP_MAX_SEGMENTS is 64 in older kernels) and bytes.
  static constexpr std::size_t segments_max = 64;
  static constexpr std::size_t train_bytes_max = 65'000;

  UdpSocket(FileDescriptor descriptor, SocketAddress local, bool offload)
      : descriptor_(std::move(descriptor)), local_(local), gso_(offload) {}

  /// Sends one train or one datagram; 0 or an errno.
  int send_once(const Transmit& transmit, ByteView data, bool as_train);

  FileDescriptor descriptor_;
  SocketAddress local_;
  bool gso_;
  SendFunction send_function_;
  UdpCounters counters_;
};

}  // namespace quicmesh::io
