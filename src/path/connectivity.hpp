// Connectivity: the connections of one node to its peers, over whatever real paths there are.
//
// A DatagramCore. It composes QUIC (which knows labels only) with a path table, a prober and a
// death watch for each connection, and keeps at most one connection in use for each peer:
//
// - Dialling: candidates are tried 250 ms apart (RFC 8305 s5); the first confirmed one wins.
// - Simultaneous dials: of two confirmed connections that one is used whose dialler has the lower
//   NodeId; of two by the same dialler, the newer (the peer restarted). The other one retires: no
//   new streams, closed by the winner's dialler when both sides have said so and its streams are
//   over. So nothing that was in progress on the loser is lost.
// - Planned migration: by the dialler (`move`), or asked for by the acceptor (`suggest`), whose
//   hint goes on the control stream and as an authenticated frame beside QUIC.
// - Better paths: each side tells the other its candidates on the control stream, both probe, and
//   the dialler moves when one that answers is clearly better (path_selector.hpp).
// - Rescue: whoever waits in silence (path_watch.hpp) probes all other paths; the dialler migrates
//   at once to the fastest that answers, the acceptor sends hints over it until it is followed.
// - Streams: the first bytes name the protocol (stream_header.hpp); unnamed ones never surface.
//
// Timers: one deadline for each link (watch, probes, hints), one for each peer being dialled.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/core.hpp"
#include "base/rng.hpp"
#include "base/timer_heap.hpp"
#include "crypto/blake3.hpp"
#include "nat/stranger_allowance.hpp"
#include "path/control_message.hpp"
#include "path/link.hpp"
#include "path/path_event.hpp"
#include "path/path_selector.hpp"
#include "quic/endpoint.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/path_status.hpp"

namespace quicmesh {

struct ConnectivityCounters {
  std::uint64_t frames_refused = 0;       // unknown tag, wrong MAC, malformed
  std::uint64_t datagrams_unknown = 0;    // neither QUIC nor a frame of ours
  std::uint64_t arrivals_unexpected = 0;  // a known connection on a path we never chose
  std::uint64_t answers_dropped = 0;      // the queue of small answers was full
  std::uint64_t flow_datagrams_dropped = 0;
  std::uint64_t streams_unnamed = 0;     // reset for a malformed header
  std::uint64_t paths_refused = 0;       // more than a peer may make us probe
  std::uint64_t probes_withheld = 0;     // beyond what a stranger's address gets
  std::uint64_t targets_dropped = 0;     // beyond PathProber::targets_max
  std::uint64_t candidates_dropped = 0;  // messages beyond Link::tellings
};

/// One row of `paths NODE`.
struct PathReport {
  NetworkPath path;
  bool current = false;
  std::optional<Duration> rtt;
  std::size_t mtu_bytes = 0;     // UDP payload; of the current path only
  PathState state{};             // never held_down: see held_until
  Instant held_until{};          // it failed in use, or did not take a move: not chosen till then
  unsigned probes_sent = 0;      // lately; the current path is probed only when it is silent
  unsigned probes_answered = 0;  // of those
  std::uint64_t bytes_sent = 0;  // of QUIC, without probes
  std::uint64_t bytes_received = 0;
};

class Connectivity {
 public:
  static constexpr Duration attempt_delay = 250ms;  // RFC 8305 s5
  static constexpr std::size_t candidates_max = 16;
  static constexpr std::size_t links_per_peer_max = 8;  // dial attempts included; oldest goes

  /// `identity` and `rng` outlive the object.
  static Result<std::unique_ptr<Connectivity>> create(QuicConfig config, const Keypair& identity,
                                                      SecureRng& secure_rng, Rng rng);
  /// For tests of hostile peers: `quic` was made with other TLS options.
  Connectivity(std::unique_ptr<QuicEndpoint> quic, NodeId self, SecureRng& secure_rng, Rng rng);
  ~Connectivity();
  Connectivity(const Connectivity&) = delete;
  Connectivity& operator=(const Connectivity&) = delete;

