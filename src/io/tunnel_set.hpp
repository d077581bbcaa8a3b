// All tunnels of one node: those that it opens to relays, and those that its listeners take if
// it is a relay. One descriptor for the network thread, and SocketIds of the tunnels' own range for
// the core (base/tunnel_path.hpp).
//
// A SocketId is not given again before all others were; and a datagram goes through a tunnel only
// if its path names the tunnel's remote address, so what was meant for one that is gone reaches
// nobody else.
//
// Whoever speaks TLS may open a tunnel to a listener. It is *proved* while a confirmed QUIC
// connection lives on it, which the driver knows (HostedNode::live_tunnels) and tells in
// `handle_timeout`. One that is not proved is closed after `proof_patience`, or for `idle_patience`
// after it was; it may send at `unproved_bytes_per_second` alone, and when all places are taken the
// oldest of these goes.
//
// Receiving has a budget for a turn, over all tunnels: the network thread has UDP and timers to
// serve as well. The tunnels take turns of one train; what is left waits for the next turn, and
// `deadline` says so. One that is read no more (paused) is not watched either.
//
// Bounds: TunnelLimits for what strangers open, `own_max` for this node's own, TunnelBudget for
// what waits to be sent, TunnelFrameReader::buffered_max for each tunnel's half frame.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <system_error>
#include <variant>
#include <vector>

#include "base/rng.hpp"
#include "base/tunnel_path.hpp"
#include "io/tunnel_admission.hpp"
#include "io/tunnel_listener.hpp"
#include "io/tunnel_socket.hpp"
#include "node/tunnel_request.hpp"
#include "quicmesh/keypair.hpp"

namespace quicmesh::io {

/// The tunnel asked for as `request` is open; datagrams go on `path`.
struct TunnelOpened {
  TunnelRequestId request{};
  NetworkPath path;
};
struct TunnelFailed {
  TunnelRequestId request{};
  std::error_code error;
};
/// One that was asked for and opened has ended.
struct TunnelClosed {
  NetworkPath path;
  std::error_code error;
};
using TunnelEvent = std::variant<TunnelOpened, TunnelFailed, TunnelClosed>;

struct TunnelSetCounters {
  TunnelCounters datagrams;  // of all tunnels, also of those that are closed
  std::uint64_t opened = 0;
  std::uint64_t handshakes_failed = 0;  // of those taken: garbage, silence, other protocols
  std::uint64_t closed_bad_frame = 0;
  std::uint64_t closed_idle = 0;
  std::uint64_t closed_stalled = 0;
  std::uint64_t closed_unproved = 0;
  std::uint64_t evicted = 0;    // unproved ones that gave way
  std::uint64_t paused = 0;     // unproved ones, each time that they sent too fast
  std::uint64_t turns_cut = 0;  // turns whose budget was used up
  std::uint64_t strays = 0;     // datagrams for a tunnel that is not there
};

class TunnelSet {
 public:
  static constexpr std::size_t own_max = 32;  // newest refused
  static constexpr std::size_t accepts_per_turn = 32;
  /// What all tunnels together give in one turn; the last train may go beyond it. In cost: bytes,
  /// but no less than `datagram_cost` for each datagram and `receive_cost` for each attempt.
  static constexpr std::size_t cost_per_turn = std::size_t{256} << 10;
  static constexpr std::size_t datagram_cost = 256;
  static constexpr std::size_t receive_cost = 1024;
  /// What one without a client may send, in cost too: the QUIC handshake takes 20 KB.
  static constexpr std::size_t unproved_bytes_per_second = std::size_t{8} << 10;
  static constexpr std::size_t unproved_burst = std::size_t{64} << 10;
  /// From when a tunnel is open until a client must have proved itself in it.
  static constexpr Duration proof_patience = 15s;
  /// Tunnels are looked at for time-outs no more often, and no later than so; while there are
  /// unproved ones, after `proof_interval`.
  static constexpr Duration sweep_min = 1s;
  static constexpr Duration sweep_max = 5s;
  static constexpr Duration proof_interval = 250ms;

  /// `identity` and `rng` outlive it.
  static Result<std::unique_ptr<TunnelSet>> create(const Keypair& identity, SecureRng& rng,
                                                   const TunnelLimits& limits = {});
  ~TunnelSet();
  TunnelSet(const TunnelSet&) = delete;
  TunnelSet& operator=(const TunnelSet&) = delete;

  /// Takes tunnels of others at `local`; the result is the address bound.
  Result<SocketAddress> listen(const SocketAddress& local);
  /// Opens a tunnel to a relay: TunnelOpened or TunnelFailed follows, for `request`.
  void open(Instant now, TunnelRequestId request, const SocketAddress& remote);
  /// Ends a tunnel, or gives up `request`. No event follows. Nothing happens if there is none.
  void close(SocketId socket);
  void give_up(TunnelRequestId request);

