// QuicEndpoint: all QUIC connections of one node, as a core that knows path labels and no
// addresses.
//
// QUIC v1 (RFC 9000, 9001, 9002) and DATAGRAM (RFC 9221) by ngtcp2 1.11 and GnuTLS. The caller,
// path/, first asks to which connection a datagram belongs (`route`), looks up the label of the
// real path in that connection's table, and then hands the datagram in. Nothing here sees a real
// address.
//
// Not used, on purpose: 0-RTT and session tickets, Retry (a later step), ngtcp2's qlog (a stack
// overflow in 1.11, CVE-2026-40170), preferred address.
//
// Bounds: QuicConfig::max_connections and max_half_open (newest refused, counted), memory of each
// connection (memory_budget.hpp), tombstones (connection_ids.hpp), stateless answers (token
// bucket).
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "base/timer_heap.hpp"
#include "quic/path_label.hpp"
#include "quic/quic_config.hpp"
#include "quic/quic_event.hpp"
#include "quicmesh/keypair.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh {

class QuicConnection;
class TlsContext;
struct TlsOptions;
struct QuicShared;
enum class TlsRole : std::uint8_t;
enum class CloseCode : std::uint64_t;

/// Congestion and round-trip figures of the path in use.
struct QuicPathInfo {
  Duration smoothed_rtt{};
  Duration latest_rtt{};
  Duration least_rtt{};      // since the last change of path; zero if there was no sample
  Duration probe_timeout{};  // RFC 9002 s6.2.1
  std::uint64_t congestion_window_bytes = 0;
  std::uint64_t bytes_in_flight = 0;
  std::size_t max_payload_bytes = 0;
};

struct StreamChunk {
  Bytes data;
  bool end = false;  // nothing follows
};

/// Packets for one path of one connection, written to the caller's buffer.
struct QuicTransmit {
  ConnectionHandle connection;
  PathLabel label;
  std::size_t size = 0;
  std::size_t segment_size = 0;
  Ecn ecn = Ecn::not_ect;
};

/// To whom a datagram belongs.
struct QuicRoute {
  enum class Kind : std::uint8_t {
    connection,  // hand it to `connection`
    initial,     // a new peer: `accept`
    tombstone,   // a connection that is over: `stateless_answer` may repeat its last words
    unknown,     // of a connection we know nothing of: `stateless_answer` may reset it
    version,     // another QUIC version: `stateless_answer` tells ours
    drop,        // malformed, or not for us
  };
  Kind kind = Kind::drop;
  ConnectionHandle connection{};
};

struct QuicCounters {
  std::uint64_t accepted = 0;
  std::uint64_t dialled = 0;
  std::uint64_t refused_full = 0;  // max_connections or max_half_open
  std::uint64_t dropped_malformed = 0;
  std::uint64_t dropped_tombstone = 0;
  std::uint64_t resets_sent = 0;
  std::uint64_t answers_suppressed = 0;  // by the token bucket
  std::uint64_t key_updates = 0;         // started by us
  std::uint64_t datagrams_dropped = 0;   // queue full, or not acceptable to the peer
};

class QuicEndpoint {
 public:
  /// `identity` and `rng` outlive the endpoint. Fails only when GnuTLS refuses the certificate.
  static Result<std::unique_ptr<QuicEndpoint>> create(QuicConfig config, const Keypair& identity,
                                                      SecureRng& rng);
  static Result<std::unique_ptr<QuicEndpoint>> create(QuicConfig config, const Keypair& identity,
                                                      SecureRng& rng, const TlsOptions& tls);
  ~QuicEndpoint();
  QuicEndpoint(const QuicEndpoint&) = delete;
  QuicEndpoint& operator=(const QuicEndpoint&) = delete;

  /// O(1); looks only at the header and, for stateless resets, at the last 16 bytes.
  [[nodiscard]] QuicRoute route(ByteView datagram) const;

  /// A new connection from an Initial. Fails with too_many_connections or protocol_violation.
  Result<ConnectionHandle> accept(Instant now, PathLabel label, Ecn ecn, ByteView initial);
  Result<ConnectionHandle> dial(Instant now, PathLabel label, const NodeId& expected);

  void handle_datagram(Instant now, ConnectionHandle connection, PathLabel label, Ecn ecn,
                       ByteView datagram);
  /// An answer that needs no state: version negotiation, stateless reset, a repeated
  /// CONNECTION_CLOSE. Never longer than `datagram`; 0 for none. Rate-limited.
  std::size_t stateless_answer(Instant now, ByteView datagram, MutableByteView out);

