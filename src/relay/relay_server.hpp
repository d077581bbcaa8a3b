// RelayServer: a node that forwards between two nodes that have proved who they are, without I/O.
//
// Who may send what where:
// - A *client* is a QUIC control connection with mutual authentication; the driver names its NodeId
//   and the path that QUIC validated. The client is *bound* to that path.
// - A client *registers*, and is then found by its NodeId. Two registered clients get a *session*
//   when one asks for it by the other's NodeId.
// - A relayed datagram names a session and its sending end. It is forwarded if it came from the
//   path to which that end is bound, and it goes to the path to which the other end is bound. There
//   is no other source of destinations: no byte of any message or frame ever becomes an address.
// - A frame of a live session from another source is dropped and answered by a challenge; the right
//   answer, made with a key that only the client has, binds the client to that source. So a NAT
//   rebinding heals in one round trip, for all sessions of the client. When QUIC has validated a
//   new path of the control connection, the client is bound to that.
//
// The data path is for whole GRO trains: `forward_train` reads the header of each segment, one
// table entry a run, and tells which stretches of the driver's buffer go where; nothing is copied
// or allocated. Rates: fair_share.hpp; limits: relay_limits.hpp; the wire: relay_message.hpp,
// relay_header.hpp, challenge_frame.hpp.
//
// A path is an opaque value: a tunnel over TLS and TCP appears as a path with a socket id of its
// own. Only the quotas look at its remote IP address, and only if that is public.
//
// Timers: one for each session (idle, looked at lazily), one for each client that has to register.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <array>
#include <deque>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "base/timer_heap.hpp"
#include "relay/challenge_frame.hpp"
#include "relay/challenge_limit.hpp"
#include "relay/fair_share.hpp"
#include "relay/relay_errc.hpp"
#include "relay/relay_limits.hpp"
#include "relay/relay_message.hpp"
#include "relay/reservation_quota.hpp"

namespace quicmesh {

/// Names a control connection; given by the driver, never used again for another.
enum class RelayClientId : std::uint64_t {};

/// The driver writes `message` to the client's control stream.
struct RelaySend {
  RelayClientId client{};
  RelayMessage message;
};
/// The driver closes the control connection; `client_down` need not follow.
struct RelayDisconnect {
  RelayClientId client{};
  std::error_code reason;
};
using RelayServerOutput = std::variant<RelaySend, RelayDisconnect>;

enum class RelayDrop : std::uint8_t {
  malformed,        // no frame of ours, or without payload
  unknown_session,  // never was, or is over
  unbound_source,   // of a live session, but from elsewhere
  over_rate,
};
inline constexpr std::size_t relay_drop_kinds = 4;

/// Where a datagram goes, or why not.
struct RelayRoute {
  std::optional<NetworkPath> destination;
  RelayDrop drop{};
};

/// A stretch of a train, whole segments, all for one destination.
struct RelayRun {
  NetworkPath destination;
  std::size_t offset = 0;
  std::size_t size = 0;
};

struct RelayTrain {
  std::size_t runs = 0;      // written to the caller's span
  std::size_t consumed = 0;  // bytes dealt with; less than given if the span was full
};

/// One row of what is in use: what an operator is shown.
struct RelayTableRow {
  std::string_view name;
  std::uint64_t value = 0;
  std::uint64_t limit = 0;  // 0: none
  std::uint64_t drops = 0;  // refused or dropped for this reason
};

class RelayServer {
 public:
  static constexpr std::size_t other_relays_max = 8;
  static constexpr std::size_t stand_ins_queued_max = 64;  // packets; newest refused
  static constexpr std::uint8_t attests_max = 8;  // for each end of a session; more are dropped

  /// `secure_rng` outlives the server.
  RelayServer(RelayLimits limits, SecureRng& secure_rng);