  void handle_datagram(Instant now, const NetworkPath& path, Ecn ecn, MutableByteView datagram);
  void handle_timeout(Instant now);
  std::optional<Transmit> poll_transmit(Instant now, MutableByteView buffer);
  std::optional<PathEvent> poll_event();
  [[nodiscard]] Instant poll_timeout() const;
  /// Turns what the datagrams so far brought into events, without the timers; `handle_timeout` and
  /// `poll_transmit` do so as well.
  void settle(Instant now) { pump(now); }

  /// Starts dialling; PeerConnected or PeerUnreachable follows. With a connection in place, or
  /// being dialled, the candidates become further paths and PathErrc::already_connected tells so.
  /// Candidates that `policy` does not allow are left out; it stays with the connection.
  Result<void> connect(Instant now, const NodeId& peer, std::span<const NetworkPath> candidates,
                       PathPolicy policy = PathPolicy::any);
  /// Paths to probe from now on, by either side; nothing happens without a connection.
  void add_paths(Instant now, const NodeId& peer, std::span<const NetworkPath> paths);
  /// Sends one authenticated probe on `path`, known or not, that dies after `hop_limit` routers if
  /// that is not 0; PeerPathFound tells if it is answered. Whoever asks keeps the caps (TQ10).
  void punch(const NodeId& peer, const NetworkPath& path, std::uint8_t hop_limit = 0);
  /// What addresses get that have never answered, over all peers; for `punch` too.
  [[nodiscard]] StrangerAllowance& strangers() { return strangers_; }
  /// Says `body` (at most punch_told_max bytes) to the peer's hole puncher.
  void say_punch(const NodeId& peer, Bytes body);
  /// The path leads to where a TURN server relays for the peer, as the peer has told.
  [[nodiscard]] bool is_relayed_for(const NodeId& peer, const NetworkPath& path) const;
  /// The path is over for good; the one in use stays until it is left.
  void remove_path(const NodeId& peer, const NetworkPath& path);
  /// The socket is closed: its paths are not probed any more.
  void forget_socket(SocketId socket);
  /// The path on which the handshake of a live connection was confirmed: its address is proved.
  [[nodiscard]] std::optional<NetworkPath> proved_path(ConnectionHandle connection) const;
  /// The network has changed: `own` are the addresses that this node has now, `chosen` those that
  /// its paths name as their source, where that is not left to the kernel. Every path is probed at
  /// once, and what was held against it is forgotten. A dialler comes anew to a path whose source
  /// is another now, or with `slept` to any; an acceptor asks to be followed.
  void network_changed(Instant now, std::span<const IpAddress> own,
                       std::span<const IpAddress> chosen, bool slept);
  /// Where this node may be reached: told to all peers, now and when they connect. What they know
  /// already is told only `again`.
  void set_candidates(CandidatesMessage candidates, bool again = false);
  /// The peer's gateway forwards what comes on these paths, as the peer says: there is nothing to
  /// punch, so probes of them may use what is kept for punches.
  void note_forwarded(const NodeId& peer, std::span<const NetworkPath> paths);
  /// The paths, relayed ones, that are used only where there is no other. Replaces those of before.
  void set_overloaded_paths(Instant now, std::vector<NetworkPath> paths);
  /// Whether the dialler moves by itself to a better path (path_selector.hpp); on at first.
  void choose_paths(bool automatic) { automatic_ = automatic; }
  [[nodiscard]] bool connected(const NodeId& peer) const;
  void disconnect(Instant now, const NodeId& peer, CloseCode code, std::string_view reason);
  /// The peers in `last` are told last: what beneath the others' words travels over them.
  void disconnect_all(Instant now, CloseCode code, std::string_view reason,
                      std::span<const NodeId> last = {});
  [[nodiscard]] std::vector<NodeId> peers() const;  // in order of id

  /// Opens a stream and writes its header.
  Result<StreamKey> open_stream(Instant now, const NodeId& peer, const StreamHeader& header,
                                bool bidirectional);
  /// The same to a peer that is proved and not connected yet, unidirectional. It is for what may
  /// come to nothing, as a request does: the peer has not judged us yet.
  Result<StreamKey> open_early_stream(const NodeId& peer, const StreamHeader& header);
  /// Whether there is a connection for such streams.
  [[nodiscard]] bool is_proved(const NodeId& peer) const { return proved_link(peer) != nullptr; }
  Result<void> write(const StreamKey& stream, Bytes& data, bool end);
  /// Gives the peer leave to send `bytes` more; for PeerStreamData that was consumed.
  void credit(const StreamKey& stream, std::size_t bytes);
  Result<void> reset_stream(const StreamKey& stream, CloseCode code);
  Result<void> stop_stream(const StreamKey& stream, CloseCode code);
  /// `flow` is an open stream of kind datagram_flow, ours or the peer's.
  Result<void> send_datagram(const StreamKey& flow, ByteView data);
  [[nodiscard]] std::size_t max_datagram_size(const NodeId& peer) const;

