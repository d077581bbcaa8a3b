// RelayClient: a node's relays and the sessions over them, without I/O.
//
// Relays: the configured ones, and those that an overloaded one named. At start, and every few
// minutes, all of them are connected and measured (a *survey*); then the two best stay, home and
// standby (home_relay.hpp), and those with sessions. With fewer than two up, the others are tried
// again and again, with back-off:
//
//     idle -> opening -> registering -> up -> waiting (back-off) -> idle
//       open    control_up   Registered    lost, refused, silent
//
// A relay that is up is asked for its load every 15 s; the answer measures the round trip and shows
// that the relay serves (iroh #3315). Two questions unanswered, or one after `suspect`: it is lost.
// One that is overloaded, or about to stop, counts as that for five minutes: those who leave it
// relieve it, and would all be back at once.
//
// Sessions: `connect` asks home and standby at once for the peer, then the others one by one, so a
// NodeId and any relay in common are enough. A session over the second relay is kept where the
// peer is there too: when one relay dies the other's path exists already. A peer once reached is
// tried again, with back-off, until `close`.
//
// Challenges of a relay (challenge_frame.hpp) are answered from here. What a relay says about
// addresses is believed as far as candidates go: other relays are dialled only in the scope of the
// public internet or that of the relay which named them, on ports where a relay may be, a few at a
// time and a few a minute, and prove their NodeId like anybody. An address that was dialled for a
// hint in vain is not dialled for another within the hour, so a victim gets one handshake's
// packets. Of the sessions that a client can have one relay fills half at most.
//
// Timers: `due` of each relay, its open question, each dial's, the next survey. All jittered +-20
// %.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <deque>
#include <map>
#include <optional>
#include <system_error>
#include <variant>
#include <vector>

#include "base/bounded_queue.hpp"
#include "base/laboratory_address.hpp"
#include "base/network_path.hpp"
#include "base/rng.hpp"
#include "relay/challenge_frame.hpp"
#include "relay/home_relay.hpp"
#include "relay/relay_errc.hpp"
#include "relay/relay_message.hpp"
#include "relay/relay_rate.hpp"

namespace quicmesh {

// What the driver does.

/// Dials the relay and opens a control stream (relay_protocol); `control_up` or `control_down`
/// follows.
struct RelayOpen {
  RelayHint relay;
};
/// Closes the control connection, or gives up dialling; `control_down` need not follow.
struct RelayShut {
  NodeId relay;
  bool for_good = false;  // or until it is tried again
};
struct RelaySendTo {
  NodeId relay;
  RelayMessage message;
};
/// The relay has not answered for a while, though it may: another way to it may be opened.
struct RelayDoubt {
  RelayHint relay;
};
using RelayClientOutput = std::variant<RelayOpen, RelayShut, RelaySendTo, RelayDoubt>;

// What happened. Every error has a hint.

/// Also when a relay that was up sees this node at another address.
struct RelayUp {
  NodeId relay;
  SocketAddress observed;  // this node, as the relay sees it
  bool tunnelled = false;  // over TLS and TCP
};
/// Also for a relay that never was up, the first time in a row that it fails.
struct RelayDown {
  NodeId relay;
  std::error_code reason;
  std::string tried;  // how it was sought in vain, and what came of that; empty if it was not
};
struct RelaysChosen {
  RelayChoice choice;
};
struct RelayOverloaded {
  NodeId relay;
  unsigned load_percent = 0;
  std::vector<RelayHint> alternatives;
};
/// It was overloaded, and has not been for a while.
struct RelayRelieved {
  NodeId relay;
};
struct RelaySessionUp {
  NodeId peer;
  NodeId relay;
  RelaySessionId session{};
  RelayRole role{};
};
struct RelaySessionDown {
  NodeId peer;
  NodeId relay;
  RelaySessionId session{};
  std::error_code reason;
};
/// No relay has the peer. One that was reached before is tried again, others are not.
struct RelayUnreachable {
  NodeId peer;
  std::error_code reason;
};
struct RelaySignalled {
  NodeId peer;
  NodeId relay;
  Bytes data;
};
/// The answer to `attest`: whether the relay sees the peer at that address.
struct RelayPeerAttested {
  NodeId peer;
  NodeId relay;
  SocketAddress external;
  bool seen = false;
};
/// The answer to `ask_stand_in`.
struct RelayStandInAnswered {
  NodeId relay;
  StandInAnswer answer;
};
struct RelaySignalFailed {
  NodeId peer;
  NodeId relay;
  std::error_code reason;
};
using RelayEvent =
    std::variant<RelayUp, RelayDown, RelaysChosen, RelayOverloaded, RelaySessionUp,
                 RelaySessionDown, RelayUnreachable, RelaySignalled, RelaySignalFailed,
                 RelayPeerAttested, RelayStandInAnswered, RelayRelieved>;

/// One relayed path to a peer: datagrams go to `path` with the header of `header()`.
struct RelayLeg {
  NodeId relay;
  RelaySessionId session{};
  RelayRole role{};
  NetworkPath path;  // to the relay

