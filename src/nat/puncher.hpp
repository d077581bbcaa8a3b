// Puncher: gets two nodes that already talk over a relay through NATs that plain connectivity
// checks do not pass, as a core (punch_plan.hpp says when, docs/protocols/punch.md how).
//
// It sends no peer packets itself: it says which authenticated probe is to leave on which path
// (`PunchProbe`), and is told what came of it. The other end runs the same core; the two agree over
// the control stream (`PunchSay`, punch_message.hpp). For plain and relay there is nothing to do.
//
//   synchronised  Both send openers that die before they reach the other's NAT. The leader says
//                 "begin" and waits half the relay's round trip, the follower begins when it hears
//                 it: so the ordinary probes of both cross (as in libp2p's DCUtR).
//   predict       The predicted side asks a STUN server from a fresh socket and sends its opener
//                 right behind; the answer tells the port of the sample, and the opener has the
//                 next one. The other side probes that one and the seven behind it. If both are
//                 predicted, both sample at the same moment, exchange the ports, and send from the
//                 fresh sockets, in an order that makes up for ports taken in between. At most five
//                 rounds, each with fresh sockets, so that no packet of before spoils anything.
//   birthday      One side opens 256 sockets and sends from each; then the other guesses ports, at
//                 most 512/s and 2,048 in all. One birthday at a time in a node.
//
// Each technique is a file of its own: punch_synchronised, punch_predict, punch_predict_both,
// punch_birthday.
//
// How to drive it: `start` when a connection over a relay stands and both profiles are known; while
// a punch with the peer is under way it changes nothing. If `on_message` returns false although
// both profiles are known, `start` and hand the message in again: the other end has begun first.
// Datagrams that `handle_datagram` does not take are for the connection manager, whichever socket
// they came to. `on_path_heard` when an authenticated probe *request* of the peer came in on a
// path; `on_path_answered` when one of ours was answered there: only that ends the punch, because
// it proves both directions; after the former the punch rests a while for it. What the node sends
// elsewhere meanwhile may take ports of its NAT, as other machines behind it do: the predictions
// allow for seven.
//
// A peer's word is a wish. It says ports and counts, never addresses; ports below 1024 and counts
// above the bounds are refused and counted. What a stranger's address may get is bounded over all
// peers by `StrangerAllowance`; a failed punch is not begun again for 30 s, then 60 s ... 16 min
// (half of that on the following side, so that it is ready when the leader comes).
//
// Bounds: 16 peers at once (one more is refused), 256 + 2 x 16 sockets, 64 remembered back-offs.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/rng.hpp"
#include "nat/birthday_turns.hpp"
#include "nat/punch_event.hpp"
#include "nat/punch_task.hpp"
#include "nat/stranger_allowance.hpp"
#include "quicmesh/result.hpp"
#include "stun/stun_client.hpp"

namespace quicmesh {

struct PuncherCounters {
  std::uint64_t started = 0;
  std::uint64_t direct = 0;
  std::uint64_t failed = 0;
  std::uint64_t probes = 0;
  std::uint64_t probes_refused = 0;      // beyond what a stranger's address gets
  std::uint64_t messages_malformed = 0;  // or of a version unknown to us
  std::uint64_t messages_refused = 0;    // not of this technique or role, or bounds exceeded
  std::uint64_t messages_late = 0;       // of a former round or attempt
};

class Puncher {
 public:
  static constexpr std::size_t peers_max = 16;
  static constexpr std::size_t back_offs_max = 64;  // the one that ends first goes
  static constexpr Duration back_off_first = 30s;
  static constexpr Duration back_off_max = 16min;
  static constexpr std::size_t stun_servers_max = 4;
  static constexpr unsigned rests_max = 3;  // a peer's packets cannot stop a punch for good

  /// All three outlive the puncher, but `rng`, which is a value.
  Puncher(SecureRng& secure_rng, Rng rng, StrangerAllowance& allowance);
  ~Puncher();
  Puncher(const Puncher&) = delete;
  Puncher& operator=(const Puncher&) = delete;