  void handle_timeout(Instant now);
  std::optional<QuicTransmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<QuicEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  Result<StreamId> open_stream(ConnectionHandle connection, bool bidirectional);
  /// Takes `data` whole or, with would_block, not at all; StreamWritable follows then.
  Result<void> write(ConnectionHandle connection, StreamId stream, Bytes& data, bool end);
  /// The next piece that arrived; empty and not at the end when there is none.
  Result<StreamChunk> read(ConnectionHandle connection, StreamId stream);
  /// Gives the peer leave to send `bytes` more; for what was read and consumed.
  void credit(ConnectionHandle connection, StreamId stream, std::size_t bytes);
  Result<void> reset_stream(ConnectionHandle connection, StreamId stream, CloseCode code);
  Result<void> stop_stream(ConnectionHandle connection, StreamId stream, CloseCode code);
  Result<void> send_datagram(ConnectionHandle connection, Bytes data);
  [[nodiscard]] std::size_t max_datagram_size(ConnectionHandle connection) const;

  /// The dialler moves to `label`: after validation, or at once when the old path is dead.
  Result<void> migrate(Instant now, ConnectionHandle connection, PathLabel label, bool immediately);
  Result<void> update_key(Instant now, ConnectionHandle connection);
  /// Bytes that only the two ends can make, the same at both, others for each label: keyed BLAKE3
  /// of the label under a secret of the TLS exporter (RFC 8446 s7.5, `EXPORTER-quicmesh 1`), which
  /// outlives the TLS session. Fails before the handshake is complete.
  Result<void> export_secret(ConnectionHandle connection, std::string_view label,
                             MutableByteView out) const;
  void close(Instant now, ConnectionHandle connection, CloseCode code, std::string_view reason);

  [[nodiscard]] bool alive(ConnectionHandle connection) const;
  [[nodiscard]] bool is_dialler(ConnectionHandle connection) const;
  /// Our side of the handshake is over; the other side's judgement may be outstanding.
  [[nodiscard]] bool handshake_completed(ConnectionHandle connection) const;
  /// Bytes of streams and datagrams received so far.
  [[nodiscard]] std::uint64_t payload_received(ConnectionHandle connection) const;
  /// Since when the peer has acknowledged no stream data; `never` if there was none. Whether some
  /// is under way tells `awaits_acknowledgement`; O(streams).
  [[nodiscard]] Instant unacknowledged_since(ConnectionHandle connection) const;
  [[nodiscard]] bool awaits_acknowledgement(ConnectionHandle connection) const;
  [[nodiscard]] PathLabel current_label(ConnectionHandle connection) const;
  [[nodiscard]] QuicPathInfo path_info(ConnectionHandle connection) const;
  /// Bytes written and not acknowledged, over all streams; O(streams).
  [[nodiscard]] std::size_t unacknowledged_bytes(ConnectionHandle connection) const;
  [[nodiscard]] std::size_t unacknowledged_bytes(ConnectionHandle connection,
                                                 StreamId stream) const;
  [[nodiscard]] std::size_t open_streams(ConnectionHandle connection) const;
  [[nodiscard]] std::size_t memory_used(ConnectionHandle connection) const;
  [[nodiscard]] std::size_t connections() const { return connections_; }
  /// Over all connections: ngtcp2's allocations and what was received and not credited; O(slots).
  [[nodiscard]] std::size_t total_memory_used() const;
  [[nodiscard]] const QuicCounters& counters() const;

 private:
  friend class HostileConnection;  // of the tests

  struct Slot {
    std::unique_ptr<QuicConnection> connection;
    std::uint32_t generation = 0;
  };
  QuicEndpoint() = default;

  [[nodiscard]] QuicConnection* find(ConnectionHandle handle) const;
  QuicConnection& add(TlsRole role);
  void wake(QuicConnection& connection);
  /// After every call that may have ended a connection: retire it, or queue it for sending, after
  /// which its deadline is read anew.
  void settle(Instant now, QuicConnection& connection);
  /// Takes a closed connection out of all tables but its slot: what it received can be read until
  /// its ConnectionClosed event has been polled.
  void bury(Instant now, QuicConnection& connection);
  void release(ConnectionHandle handle);
  bool take_answer_token(Instant now);

  std::unique_ptr<TlsContext> tls_;
  std::unique_ptr<QuicShared> shared_;
  std::vector<Slot> slots_;
  std::vector<std::uint32_t> free_slots_;
  std::deque<ConnectionHandle> send_queue_;  // those that may have packets to send
  TimerHeap timers_;
  std::size_t connections_ = 0;
  std::size_t half_open_ = 0;

  static constexpr std::uint32_t answers_per_second = 100;
  std::uint32_t answer_tokens_ = answers_per_second;
  Instant answer_refill_{};
};

}  // namespace quicmesh
