// TurnClient: one allocation on one TURN server (RFC 8656) over UDP, as a core.
//
// States: idle -> allocating -> up -> (lost) -> resting -> allocating ... ; `stop` ends it from
// anywhere. Authentication is that of turn_credentials.hpp: the first request goes without, and its
// 401 tells how.
//
//   allocating  Allocate. 437 (the server still has an allocation of this address, from before a
//               restart of ours): it is given back by a Refresh of zero, then asked again. Wrong
//               credentials, quotas (486) and capacity (508) end in `resting`.
//   up          Refresh every `refresh_interval`, far more often than the lifetime needs: it keeps
//               the NAT's mapping towards the server, and finds out early that the server has lost
//               the allocation (437) or is gone (silence). Either ends in `resting`.
//   resting     until a time that doubles from `retry_first` to `retry_max`; at once the first time
//               after an allocation that worked.
//
// Peers: `permit` asks for a permission for a peer's IP address (300 s; asked again after 240 s).
// The first datagram to a peer asks for a channel (600 s; again after 540 s). Until that is bound
// datagrams go in Send indications, before there is a permission they are dropped. What nobody has
// used for `peer_keep` is not renewed, and forgotten. A channel's number is not used for another
// peer within one allocation, so no late datagram is taken for another's (RFC 8656 s12).
//
// Lost or forged answers are the STUN client's concern (stun_client.hpp): an answer counts if it
// has the id of a request, comes from the server, and its integrity holds. A 438 gives a new nonce
// at most `nonces_max` times for one request. Redirections (300) are not followed: a server must
// not choose whom this node talks to.
//
// Bounds: `peers_max` permissions and channels each, 64 requests under way, 64 events.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "quicmesh/result.hpp"
#include "stun/stun_client.hpp"
#include "turn/channel_data.hpp"
#include "turn/turn_credentials.hpp"

namespace quicmesh {

struct TurnConfig {
  NetworkPath server;  // from which socket, and where
  std::string username;
  std::string password;
};

/// The server relays: what it receives at `relayed` comes here.
struct TurnUp {
  SocketAddress relayed;
  std::optional<SocketAddress> mapped;  // this node, as the server sees it
};
/// It does not, or no longer; it is asked again after `retry_in`.
struct TurnDown {
  std::error_code error;
  Duration retry_in{};
};
struct TurnPeerRefused {
  IpAddress peer;
  std::error_code error;
};
using TurnEvent = std::variant<TurnUp, TurnDown, TurnPeerRefused>;

struct TurnCounters {
  std::uint64_t sent_by_channel = 0;  // datagrams
  std::uint64_t sent_by_indication = 0;
  std::uint64_t received = 0;
  std::uint64_t dropped_no_permission = 0;
  std::uint64_t dropped_too_large = 0;  // for a Send indication in the buffer
  std::uint64_t dropped_unknown = 0;    // of a channel or a peer that nobody asked for
  std::uint64_t dropped_malformed = 0;
  std::uint64_t permissions_refused = 0;  // here, since `peers_max` have one
};

class TurnClient {
 public:
  static constexpr std::size_t peers_max = 24;  // with those requests under way at once
  static constexpr std::size_t events_max = 64;
  static constexpr unsigned nonces_max = 3;
  static constexpr Duration lifetime_min = 60s;  // what a server may grant and we believe
  static constexpr Duration refresh_interval = 25s;
  static constexpr Duration permission_interval = 240s;
  static constexpr Duration channel_interval = 540s;
  static constexpr Duration peer_keep = 10min;
  static constexpr Duration refused_rest = 1min;  // of a peer that the server refuses
  static constexpr Duration retry_first = 1s;
  static constexpr Duration retry_max = 5min;
  static constexpr std::size_t indication_overhead_max = 60;

  /// `rng` outlives the client.
  TurnClient(TurnConfig config, SecureRng& rng);

  void start(Instant now);
  /// Gives the allocation back; nothing is received any more.
  void stop(Instant now);
  /// Finds out soon whether the allocation still stands; the path over it may be dead.
  void check(Instant now);

  /// The same when this node may be somewhere else; a client that rests tries again at once.
  void network_changed(Instant now);

  /// Lets the peer's datagrams in, now or once there is an allocation. Fails with
  /// TurnErrc::too_many_peers.
  Result<void> permit(Instant now, const IpAddress& peer);
  /// Nobody needs it now: its place goes to the next that needs one.
  void release(const IpAddress& peer);

