// One tunnel: datagrams between a client that gets no UDP through and its relay, as frames
// (relay/tunnel_frame.hpp) in TLS 1.3 over TCP. To the cores it is one more socket, with one remote
// address: that of the TCP connection.
//
//     connecting -> handshaking -> open -> closed        a client's
//                   handshaking -> open -> closed        one that a listener accepted
//
// It loses nothing on its way, and one lost segment holds up all behind it. So what waits here for
// TCP is bounded, by queue_max and by what all tunnels together hold (TunnelBudget): a datagram for
// which there is no room is dropped and counted, as a router would, and the congestion control of
// the QUIC connections inside sees it. The kernel is kept from queueing more than kernel_unsent_max
// before that (TCP_NOTSENT_LOWAT).
//
// Timers: `handshake_patience` from the beginning until it is open; `idle_patience` without a
// complete frame from the other end (bytes alone do not count); `stall_patience` without room in
// TCP for what waits.
#pragma once

#include <memory>
#include <optional>
#include <system_error>

#include "base/network_path.hpp"
#include "io/file_descriptor.hpp"
#include "io/tls_stream.hpp"
#include "io/udp_socket.hpp"
#include "quicmesh/time.hpp"
#include "relay/tunnel_frame.hpp"

namespace quicmesh::io {

/// What all tunnels of a node hold unsent, and so how much one of them may.
class TunnelBudget {
 public:
  static constexpr std::size_t queue_max = std::size_t{256} << 10;
  static constexpr std::size_t total_max = std::size_t{64} << 20;
  /// The limit of each queue is this part of what is free, so that many full ones leave room for
  /// one more (Choudhury and Hahne 1998, dynamic queue length thresholds).
  static constexpr std::size_t free_divisor = 16;

  [[nodiscard]] std::size_t queue_limit() const {
    return std::min(queue_max, (total_max - std::min(queued_, total_max)) / free_divisor);
  }
  [[nodiscard]] std::size_t queued() const { return queued_; }
  void add(std::size_t bytes) { queued_ += bytes; }
  void remove(std::size_t bytes) { queued_ -= bytes; }

 private:
  std::size_t queued_ = 0;
};

struct TunnelCounters {
  std::uint64_t datagrams_received = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t datagrams_sent = 0;  // given to TCP, or waiting for it
  std::uint64_t bytes_sent = 0;
  std::uint64_t dropped_full = 0;    // datagrams for which the queue had no room
  std::uint64_t dropped_closed = 0;  // datagrams for a tunnel that is not open

  TunnelCounters& operator+=(const TunnelCounters& other);
};

class TunnelSocket {
 public:
  enum class State : std::uint8_t { connecting, handshaking, open, closed };

  static constexpr Duration handshake_patience = 10s;
  static constexpr Duration idle_patience = 60s;
  static constexpr Duration stall_patience = 20s;
  static constexpr int kernel_unsent_max = 64 << 10;
  /// The most that `receive` takes from TLS to complete one frame.
  static constexpr std::size_t records_for_a_frame = 8;
  /// What the kernel may hold of a tunnel that a listener took and that is not read: before and
  /// after a client has proved itself in it.
  static constexpr int receive_buffer_unproved = 64 << 10;
  static constexpr int receive_buffer_proved = 256 << 10;

  /// Begins to connect. Fails with a TunnelErrc, or the system's code.
  static Result<std::unique_ptr<TunnelSocket>> connect(Instant now, const TlsContext& tls,
                                                       const SocketAddress& remote,
                                                       TunnelBudget& budget);
  /// Takes over a connection that was accepted from `remote`. Null when there is no memory.
  static std::unique_ptr<TunnelSocket> adopt(Instant now, const TlsContext& tls,
                                             FileDescriptor descriptor, const SocketAddress& remote,
                                             TunnelBudget& budget);
  ~TunnelSocket();
  TunnelSocket(const TunnelSocket&) = delete;
  TunnelSocket& operator=(const TunnelSocket&) = delete;

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  [[nodiscard]] const SocketAddress& remote() const { return remote_; }
  /// This end's address; known when the tunnel is open.
  [[nodiscard]] const IpAddress& local() const { return local_; }
  [[nodiscard]] State state() const { return state_; }
  /// Why it is closed.
  [[nodiscard]] std::error_code error() const { return error_; }
  [[nodiscard]] const TunnelCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t queued() const { return queue_.size() - queue_front_; }

  /// The descriptor is ready, for whatever: goes on connecting, shaking hands and sending.
  void handle_ready(Instant now);
  /// Whether readiness for writing is waited for; that for reading always is.
  [[nodiscard]] bool wants_write() const;

  /// The next train of an open tunnel, or nothing if none is complete. `buffer` holds at least
  /// UdpSocket::receive_buffer_size bytes.
  std::optional<ReceivedTrain> receive(Instant now, MutableByteView buffer);

  /// Everything that TLS gave, whether it was a datagram or not.
  [[nodiscard]] std::uint64_t bytes_read() const { return bytes_read_; }

  /// A client has proved itself inside: it gets the larger receive buffer.
  void on_proved();

  /// Sends the train in `data`, or drops of it what has no room.
  void send(Instant now, const Transmit& transmit, ByteView data);

  /// Ends it. What waits is sent if TCP takes it at once.
  void close(std::error_code reason);

  [[nodiscard]] Instant deadline() const;
  void handle_timeout(Instant now);

 private:
  static constexpr std::size_t queue_kept = std::size_t{32} << 10;  // capacity of an empty one

  TunnelSocket(Instant now, FileDescriptor descriptor, const SocketAddress& remote, State state,
               TunnelBudget& budget)
      : descriptor_(std::move(descriptor)),
        remote_(remote),
        state_(state),
        began_(now),
        budget_(budget) {}

  void on_connected(Instant now);
  void shake_hands(Instant now);
  void flush(Instant now);
  void pop_queue(std::size_t bytes);
  void fail(std::error_code error);

  FileDescriptor descriptor_;
  SocketAddress remote_;
  IpAddress local_;
  State state_;
  std::error_code error_;
  std::unique_ptr<TlsStream> tls_;  // before the descriptor is closed, it goes
  Instant began_;
  Instant heard_at_{};  // the last complete frame
  Instant sent_at_{};   // when TCP last took something, or nothing waited
  TunnelFrameReader reader_;
  std::uint64_t bytes_read_ = 0;
  Bytes queue_;  // frames for TCP
  std::size_t queue_front_ = 0;
  TunnelBudget& budget_;
  TunnelCounters counters_;
};

}  // namespace quicmesh::io