  [[nodiscard]] auto header(std::uint16_t epoch) const {
    return encode_relay_header({role, session, epoch});
  }
};

/// A relayed datagram without its header; the path label takes `relay`, `session` and `epoch`.
struct RelayArrival {
  NodeId peer;
  NodeId relay;
  RelaySessionId session{};
  std::uint16_t epoch = 0;
  ByteView payload;
};

struct RelayReport {
  NodeId id;
  bool configured = false;
  bool up = false;
  std::optional<Duration> rtt;
  unsigned load_percent = 0;
  std::size_t sessions = 0;
  bool of_peer = false;
};

/// What a relay is named for.
enum class RelayUse : std::uint8_t {
  own,
  of_peer,  // to meet a peer who keeps to it: never home, and forgotten when it has served
};

class RelayClient {
 public:
  static constexpr std::size_t relays_max = 16;  // configured ones are refused, others go
  static constexpr std::size_t kept_max = 2;     // home and standby
  static constexpr std::size_t sessions_max = 256;
  static constexpr std::size_t sessions_per_relay_max = sessions_max / 2;
  static constexpr std::size_t hinted_max = 4;          // relays known from hints alone
  static constexpr unsigned hints_burst = 4;            // taken from one relay
  static constexpr Duration hints_interval = 60s;       // and then one in this time
  static constexpr std::uint16_t hint_port = 443;       // where a relay may be,
  static constexpr std::uint16_t hint_port_min = 1024;  // or from here on
  static constexpr std::size_t dials_max = 128;

  static constexpr Duration retry_first = 250ms;
  static constexpr Duration retry_max = 60s;
  static constexpr Duration refused_wait = 30s;
  static constexpr Duration overloaded_for = 5min;
  static constexpr Duration stable_after = 10s;  // then back-off begins anew
  static constexpr Duration hint_rest = 1h;      // of an address that was dialled for a hint
  static constexpr std::size_t hinted_addresses_max = 256;  // remembered; the oldest go
  static constexpr Duration open_patience = 12s;
  static constexpr Duration register_patience = 3s;
  static constexpr Duration query_interval = 15s;
  static constexpr Duration query_patience = 5s;
  static constexpr Duration doubt_after = 1s;  // or 3 round trips
  static constexpr Duration suspect_patience_min = 300ms;
  static constexpr unsigned unanswered_max = 2;
  static constexpr Duration survey_interval = 300s;
  static constexpr Duration survey_patience = 5s;
  static constexpr Duration ask_patience = 3s;
  static constexpr Duration second_session_interval = 60s;
  static constexpr Duration answer_interval = 50ms;  // to challenges, for each relay
  static constexpr unsigned answer_burst = 20;
  static constexpr std::size_t answers_queued_max = 32;  // newest refused

  RelayClient(const NodeId& self, Rng rng) : self_(self), rng_(rng) {}

  /// Documentation ranges count as public: for laboratories only.
  void set_address_rules(AddressRules rules) { rules_ = rules; }
  /// Names a relay to use; its addresses replace those known. Fails with too_many.
  Result<void> add_relay(Instant now, const RelayHint& relay, RelayUse use = RelayUse::own);
  void remove_relay(Instant now, const NodeId& relay);