  /// Readable when there is something to do, as `work_waits` says of what the kernel does not
  /// know: then `handle_ready`, and `receive` until it gives nothing.
  [[nodiscard]] int descriptor() const { return epoll_.get(); }
  void handle_ready(Instant now);
  struct Arrival {
    NetworkPath path;
    ReceivedTrain train;
  };
  /// `buffer` as for UdpSocket.
  std::optional<Arrival> receive(Instant now, MutableByteView buffer);

  /// Sends, or drops what has no room or no tunnel.
  void send(Instant now, const Transmit& transmit, ByteView data);

  std::optional<TunnelEvent> poll_event();
  [[nodiscard]] bool work_waits() const { return !readable_.empty(); }
  [[nodiscard]] bool sweep_due(Instant now) const { return !tunnels_.empty() && sweep_at_ <= now; }
  [[nodiscard]] Instant deadline() const {
    if (work_waits()) return Instant{};
    return tunnels_.empty() ? never : sweep_at_;
  }
  /// `live`: the tunnels with a live connection, in order; asked for when `sweep_due`.
  void handle_timeout(Instant now, std::span<const SocketId> live);

  [[nodiscard]] std::size_t count() const { return tunnels_.size(); }
  /// Open ones that a listener took and behind which there is no client.
  [[nodiscard]] std::size_t unproved() const { return unproved_.size(); }
  [[nodiscard]] TunnelSetCounters counters() const;
  /// Connections that the listener dropped because the process had no descriptor left.
  [[nodiscard]] std::uint64_t dropped_without_descriptor() const;
  [[nodiscard]] const TunnelAdmission& admission() const { return admission_; }
  [[nodiscard]] const TunnelBudget& budget() const { return budget_; }

 private:
  struct Tunnel {
    std::unique_ptr<TunnelSocket> socket;
    std::optional<TunnelRequestId> request;  // of this node; others were taken by a listener
    bool open = false;
    std::uint32_t watched = 0;  // epoll's events
    bool queued = false;        // in `readable_`
    // Of a taken one:
    bool charged = false;  // its first byte has come
    bool proved = false;
    bool paused = false;                  // it is not read
    Instant keep_until{};                 // unless it is proved again
    Instant allowance_full_at{};          // as in stun/prefix_limiter.hpp
    std::list<SocketId>::iterator place;  // in `half_open_` or `unproved_`; of a proved one, none
  };
  using Tunnels = std::map<SocketId, Tunnel>;

  TunnelSet(const Keypair& identity, SecureRng& rng, const TunnelLimits& limits)
      : identity_(identity), admission_(limits, rng) {}

  void accept_waiting(Instant now, TunnelListener& listener);
  void take(Instant now, TunnelListener::Accepted accepted);
  /// Closes a half-open or an unproved one. False if there is none.
  bool evict(TunnelAdmission::Verdict verdict);
  [[nodiscard]] SocketId half_open_to_evict() const;
  /// The kernel has something for a taken one. False if it is gone then.
  bool look_at_taken(Instant now, Tunnels::iterator tunnel, std::uint32_t events);
  void set_proved(Instant now, Tunnels::value_type& tunnel, bool proved);
  void charge(Instant now, Tunnel& tunnel, std::size_t cost);
  void rewatch(Tunnels::value_type& tunnel);
  [[nodiscard]] SocketId free_id();
  Tunnels::iterator add(Instant now, Tunnel tunnel);
  /// After anything was done with a tunnel: what its state is now is told and watched; a closed
  /// one is removed, and then the result is false.
  bool settle(Tunnels::iterator tunnel);
  void count_end(const Tunnel& tunnel);
  void remove(Tunnels::iterator tunnel);
  [[nodiscard]] static NetworkPath path_of(const Tunnels::value_type& tunnel);

  const Keypair& identity_;
  TunnelAdmission admission_;
  TunnelBudget budget_;
  FileDescriptor epoll_;
  std::unique_ptr<TlsContext> dialler_tls_;   // made when first used
  std::unique_ptr<TlsContext> acceptor_tls_;  // with the first listener
  std::vector<TunnelListener> listeners_;
  Tunnels tunnels_;
  std::list<SocketId> half_open_;  // taken ones, oldest first
  std::list<SocketId> unproved_;   // open taken ones, oldest first
  std::size_t own_ = 0;
  std::uint16_t next_id_ = std::to_underlying(first_tunnel_socket);
  std::deque<SocketId> readable_;  // each at most once, and some that are gone
  std::size_t turn_cost_ = 0;
  std::deque<TunnelEvent> events_;
  Instant sweep_at_ = never;
  TunnelSetCounters counters_;  // of its `datagrams` those of tunnels that are gone
};

}  // namespace quicmesh::io
