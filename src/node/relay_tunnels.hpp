// When a node asks for tunnels to its relays (TLS over TCP), for networks that let no UDP out.
//
// A relay is dialled over UDP first. If it does not serve after `patience`, a tunnel is opened to
// it, address by address, and the same dial goes on over that as well: whichever is first is used
// (RFC 8305's race, with TCP as the late one). Where UDP is known not to pass, because discovery
// says so or because all relays that serve do so over tunnels, nobody waits. While a relay serves
// over a tunnel the dial's UDP paths stay known to the prober, which asks them once a minute; when
// the connection has moved to one of them, the tunnel is closed after `linger`, so that what is on
// its way still arrives. A tunnel that ends while it is in use is opened anew, with back-off. One
// is opened at once when a relay that serves over UDP leaves a question unanswered for a while
// (RelayDoubt); the connection moves to it by itself if its path is dead, and with it all sessions.
//
//     idle --seek--> waiting --due--> opening --opened--> open --UDP serves--> lingering -> idle
//                       ^---- next address: failed, 3 s ----'---- ended, in use: waiting
//
// Only relays are reached so, at the addresses by which they are known and the port of the hint.
// Nothing that a peer says leads to a TCP connection, and what a relay says of other relays only if
// that relay is itself reached over a tunnel (RelayClient::learn_hints).
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "node/tunnel_request.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/time.hpp"
#include "relay/relay_message.hpp"

namespace quicmesh {

class RelayTunnels {
 public:
  static constexpr Duration patience = 1s;          // for UDP
  static constexpr Duration attempt_patience = 3s;  // for one address, if there are others
  static constexpr Duration linger = 3s;
  static constexpr Duration unused_max = 15s;  // opened in doubt, while UDP goes on
  static constexpr Duration retry_first =
      500ms;  // after one at once; +-20 %, twice as long each time
  static constexpr Duration retry_max = 60s;
  static constexpr Duration stable_after = 10s;  // then back-off begins anew

  explicit RelayTunnels(Rng rng) : rng_(rng) {}

  /// The relay is being opened and does not serve yet.
  void seek(Instant now, const RelayHint& relay);
  /// The relay serves, but has not answered for a while: if it does so over UDP, that may have
  /// stopped to pass.
  void doubt(Instant now, const RelayHint& relay);
  /// The relay serves over `path`, or has moved to it.
  void serves(Instant now, const NodeId& relay, const NetworkPath& path);
  /// The connection to it has moved, if it serves.
  void moved(Instant now, const NodeId& relay, const NetworkPath& path);
  /// It serves no more; its tunnel, if it has one, is not trusted.
  void lost(const NodeId& relay);
  /// The connection to the relay is gone, or did not come about: its tunnel is of no use.
  void disconnected(const NodeId& relay);
  /// Nobody wants the relay any more.
  void stop(const NodeId& relay);
  /// What NAT discovery says.
  void set_udp_blocked(bool blocked) { udp_blocked_ = blocked; }

  /// Whose tunnel it is; nothing if nobody waits for it any more: then it is closed.
  std::optional<NodeId> handle_opened(Instant now, TunnelRequestId id, const NetworkPath& path);
  void handle_failed(Instant now, TunnelRequestId id, std::error_code error);
  /// Whose tunnel it was, if it was anybody's.
  std::optional<NodeId> handle_closed(Instant now, const NetworkPath& path, std::error_code error);

  void handle_timeout(Instant now);
  std::optional<TunnelRequest> poll_request();
  [[nodiscard]] Instant poll_timeout() const;

  /// The last tunnel that was tried, and why it could not be opened or has ended; an attempt under
  /// way has no error yet. Nothing if none was tried since the relay served.
  struct Attempt {
    SocketAddress remote;
    std::error_code error;
  };
  [[nodiscard]] std::optional<Attempt> last_attempt(const NodeId& relay) const;
  [[nodiscard]] bool serves_by_tunnel(const NodeId& relay) const;
  [[nodiscard]] std::size_t count() const { return relays_.size(); }

 private:
  struct Relay {
    std::vector<SocketAddress> remotes;
    std::size_t next = 0;  // the address to try next
    std::size_t tried = 0;
    Instant due = never;  // of the next attempt
    Instant attempt_until = never;
    std::optional<TunnelRequestId> request;
    std::optional<NetworkPath> open;
    std::optional<NetworkPath> serving;
    Instant serving_since{};
    Instant close_at = never;
    unsigned failures = 0;  // tunnels in use that ended, in a row
    std::optional<Attempt> last;
  };

  void attempt(Instant now, Relay& relay);
  void try_next(Instant now, Relay& relay);
  void stop_trying(Relay& relay);
  void close(Relay& relay);
  static void set_remotes(Relay& relay, const RelayHint& hint);
  [[nodiscard]] bool doubts_udp() const;

  static constexpr std::size_t relays_max = 32;  // those that are of no use now go first

  void make_room();

  Rng rng_;
  std::map<NodeId, Relay> relays_;
  bool udp_blocked_ = false;
  std::uint16_t last_request_ = 0;
  std::deque<TunnelRequest> requests_;
};

}  // namespace quicmesh