  void control_up(Instant now, const NodeId& relay, const NetworkPath& path, const RelayKey& key);
  void control_path_changed(const NodeId& relay, const NetworkPath& path);
  void control_down(Instant now, const NodeId& relay);
  void handle_message(Instant now, const NodeId& relay, const RelayMessage& message);
  /// Back-off begins anew: what did not answer before may do so now.
  void network_changed(Instant now);
  /// There is a new way to the relay, or the old one may be over: whether it still answers.
  void check(Instant now, const NodeId& relay);
  /// Nothing comes over the relay although it should: it has 3 round trips to answer.
  void suspect(Instant now, const NodeId& relay);

  /// Asks for sessions with `peer`: RelaySessionUp or RelayUnreachable follows, unless there are as
  /// many as are kept. Fails with
  /// too_many, or no_relay if none is known.
  Result<void> connect(Instant now, const NodeId& peer);
  /// Ends the sessions with `peer` and asks for no more.
  void close(Instant now, const NodeId& peer);
  /// Asks for no more sessions with `peer`; those that stand go on until the relay ends them.
  void forget(const NodeId& peer) { dials_.erase(peer); }
  /// Sends `data` (1 to relay_signal_max bytes) over the relay of a session with `peer`, or else
  /// home. Fails with bad_signal, or no_relay if none is up.
  Result<void> signal(const NodeId& peer, Bytes data);

  /// Asks the relays of the sessions with `peer` whether they see it at `external`:
  /// RelayPeerAttested follows from those that answer. Nothing is asked without a session.
  void attest(const NodeId& peer, const SocketAddress& external);
  /// Asks a relay for a packet to a port of ours: RelayStandInAnswered may follow. Nothing is asked
  /// of a relay that is not up.
  void ask_stand_in(const NodeId& relay, const StandInRequest& request);

  /// A frame whose first byte is one of relay frames. Nothing if it was a challenge, or of no
  /// session of ours, or from elsewhere. The payload borrows from `datagram`.
  std::optional<RelayArrival> handle_frame(Instant now, const NetworkPath& path, ByteView datagram);

  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(MutableByteView buffer);  // answers to challenges
  std::optional<RelayClientOutput> poll_output();
  std::optional<RelayEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  /// The relayed paths to `peer`: over home first, then standby, then others.
  [[nodiscard]] std::vector<RelayLeg> legs(const NodeId& peer) const;
  /// The sessions over relays that are overloaded, or about to stop.
  [[nodiscard]] std::vector<RelaySessionId> overloaded_sessions() const;
  [[nodiscard]] const RelayChoice& choice() const { return choice_; }
  [[nodiscard]] std::vector<RelayReport> relays() const;
  [[nodiscard]] bool has_relays() const { return !relays_.empty(); }
  /// Frames that were of no session here, or did not come from its relay.
  [[nodiscard]] std::uint64_t frames_refused() const { return frames_refused_; }

 private:
  enum class State : std::uint8_t { idle, opening, registering, up, waiting };

  struct Query {
    std::uint32_t token = 0;
    Instant sent_at{};
    Instant answer_by{};
    unsigned unanswered_max = 0;
    Instant doubt_at{};  // `never` once it was told
  };
  struct Relay {
    RelayHint hint;
    bool configured = false;
    bool of_peer = false;
    State state = State::idle;
    Instant due = never;  // of the state: patience ends, back-off is over, the next question
    std::optional<Query> query;
    unsigned unanswered = 0;
    unsigned failures = 0;  // in a row
    Instant up_since{};
    NetworkPath path;
    NetworkPath former_path;   // where the relay may still send to
    SocketAddress observed;    // this node, as the relay sees it
    bool asked_again = false;  // where that is
    RelayKey key{};
    std::optional<Duration> rtt;
    unsigned load_percent = 0;
    bool draining = false;
    std::optional<Instant> overloaded_until;  // at least
    RelayRate answers;
    RelayRate hints;  // taken from it
  };
  struct Session {
    NodeId peer;
    NodeId relay;
    RelayRole role{};
  };
  /// What one relay was asked about a peer.
  struct Ask {
    NodeId relay;
    bool pending = true;
    Instant answer_by{};
  };
  struct Dial {
    std::vector<Ask> asks;  // of this round; one a relay
    Instant retry_at = never;
    unsigned failures = 0;
    bool reached = false;
    std::error_code last;
  };
  using Dials = std::map<NodeId, Dial>;