  /// Turns a train for `peer` into one for the server. False if it cannot be sent now. `buffer` is
  /// the one that holds the train.
  [[nodiscard]] bool wrap(Instant now, const SocketAddress& peer, Transmit& train,
                          MutableByteView buffer);

  /// Whether the datagram comes from the server: then it is this client's, whatever its first byte.
  [[nodiscard]] bool is_from_server(const NetworkPath& path) const {
    return path.socket == config_.server.socket && path.remote == config_.server.remote;
  }

  struct Arrival {
    SocketAddress peer;
    std::size_t offset = 0;  // of the peer's datagram in the one received
    std::size_t size = 0;
  };
  /// A datagram for which `is_from_server` holds; what it brought of a peer, if anything.
  std::optional<Arrival> handle_datagram(Instant now, const NetworkPath& path, ByteView datagram);

  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer) {
    return client_.poll_transmit(now, buffer);
  }
  std::optional<TurnEvent> poll_event() { return events_.pop(); }
  [[nodiscard]] Instant poll_timeout() const;

  [[nodiscard]] bool is_up() const { return state_ == State::up; }
  [[nodiscard]] std::optional<SocketAddress> relayed() const { return relayed_; }
  [[nodiscard]] const SocketAddress& server() const { return config_.server.remote; }
  [[nodiscard]] SocketId socket() const { return config_.server.socket; }
  [[nodiscard]] bool is_channel_bound(const SocketAddress& peer) const;
  [[nodiscard]] std::size_t peers() const { return channels_.size(); }
  [[nodiscard]] std::size_t permissions() const { return permissions_.size(); }
  [[nodiscard]] const TurnCounters& counters() const { return counters_; }

 private:
  enum class State : std::uint8_t { idle, allocating, up, resting, stopped };
  enum class Purpose : std::uint8_t { allocate, refresh, give_back, permission, channel };
  struct Request {
    TransactionId id;
    Purpose purpose{};
    SocketAddress peer;  // of a permission (the port does not count) or a channel
    bool authenticated = false;
    unsigned nonces = 0;  // how many it has used up
  };
  struct Permission {
    bool granted = false;
    bool refused = false;  // not asked again before `due`
    bool asking = false;
    Instant due{};
    Instant used{};
  };
  struct Channel {
    TurnChannel number{};
    bool bound = false;
    bool asking = false;
    Instant due{};
    Instant used{};
  };

  // turn_client_requests.cpp
  static StunMethod method_of(Purpose purpose);
  void ask(Instant now, Purpose purpose, const SocketAddress& peer = {}, unsigned nonces = 0);
  [[nodiscard]] Bytes message_of(Purpose purpose, const SocketAddress& peer,
                                 const TransactionId& id) const;
  void drain(Instant now);
  void on_success(Instant now, const Request& request, const StunMessage& answer);
  void on_allocated(Instant now, const StunMessage& answer);
  void on_error(Instant now, const Request& request, unsigned code, const StunMessage& answer);
  /// True if the request goes out again.
  bool on_challenge(Instant now, const Request& request, unsigned code, const StunMessage& answer);
  void on_failed(Instant now, const Request& request, std::error_code error);

  void go_down(Instant now, std::error_code error);
  void forget_unused(Instant now);
  void renew_peers(Instant now);
  void refuse_peer(Instant now, const SocketAddress& peer, std::error_code error);
  bool wrap_in_indications(const SocketAddress& peer, Transmit& train, MutableByteView buffer);
  std::optional<Arrival> on_data_indication(Instant now, const StunMessage& message,
                                            ByteView datagram);
  void note_use(Instant now, const SocketAddress& peer);

  const TurnConfig config_;
  SecureRng& rng_;
  StunClient client_;
  TurnCredentials credentials_;
  State state_ = State::idle;
  std::vector<Request> requests_;  // at most StunClient::transactions_max
  std::optional<SocketAddress> relayed_;
  Instant refresh_due_ = never;
  Instant retry_at_ = never;
  unsigned failures_ = 0;  // since an allocation worked
  std::map<IpAddress, Permission> permissions_;
  std::map<SocketAddress, Channel> channels_;
  std::uint16_t channels_made_ = 0;  // in this allocation
  BoundedQueue<TurnEvent, DropPolicy::drop_oldest> events_{events_max};
  TurnCounters counters_;
};

}  // namespace quicmesh
