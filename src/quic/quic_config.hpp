// Settings of the QUIC core. Every default works; the figures behind them are measured
// (docs/protocols/quic.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "quicmesh/time.hpp"

namespace quicmesh {

enum class CongestionControl : std::uint8_t { bbr, cubic };

struct QuicConfig {
  /// BBR by default: at 1 % loss on a 40 ms path CUBIC falls to a twentieth of its rate.
  CongestionControl congestion_control = CongestionControl::bbr;

  Duration idle_timeout = 30s;
  /// NAT bindings are often dropped after 30 s without traffic (RFC 4787 s4.3 asks for 2 min).
  Duration keep_alive = 12s;
  Duration handshake_timeout = 10s;
  /// Also decides how long a peer distrusts a path just left; the library's 333 ms is too slow.
  Duration initial_rtt = 100ms;

  /// 1452 (IPv6 over Ethernet) less the 16 bytes that a relay's header may need.
  std::size_t max_udp_payload = 1436;
  /// Acknowledge at the latest after this many packets; more saves CPU on both sides in bulk.
  std::size_t ack_threshold = 10;

  std::size_t max_connections = 20'000;
  /// Connections whose handshake is not finished, accepted ones only.
  std::size_t max_half_open = 1'024;

  /// Bytes that one connection may hold (receive and send buffers and ngtcp2's own state):
  /// until the peer has proved itself, and afterwards. Proved = confirmed, and the application has
  /// read `proof_bytes` from it.
  std::size_t budget_unproven = 2u << 20;
  std::size_t budget_proven = 48u << 20;
  std::size_t proof_bytes = 256u << 10;

  std::uint64_t initial_stream_window = 256u << 10;
  std::uint64_t initial_connection_window = 1u << 20;
  std::uint64_t max_stream_window = 12u << 20;
  std::uint64_t max_connection_window = 16u << 20;
  std::uint64_t max_streams_bidi = 100;
  std::uint64_t max_streams_uni = 100;

  /// A stream accepts data while it holds fewer bytes than these: not yet sent (more would only
  /// fall out of the processor's cache before its turn comes), and not yet acknowledged.
  std::size_t stream_unsent_max = 256u << 10;
  /// While one connection, or all of them, hold more than these unsent, a stream takes data only up
  /// to `stream_unsent_min`: peers that do not read must not fill the memory with many streams.
  /// Above zero, so that no stream waits for another one to make progress.
  std::size_t connection_unsent_max = 4u << 20;
  std::size_t endpoint_unsent_max = 64u << 20;
  std::size_t stream_unsent_min = 16u << 10;
  std::size_t stream_send_buffer = 16u << 20;
  /// Datagrams queued for sending, and received but not read, in each connection; oldest goes.
  /// 0: this node takes none, and says so to its peers.
  std::size_t datagram_queue_max = 256;

  /// A key update is started after this many packets sent (AES-GCM's limit is 2^23, RFC 9001 s6.6).
  /// Never below `key_update_packets_min`: ngtcp2 1.11 prepares a receiver's next keys only after
  /// one of its own packets under the present ones was acknowledged. A receiver that merely
  /// acknowledges sends such a packet (a PING) now and then; a second update before that leaves the
  /// two without a common key for ever.
  std::uint64_t key_update_packets = 1u << 22;
  static constexpr std::uint64_t key_update_packets_min = 1'000;

  std::string alpn = "quicmesh/p2p/1";
};

}  // namespace quicmesh