  /// A control connection of `node` stands; `path` was validated by QUIC. Fails with busy if there
  /// are too many: the driver closes it then.
  Result<void> client_up(Instant now, RelayClientId id, const NodeId& node, const NetworkPath& path,
                         const RelayKey& key);
  /// QUIC validated another path of the control connection and uses it.
  void client_path_changed(RelayClientId id, const NetworkPath& path);
  /// Where the client's packets come from, proved or not: what it is told of itself, and nothing
  /// else. At first the bound path's address.
  void client_seen_at(RelayClientId id, const SocketAddress& address);
  /// So many bytes of messages wait for the client, which reads slowly.
  void client_backlog(RelayClientId id, std::size_t unsent_bytes);
  void client_down(RelayClientId id);
  void handle_message(Instant now, RelayClientId id, const RelayMessage& message);

  /// What to do with a train of datagrams from `source`, all of `segment_size` bytes but the last,
  /// which may be shorter; `segment_size` 0 stands for one datagram. `runs` holds at least one;
  /// with as many as segments everything is consumed at once. Answers to challenges are taken in
  /// here.
  RelayTrain forward_train(Instant now, const NetworkPath& source, ByteView train,
                           std::size_t segment_size, std::span<RelayRun> runs);
  /// The same for one datagram of `size` bytes, its header read already.
  RelayRoute route(Instant now, const NetworkPath& source, const RelayHeader& header,
                   std::size_t size);

  /// A challenge or the packet of a stand-in: at most `challenge_frame_size` bytes.
  std::optional<Transmit> poll_transmit(MutableByteView buffer);
  std::optional<RelayServerOutput> poll_output();
  void handle_timeout(Instant now);
  [[nodiscard]] Instant poll_timeout() const;

  /// Relays named to those who are refused; from the operator or a directory, never from a client.
  void set_other_relays(std::span<const RelayHint> relays);
  /// No new reservations and sessions; all clients are told.
  void drain();

  /// The fullest of what has a limit, in percent.
  [[nodiscard]] unsigned load_percent(Instant now) const;
  [[nodiscard]] std::vector<RelayTableRow> table(Instant now) const;
  [[nodiscard]] std::uint64_t dropped(RelayDrop reason) const {
    return drops_[static_cast<std::size_t>(reason)];
  }

 private:
  using ClientSlot = std::uint32_t;
  using SessionSlot = std::uint32_t;

  struct Client {
    RelayClientId id{};
    NodeId node;
    NetworkPath path;  // bound
    SocketAddress seen_at;
    std::uint64_t bindings = 0;
    RelayKey key{};
    bool present = false;
    bool registered = false;
    bool backed_up = false;  // signals to it are dropped
    RelayRate bytes, messages, connects, signals_sent, signals_received;
    std::vector<SessionSlot> sessions;
  };

  struct Session {
    RelaySessionId id{};
    std::array<ClientSlot, 2> ends{};  // by role
    std::array<bool, 2> sent{};        // whether that end ever sent anything
    struct Attest {
      std::uint8_t count = 0;                // asked by that end
      std::optional<SocketAddress> waiting;  // until the other end asks too
    };
    std::array<Attest, 2> attests{};
    Instant created{};
    Instant used{};
  };

  /// What becomes of datagrams of one session and end, `bytes` in segments of `segment_size`.
  struct Claim {
    RelaySessionId session{};
    RelayRole sender{};
    std::size_t bytes = 0;
    std::size_t segment_size = 0;
  };
  struct Admission {
    const NetworkPath* destination = nullptr;
    std::size_t bytes = 0;
    RelayDrop drop{};
  };
  // The data path (relay_forward.cpp).
  Admission admit(Instant now, const NetworkPath& source, const Claim& claim);
  void challenge(Instant now, const NetworkPath& source, const Claim& claim, const Client& client);
  void handle_answer(Instant now, const NetworkPath& source, ByteView frame);
  Admission dropped_as(RelayDrop reason, std::size_t datagrams);
  void bind(Client& client, const NetworkPath& path);