  /// The dialler moves to `path`, validated first. Fails with path_does_not_answer before a probe
  /// on it was answered, with only_dialler_migrates on the accepting side (see `suggest`).
  Result<void> move(Instant now, const NodeId& peer, const NetworkPath& path);
  /// The acceptor asks the dialler to move to `path`, on which the dialler has sent probes.
  Result<void> suggest(Instant now, const NodeId& peer, const NetworkPath& path);
  Result<void> update_key(Instant now, const NodeId& peer);

  /// Key material that only the two ends of `connection` have (RFC 8446 s7.5).
  Result<void> export_secret(ConnectionHandle connection, std::string_view label,
                             MutableByteView out) const {
    return quic_->export_secret(connection, label, out);
  }
  [[nodiscard]] bool dialling(const NodeId& peer) const { return dialling_.contains(peer); }
  /// Of the peer's connections; `any` if there is none.
  [[nodiscard]] PathPolicy policy(const NodeId& peer) const;
  /// The connection in use was dialled from here; false without one.
  [[nodiscard]] bool dialled(const NodeId& peer) const;
  /// No stream of an application but `stream` is open on any connection with the peer.
  [[nodiscard]] bool carries_only(const NodeId& peer, const std::optional<StreamKey>& stream) const;
  [[nodiscard]] std::vector<PathReport> paths(const NodeId& peer) const;
  [[nodiscard]] std::optional<NetworkPath> current_path(const NodeId& peer) const;
  [[nodiscard]] QuicPathInfo path_info(const NodeId& peer) const;
  [[nodiscard]] std::size_t unacknowledged_bytes(const NodeId& peer) const;
  [[nodiscard]] std::size_t unacknowledged_bytes(const StreamKey& stream) const;
  [[nodiscard]] const ConnectivityCounters& counters() const { return counters_; }
  [[nodiscard]] const QuicEndpoint& quic() const { return *quic_; }

 private:
  struct Dial {
    std::vector<NetworkPath> candidates;
    std::size_t next = 0;  // index of the candidate to try next
    Instant due{};
    std::error_code error;  // of the attempt that got furthest
    std::string reason;
  };
  struct Peer {
    std::vector<ConnectionHandle> links;  // attempts and confirmed ones, oldest first
    std::optional<ConnectionHandle> active;
    std::optional<Dial> dial;
    PathPolicy policy = PathPolicy::any;
  };
  struct SmallAnswer {
    NetworkPath path;
    Bytes bytes;
    std::uint8_t hop_limit = 0;
  };

  // Dispatch.
  void handle_quic(Instant now, const NetworkPath& path, Ecn ecn, ByteView datagram);
  void handle_frame(Instant now, const NetworkPath& path, ByteView datagram);
  void pump(Instant now);  // takes all events out of QUIC
  void handle_event(Instant now, QuicEvent& event);
  void send_small(const NetworkPath& path, ByteView bytes, std::uint8_t hop_limit = 0);

  // Links.
  Link& add_link(ConnectionHandle handle);
  [[nodiscard]] Link* find_link(ConnectionHandle handle) const;
  [[nodiscard]] Link* active_link(const NodeId& peer) const;
  [[nodiscard]] Link* proved_link(const NodeId& peer) const;
  void on_proved(Link& link);
  void on_confirmed(Instant now, Link& link, const NodeId& peer);
  void on_closed(Instant now, ConnectionClosed& closed);
  void remove_link(Link& link);
  void tell_candidates(Link& link);
  /// Keeps `remotes_`: the link now talks to `remote`, or to nobody any more.
  void note_remote(Link& link, std::optional<SocketAddress> remote);