  /// Plans, and begins if the plan is one for a puncher. Errors: `too_many_punches`;
  /// `punch_too_soon` after a failure; `unusable_external` if the port of the peer's endpoint is
  /// below 1024, or there is no address. Its scope is for the caller to judge.
  Result<PunchPlan> start(Instant now, const PunchStart& start);
  /// From when on `start` does not refuse this peer for a failure; the beginning of time if now.
  [[nodiscard]] Instant may_start(const NodeId& peer) const;
  /// The connection is gone: ends without an event.
  void stop(Instant now, const NodeId& peer);
  /// The network beneath changed: nobody has to wait any more.
  void forget_back_offs();

  /// The body of a PunchSay of the peer. False if nothing is under way with it.
  bool on_message(Instant now, const NodeId& peer, ByteView body);
  void on_path_heard(Instant now, const NodeId& peer, const NetworkPath& path);
  void on_path_answered(Instant now, const NodeId& peer, const NetworkPath& path);

  /// `local` is what the socket is bound to, its address unspecified if it is bound to all.
  void handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                            const SocketAddress& local);
  void handle_socket_failed(Instant now, SocketRequestId id);

  /// True if it was a STUN response to one of the puncher's sockets.
  bool handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<PuncherEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;

  /// A punch with `peer` is under way.
  [[nodiscard]] bool is_punching(const NodeId& peer) const;
  [[nodiscard]] const PuncherCounters& counters() const { return counters_; }

 private:
  struct Punch {
    PunchStart start;
    PunchPlan plan;
    std::unique_ptr<PunchTask> task;
    bool leads = false;
    Instant began{};
    unsigned probes = 0;
    unsigned probes_refused = 0;
    unsigned times_heard = 0;
    Instant heard_until = never;    // until then the task rests: a path is being proved
    std::vector<SocketId> sockets;  // open, and not the driver's
  };
  struct Wanted {
    NodeId peer;
    std::uint32_t ticket = 0;  // the task's own name for it
  };
  struct Asked {
    NodeId peer;
    SocketId socket{};
    bool sent = false;
  };
  struct BackOff {
    Duration last{};
    Instant until{};
  };

  /// Calls the peer's task, then does what it wants.
  template <class Call>
  void drive(Instant now, const NodeId& peer, Call&& call);
  /// False if that was the end of the punch.
  bool obey(Instant now, Punch& punch, const PunchTask::Command& command);
  void set_task(Punch& punch, const PunchPlan& plan);
  [[nodiscard]] static bool begins_to_guess(const Punch& punch, const PunchMessage& message);
  void guess_instead(Punch& punch, PunchRole role);
  void open_socket(const NodeId& peer, const IpAddress& remote, std::uint32_t ticket);
  void probe(Instant now, Punch& punch, const PunchTask::Probe& wanted);
  void sample(Instant now, Punch& punch, const PunchTask::Sample& wanted);
  void give_back(Punch& punch, SocketId socket);
  void forget_asked(SocketId socket);
  void drain_client(Instant now);
  void give_turns(Instant now);
  void finish(Instant now, const NodeId& peer, PunchOutcome outcome,
              const std::optional<NetworkPath>& path);
  Punch take_out(const NodeId& peer, std::optional<SocketId> adopted);
  Duration note_failure(Instant now, const Punch& punch);
  void set_back_off(Instant now, const NodeId& peer, Duration last, Duration wait);

  Rng rng_;
  StrangerAllowance& allowance_;
  StunClient client_;
  std::map<NodeId, Punch> punches_;
  std::map<SocketRequestId, Wanted> wanted_;
  std::map<TransactionId, Asked> asked_;
  std::map<NodeId, BackOff> back_offs_;
  BirthdayTurns turns_;
  std::uint16_t next_request_ = 0;
  std::deque<PuncherEvent> events_;  // what bounded tasks want: a few hundred at most
  PuncherCounters counters_;
};

}  // namespace quicmesh