  // Relays (relay_client.cpp).
  Relay* find(const NodeId& id);
  [[nodiscard]] const Relay* find(const NodeId& id) const;
  [[nodiscard]] bool wanted(const Relay& relay) const;
  [[nodiscard]] std::size_t up_count() const;
  void open(Instant now, Relay& relay);
  void fail(Instant now, Relay& relay, RelayErrc reason, Duration wait_min = {});
  /// `fail`, and the connection is closed or given up by this side.
  void abandon(Instant now, Relay& relay, RelayErrc reason, Duration wait_min = {});
  void shut(Relay& relay);
  void register_again(Relay& relay);
  void ask_load(Instant now, Relay& relay, Duration patience, unsigned unanswered_max_now);
  void learn_hints(Instant now, Relay& from, const std::vector<RelayHint>& hints);
  [[nodiscard]] std::optional<RelayHint> usable(Instant now, const Relay& from,
                                                const RelayHint& hint) const;
  [[nodiscard]] bool rests(Instant now, const IpAddress& ip) const;
  void on_query_unanswered(Instant now, Relay& relay);
  void on_overloaded(Instant now, Relay& relay, std::vector<RelayHint> alternatives);
  void on_relay_due(Instant now, Relay& relay);
  void plan(Instant now);
  void plan_survey(Instant now);
  void plan_choice();
  [[nodiscard]] Duration jittered(Duration wait);

  void on(Instant now, Relay& relay, const RelayRegistered& message);
  void on(Instant now, Relay& relay, const RelaySession& message);
  void on(Instant now, Relay& relay, const RelayRefused& message);
  void on(Instant now, Relay& relay, const RelayLoad& message);
  void on(Instant now, Relay& relay, const RelayDraining& message);
  void on(Instant now, Relay& relay, const RelaySignal& message);
  void on(Instant now, Relay& relay, const RelayCloseSession& message);
  void on(Instant now, Relay& relay, const RelayAttested& message);
  void on(Instant now, Relay& relay, const RelayStoodIn& message);
  /// Whether a frame of `relay` may come on `path`.
  [[nodiscard]] static bool comes_from(const Relay& relay, const NetworkPath& path);
  template <class NotForClients>
  void on(Instant now, Relay& relay, const NotForClients& message);

  // Sessions (relay_client_sessions.cpp).
  void pursue(Instant now, const NodeId& peer);
  void pursue_all(Instant now);
  /// True if an answer is awaited afterwards.
  bool ask_relays(Instant now, const NodeId& peer, Dial& dial, std::size_t sessions);
  static void on_dial_due(Instant now, Dial& dial);
  void on_session_refused(Instant now, Relay& relay, const RelayRefused& message);
  void drop_session(RelaySessionId id, std::error_code reason);
  void drop_sessions_of(const Relay& relay, std::error_code reason);
  void forget_asks(const NodeId& relay);
  void retry_dials();
  void answer_challenge(Instant now, const NetworkPath& path, ByteView datagram);
  [[nodiscard]] const Session* find_session(const NodeId& peer, const NodeId& relay) const;
  [[nodiscard]] std::size_t session_count(const NodeId& peer) const;
  [[nodiscard]] std::size_t sessions_over(const NodeId& relay) const;
  [[nodiscard]] std::vector<NodeId> by_preference() const;
  [[nodiscard]] bool is_main(const NodeId& relay) const;

  void send(const NodeId& relay, RelayMessage message);

  NodeId self_;
  Rng rng_;
  AddressRules rules_ = AddressRules::internet;
  std::vector<Relay> relays_;  // in the order in which they were named
  RelayChoice choice_;
  struct HintedAddress {
    IpAddress ip;
    Instant since{};
  };
  std::deque<HintedAddress> hinted_addresses_;
  bool surveying_ = false;
  Instant survey_at_ = never;  // the end of a survey, or the next one

  std::map<RelaySessionId, Session> sessions_;
  Dials dials_;

  struct Answer {
    NetworkPath to;
    ChallengeFrameBytes bytes;
  };
  BoundedQueue<Answer, DropPolicy::refuse_newest> answers_{answers_queued_max};
  std::deque<RelayClientOutput> outputs_;
  std::deque<RelayEvent> events_;
  std::uint64_t frames_refused_ = 0;
};

}  // namespace quicmesh
