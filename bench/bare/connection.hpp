// One QUIC connection of the yardstick: an ngtcp2 connection, its GnuTLS session, and at most one
// stream on which it sends.
//
// What is sent lies in a ring addressed by the stream's offset: byte `o` of the stream is
// `ring[o % ring.size()]`. A bulk sender lets all connections share one constant ring; an echo end
// appends to its own. ngtcp2 may ask for any byte again until it is acknowledged, so a writer must
// stay less than one ring ahead of `acked`.
#pragma once

#include <gnutls/gnutls.h>
#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

#include <cstdint>
#include <span>
#include <vector>

#include "common/credentials.hpp"

namespace bench {

class Endpoint;

struct OutgoingStream {
  std::int64_t id = -1;
  const std::vector<std::uint8_t>* ring = nullptr;
  std::uint64_t written = 0;  // bytes the application has put into the ring
  std::uint64_t sent = 0;     // bytes ngtcp2 has taken at least once
  std::uint64_t acked = 0;
  bool finish = false;  // the stream ends after `written`
  bool finish_sent = false;

  /// The next bytes to send that lie contiguously in the ring; empty if there are none.
  [[nodiscard]] std::span<const std::uint8_t> next() const;
  [[nodiscard]] bool has_work() const {
    return id >= 0 && (sent < written || (finish && !finish_sent));
  }
};

struct Connection {
  Connection(Endpoint& owner, bool server);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Endpoint& endpoint;
  bool is_server;
  ngtcp2_conn* quic = nullptr;
  gnutls_session_t tls = nullptr;
  ngtcp2_crypto_conn_ref reference{};
  std::vector<std::uint64_t> ids;  // keys under which the endpoint's table knows this connection

  std::uint64_t created_ns = 0;
  std::uint64_t completed_ns = 0;  // TLS is complete here; the peer may still reject us
  std::uint64_t confirmed_ns = 0;  // both ends know that the other accepted
  PublicKey peer_key{};
  bool peer_known = false;

  OutgoingStream out;
  std::uint64_t received = 0;  // stream bytes

  bool dead = false;
  bool dirty = false;  // something was read or appended since the last flush
  std::uint64_t timer_ns = UINT64_MAX;

  /// Application data, owned by the Application.
  void* context = nullptr;
};

/// What a workload does with the events of its connections. Calls come from inside ngtcp2: they
/// may change `out` and own state, but not call into the connection.
class Application {
 public:
  virtual ~Application() = default;
  virtual void on_created(Connection&) {}
  virtual void on_completed(Connection&) {}
  virtual void on_confirmed(Connection&) {}
  /// Returns how many bytes of flow-control credit the peer gets back now.
  virtual std::uint64_t on_stream_data(Connection&, std::int64_t stream,
                                       std::span<const std::uint8_t> data, bool end) = 0;
  virtual void on_acked(Connection&, std::uint64_t /*bytes*/) {}
  virtual void on_closed(Connection&) {}
};

}  // namespace bench