  // Dialling and simultaneous dials (connectivity_dial.cpp).
  void try_next_candidate(Instant now, const NodeId& id, Peer& peer);
  void on_attempt_failed(Instant now, const NodeId& id, const ConnectionClosed& closed);
  void cancel_other_attempts(Instant now, Peer& peer, const Link& winner);
  void choose_link(Instant now, const NodeId& id, Peer& peer);
  [[nodiscard]] bool preferred(const Link& a, const Link& b) const;
  void advance_retirement(Instant now, Link& link);

  // Paths (connectivity_paths.cpp).
  void on_path_switched(Instant now, Link& link, const PathSwitched& event);
  void watch_link(Instant now, Link& link);
  /// True if another path was there to go to.
  bool leave_silent_path(Instant now, Link& link);
  [[nodiscard]] PathPolicy policy_of(const Link& link) const;
  [[nodiscard]] bool allows(const Link& link, const NetworkPath& path) const;
  void restart_silent_path(Instant now, Link& link);
  void restart_path(Instant now, Link& link);
  void probe_rebound_acceptor(Instant now, Link& link, const NetworkPath& path);
  void on_rebound_answer(Instant now, Link& link, const NetworkPath& path, std::uint64_t nonce);
  void start_hint(Instant now, Link& link, const NetworkPath& path, unsigned count);
  void follow_hint(Instant now, Link& link, const NetworkPath& path);
  void choose_path(Instant now, Link& link);
  bool migrate_link(Instant now, Link& link, const NetworkPath& path, bool immediately,
                    const MoveReason& why);
  void send_probes(Instant now, Link& link);
  /// Whether one more probe may go to `target`, which the peer may have named (THREATS TQ10).
  bool may_probe(Instant now, const Link& link, const PathProber::Target& target);
  bool may_answer(Instant now, const Link& link, const NetworkPath& path);
  void send_frame(Link& link, const NetworkPath& path, ProbeFrameType type, std::uint64_t nonce,
                  std::uint16_t epoch, std::uint8_t hop_limit = 0);
  [[nodiscard]] std::uint64_t punch_nonce(const Link& link, const NetworkPath& path) const;
  void on_new_path(Instant now, Link& link, const NetworkPath& path, bool answered);
  bool add_target(Instant now, Link& link, const NetworkPath& path);
  void arm(Instant now, Link& link);
  [[nodiscard]] NetworkPath current_path_of(const Link& link) const;

  // Streams (connectivity_streams.cpp).
  Result<StreamKey> open_stream_on(Link* link, const StreamHeader& header, bool bidirectional);
  void on_stream_readable(Instant now, Link& link, StreamId stream);
  void on_stream_over(Instant now, Link& link, StreamId stream);
  bool name_stream(Link& link, StreamId stream, Bytes& data, bool end);
  void read_control(Instant now, Link& link, StreamId stream, ByteView data);
  void on_control(Instant now, Link& link, ControlMessage& message);
  void note_relayed_remotes(Link& link, std::span<const Candidate> told);
  void send_control(Link& link, const ControlMessage& message);
  void on_datagram(Link& link, ByteView data);

  std::unique_ptr<QuicEndpoint> quic_;
  NodeId self_;
  SecureRng& secure_rng_;
  Blake3Key punch_key_{};
  Rng rng_;

  std::vector<std::unique_ptr<Link>> links_;  // by slot of the handle
  std::unordered_map<NodeId, Peer> peers_;
  boost::unordered_flat_map<LinkTag, ConnectionHandle> tags_;
  boost::unordered_flat_map<SocketAddress, std::uint32_t, std::hash<SocketAddress>>
      remotes_;  // live links by remote
  TimerHeap link_timers_;
  std::deque<SmallAnswer> small_answers_;
  std::deque<PathEvent> events_;
  std::set<NodeId> dialling_;  // peers with a Dial, in order
  CandidatesMessage candidates_;
  std::vector<NetworkPath> overloaded_paths_;
  bool automatic_ = true;
  StrangerAllowance strangers_;
  ConnectivityCounters counters_;

  static constexpr std::size_t small_answers_max = 1024;  // newest refused
};

static_assert(DatagramCore<Connectivity>);

}  // namespace quicmesh