  // Requests.
  void on(Instant now, ClientSlot slot, const RelayRegister& message);
  void on(Instant now, ClientSlot slot, const RelayConnect& message);
  void on(Instant now, ClientSlot slot, const RelaySignal& message);
  void on(Instant now, ClientSlot slot, const RelayLoadQuery& message);
  void on(Instant now, ClientSlot slot, const RelayCloseSession& message);
  void on(Instant now, ClientSlot slot, const RelayAttest& message);
  void on(Instant now, ClientSlot slot, const RelayStandIn& message);
  template <class NotForRelays>
  void on(Instant now, ClientSlot slot, const NotForRelays& message);
  void refuse(Instant now, const Client& client, RelayRequest request, const NodeId& target,
              RelayRefusal reason);
  void open_session(Instant now, ClientSlot initiator, ClientSlot responder);
  /// A session of both, told to `slot` once more; false if there is none.
  bool repeat_session(ClientSlot slot, ClientSlot peer);
  bool make_room(Instant now, ClientSlot slot);

  // Tables.
  [[nodiscard]] std::optional<ClientSlot> find_client(RelayClientId id) const;
  [[nodiscard]] std::optional<ClientSlot> find_node(const NodeId& node) const;
  void remove_client(ClientSlot slot);
  void disconnect(ClientSlot slot, RelayErrc reason);
  void close_session(SessionSlot slot, RelayCloseReason reason, std::optional<ClientSlot> silent);
  void send(const Client& client, RelayMessage message);
  [[nodiscard]] bool is_full(Instant now) const;

  RelayLimits limits_;
  SecureRng& secure_rng_;
  ChallengeNonces nonces_;
  ChallengeLimit challenge_limit_;
  FairShare fair_share_;
  ReservationQuota quota_;

  std::vector<Client> clients_;  // by slot
  std::vector<ClientSlot> free_clients_;
  std::unordered_map<RelayClientId, ClientSlot> by_id_;
  std::unordered_map<NodeId, ClientSlot> by_node_;  // registered ones

  std::vector<Session> sessions_;  // by slot
  std::vector<SessionSlot> free_sessions_;
  boost::unordered_flat_map<RelaySessionId, SessionSlot> by_session_;

  TimerHeap register_timers_;  // by client slot
  TimerHeap session_timers_;   // by session slot

  struct Challenge {
    NetworkPath to;
    ChallengeFrameBytes bytes;
  };
  BoundedQueue<Challenge, DropPolicy::refuse_newest> challenges_{RelayRules::challenges_queued_max};
  struct StandInTo {
    NetworkPath to;
    StandInPacket bytes;
  };
  StandIn stand_in_;
  BoundedQueue<StandInTo, DropPolicy::refuse_newest> stand_ins_{stand_ins_queued_max};
  std::deque<RelayServerOutput> outputs_;
  std::vector<RelayHint> other_relays_;
  bool draining_ = false;

  std::array<std::uint64_t, relay_drop_kinds> drops_{};  // datagrams
  struct Counters {
    std::uint64_t forwarded = 0;  // datagrams
    std::uint64_t clients_refused = 0;
    std::uint64_t never_registered = 0;
    std::uint64_t reservations_refused = 0;
    std::uint64_t sessions_refused = 0;
    std::uint64_t client_sessions_refused = 0;
    std::uint64_t sessions_evicted = 0;
    std::uint64_t sessions_expired = 0;
    std::uint64_t messages_dropped = 0;
    std::uint64_t messages_out_of_place = 0;
    std::uint64_t connects_refused = 0;
    std::uint64_t attests = 0;
    std::uint64_t attests_dropped = 0;
    std::uint64_t signals = 0;
    std::uint64_t signals_dropped = 0;
    std::uint64_t slow_readers = 0;
    std::uint64_t challenges = 0;
    std::uint64_t challenges_dropped = 0;
    std::uint64_t rebindings = 0;
    std::uint64_t answers_refused = 0;
  };
  Counters counters_;
};

}  // namespace quicmesh
