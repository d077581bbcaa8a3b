// A UDP socket with QUIC connections on it, driven by epoll: the smallest loop that is fast.
//
// One turn waits for the socket or the nearest timer, reads up to a bounded number of trains (one
// clock reading a train), then flushes every connection that was touched once, so that one
// acknowledgement covers everything that was read, and runs the timers. A flush writes packets one
// behind the other into one buffer and hands it to the kernel as one train of equal segments.
//
// Departures from a complete endpoint, allowed because both ends are this program: no Retry, no
// stateless resets, no version negotiation, no closing period (a closed connection is forgotten at
// once), no migration.
#pragma once

#include <ngtcp2/ngtcp2.h>

#include <array>
#include <cstdint>
#include <memory>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "bare/connection.hpp"
#include "bare/tuning.hpp"
#include "common/credentials.hpp"
#include "common/udp_socket.hpp"

namespace bench {

enum class Role { client, server };

class Endpoint {
 public:
  Endpoint(Role role, const Tuning& tuning, Application& application, std::uint16_t port);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  /// Begins a handshake with 127.0.0.1:port and sends its first flight.
  Connection& connect(std::uint16_t port);
  /// Says goodbye and marks the connection dead; it is destroyed at the end of the turn.
  void close(Connection& connection);
  /// Opens the connection's outgoing stream; the handshake must be complete.
  void open_stream(Connection& connection, bool bidirectional);
  /// One wait of at most `max_wait_ns`, one round of reading, flushing and timers.
  void turn(std::uint64_t max_wait_ns);
  void flush(Connection& connection);
  void mark_dirty(Connection& connection);

  [[nodiscard]] std::uint16_t port() const { return socket_.port(); }
  [[nodiscard]] std::size_t live_connections() const { return connections_.size(); }
  [[nodiscard]] std::uint64_t confirmed_total() const { return confirmed_total_; }
  [[nodiscard]] std::uint64_t packets_sent() const { return packets_sent_; }
  [[nodiscard]] std::uint64_t send_calls() const { return send_calls_; }
  [[nodiscard]] std::uint64_t packets_received() const { return packets_received_; }
  [[nodiscard]] std::uint64_t receive_calls() const { return receive_calls_; }

 private:
  friend struct Callbacks;
  using ConnectionId = std::uint64_t;

  struct PacketWrite {
    ngtcp2_ssize size = 0;
    bool failed = false;
  };

  void start_tls(Connection& connection);
  Connection& adopt(std::unique_ptr<Connection> connection);
  void accept(const ngtcp2_pkt_hd& header, const ngtcp2_path& path, std::uint64_t now);
  void register_id(Connection& connection, ConnectionId id);
  void forget_id(Connection& connection, ConnectionId id);
  void read_socket();
  void handle_packet(const ReceivedTrain& train, std::span<const std::uint8_t> packet,
                     std::uint64_t now);
  PacketWrite write_packet(Connection& connection, std::span<std::uint8_t> room, std::uint64_t now);
  void send_train(std::size_t bytes, std::size_t segment, const sockaddr_in& to);
  void fail_connection(Connection& connection, int error);
  void mark_dead(Connection& connection);
  void rearm(Connection& connection);
  void run_timers();
  void flush_dirty();
  void reap();

  Role role_;
  Tuning tuning_;
  Application& application_;
  UdpSocket socket_;
  Credentials credentials_;
  Priority priority_;
  std::array<std::uint8_t, 32> reset_secret_{};
  int epoll_ = -1;
  std::vector<std::uint8_t> send_buffer_;
  std::vector<std::uint8_t> receive_buffer_;
  std::unordered_map<Connection*, std::unique_ptr<Connection>> connections_;
  std::unordered_map<ConnectionId, Connection*> by_id_;
  std::set<std::pair<std::uint64_t, Connection*>> timers_;
  std::vector<Connection*> dirty_;
  std::vector<Connection*> dead_;
  std::uint64_t confirmed_total_ = 0;
  std::uint64_t packets_sent_ = 0;
  std::uint64_t send_calls_ = 0;
  std::uint64_t packets_received_ = 0;
  std::uint64_t receive_calls_ = 0;
};

}  // namespace bench
