// Node: one member of the mesh, with its sockets, connections and protocols.
//
// The protocols run on a network thread that no user code ever enters: a program that blocks delays
// its own coroutines and never an acknowledgement. All methods may be called from any thread.
//
// A started node counts as work of its executor: `io_context.run()` goes on until the node is
// closed or destroyed. The execution context must outlive the node's use, and may be destroyed
// before the last handle is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "quicmesh/config.hpp"
#include "quicmesh/connection.hpp"
#include "quicmesh/dht.hpp"
#include "quicmesh/event.hpp"
#include "quicmesh/explanation.hpp"
#include "quicmesh/node_address.hpp"
#include "quicmesh/path_status.hpp"
#include "quicmesh/provider_search.hpp"
#include "quicmesh/stream.hpp"
#include "quicmesh/task.hpp"

namespace quicmesh {

namespace io {
class NodeHub;
}

/// A relay that this node knows as a client.
struct RelayStatus {
  NodeId relay;
  bool configured = false;  // else another relay named it
  bool up = false;
  std::optional<Duration> rtt;
  unsigned load_percent = 0;
  std::size_t sessions = 0;  // of this node's
};

/// How far finding out about the NAT has come.
struct NatStatus {
  std::optional<NatReport> report;  // of the last discovery that has ended
  std::size_t servers = 0;          // to ask: relays that are up, and those of the configuration
  bool running = false;             // one is under way, or about to begin
  /// What the gateway forwards to this node; peers are told of it.
  std::vector<SocketAddress> mapped;
  std::error_code mapping_error;  // why it forwards nothing; empty while that is not known
};

/// A TURN server of Config::turn.
struct TurnStatus {
  SocketAddress server;
  std::optional<SocketAddress> relayed;  // where it relays for this node; nothing if it does not
  std::error_code error;                 // why it does not; empty before it has answered
};

/// What a closing node still waits for.
struct FlushWait {
  NodeId peer;
  std::size_t unacknowledged_bytes = 0;
};

/// Figures since the start. Every drop for a bound has its counter.
struct NodeStatus {
  std::size_t peers = 0;
  std::size_t streams = 0;
  std::uint64_t datagrams_received = 0;  // UDP
  std::uint64_t datagrams_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t receive_calls = 0;
  std::uint64_t send_calls = 0;
  std::uint64_t sends_refused_gso = 0;       // trains that went out one by one
  std::uint64_t sends_too_large = 0;         // EMSGSIZE: counted as lost
  std::uint64_t sends_failed = 0;            // unreachable and the like: counted as lost
  std::uint64_t sends_delayed = 0;           // the socket was full
  std::uint64_t events_dropped = 0;          // nobody read next_event
  std::uint64_t streams_refused = 0;         // more waiting than the bounds allow
  std::uint64_t flow_datagrams_dropped = 0;  // nobody read receive_datagram
  std::uint64_t handshakes_refused = 0;
  std::size_t tunnels = 0;                     // TLS over TCP, to relays and from clients
  std::uint64_t tunnel_datagrams_dropped = 0;  // no room in a tunnel's queue
  std::uint64_t tunnels_refused_source = 0;    // too many from one address or network
  std::uint64_t tunnels_refused_total = 0;
  std::uint64_t tunnels_refused_rate = 0;
  std::uint64_t tunnels_evicted = 0;  // ones without a client that gave way to newer ones
  std::uint64_t tunnel_handshakes_failed = 0;
  std::uint64_t tunnels_closed_bad_frame = 0;
  std::uint64_t tunnels_closed_idle = 0;
  std::uint64_t tunnels_closed_stalled = 0;
  std::uint64_t tunnels_closed_unproved = 0;  // no client proved itself inside, or it is gone
  std::uint64_t tunnels_paused = 0;           // ones without a client that sent too fast
  std::uint64_t tunnel_turns_cut = 0;         // more had come through tunnels than a turn takes
};

class Node : public std::enable_shared_from_this<Node> {
 public:
  /// Handlers of one peer that run at once; further streams wait.
  static constexpr std::size_t handlers_per_peer_max = 256;
  /// Streams that wait for a handler or for `accept`, for each protocol; the newest is refused.
  static constexpr std::size_t streams_waiting_max = 1024;
  /// Events that wait for `next_event`; the oldest goes.
  static constexpr std::size_t events_max = 1024;

  using StreamHandler = std::function<boost::asio::awaitable<void>(Stream)>;
  using FlowHandler = std::function<boost::asio::awaitable<void>(Connection)>;

  /// Opens the sockets and joins the network thread. Handlers are spawned on `executor`.
  /// Fails with the codes of IoErrc for sockets, IdentityErrc for the key file.
  static Task<std::shared_ptr<Node>> start(Executor executor, Config config);

  /// Ends without waiting: peers are told goodbye, what was not acknowledged is lost. See `close`.
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  [[nodiscard]] const NodeId& id() const;
  /// As bound, with the ports in use.
  [[nodiscard]] std::vector<SocketAddress> listen_addresses() const;
  /// `NODEID@host:port,...`, for others to connect to: unspecified addresses are replaced by those
  /// of the machine's interfaces.
  [[nodiscard]] std::string node_address() const;
  /// Where tunnels of relay clients are taken (Config::relay_tls_listen).
  [[nodiscard]] std::vector<SocketAddress> relay_tls_addresses() const;

  /// A proved connection to `peer`, dialled if there is none yet. All its addresses are tried, one
  /// after another 250 ms apart; names are resolved first. Addresses of a connected peer become
  /// further paths. Fails with the error of the attempt that got furthest: QuicErrc::wrong_peer,
  /// handshake_timeout and so on; `last_reason` has the peer's words.
  /// Safe to cancel; the dial itself goes on.
  Task<Connection> connect(NodeAddress peer, std::string protocol);
  /// By NodeId alone: to a peer that is connected, or being dialled, or that the DHT finds, or over
  /// a relay of `Config::relays` that has it. Fails with IoErrc::node_not_found if the DHT knows no
  /// address of it; without the DHT, with PathErrc::no_candidates if there is no relay either, and
  /// with RelayErrc::not_here and the like if none has the peer.
  Task<Connection> connect(NodeId peer, std::string protocol);

  /// Spawns `handler` for each stream that a peer opens under `protocol`. The Stream is reset if
  /// the handler ends without having finished it. Fails with PathErrc::bad_protocol_name or
  /// IoErrc::already_handled.
  Result<void> handle(std::string protocol, StreamHandler handler);
  /// The same for datagram flows.
  Result<void> handle_datagrams(std::string protocol, FlowHandler handler);
  /// The next stream under `protocol`: instead of a handler. Streams are taken in from the first
  /// call on. Safe to cancel.
  Task<Stream> accept(std::string protocol);
  /// Streams of `protocol` are refused from now on; those that are open go on.
  void remove_handler(const std::string& protocol);

  /// The next event. Several readers share the events. Safe to cancel.
  Task<Event> next_event();

  [[nodiscard]] std::vector<NodeId> peers() const;
  Task<std::vector<PathStatus>> paths(NodeId peer);
  /// Moves the connection that we dialled to the path with this remote address, of `paths`. Returns
  /// when the move has begun; the outcome is an event. QuicErrc::only_dialler_migrates on the other
  /// side, which may ask for the move by `suggest_path`.
  Task<void> move_to_path(NodeId peer, SocketAddress remote);
  Task<void> suggest_path(NodeId peer, SocketAddress remote);
  /// What the NAT in front of this node does; nothing as long as no server has been asked.
  Task<std::optional<NatReport>> nat_report();
  Task<NatStatus> nat_status();
  /// Asks these too, if what is known of the NAT leaves anything open; at most 8 in all.
  Task<void> add_stun_servers(std::vector<SocketAddress> servers);
  Task<std::vector<RelayStatus>> relays();
  Task<std::vector<TurnStatus>> turn_servers();
  /// Why the connection to `peer` is as it is, or why there is none. Decisions about the last 256
  /// peers are kept, 64 each.
  Task<Explanation> why(NodeId peer);
  // The DHT (docs/protocols/dht.md). All fail with IoErrc::dht_off if the node takes no part in it,
  // and with DhtErrc::too_many_queries beyond 64 at once.

  /// Keeps `value`, at most 1,024 bytes, on the nodes nearest to its hash, for a day; this node
  /// puts it again meanwhile. Fails with DhtErrc::value_too_long.
  Task<StoredValue> dht_put(Bytes value);
  /// The same under a name of this node's own, of at most 32 bytes, instead of what stood there.
  /// Others find it by the key in the result.
  Task<StoredValue> dht_put(std::string name, Bytes value);
  Task<FoundValue> dht_get(ValueKey key);
  /// What this node itself has put under `name`, wherever it did so.
  Task<FoundValue> dht_get(std::string name);
  /// The nodes nearest to `target`, which may be any 32 bytes.
  Task<FoundNodes> dht_find(NodeId target);
  /// Where `node` says that it is. It does not connect to it, and asks nobody while the record that
  /// is at hand holds.
  Task<ResolvedNode> resolve(NodeId node);
  /// Tells the nodes nearest to `key` that this node provides what it names, now and every hour
  /// until `dht_stop_providing`, or the node's end; what was told last expires within three hours.
  /// Fails with DhtErrc::too_many_provided beyond 512 keys.
  Task<Provision> dht_provide(ContentKey key);
  /// False if this node did not provide it.
  Task<bool> dht_stop_providing(ContentKey key);
  /// Finds other nodes that provide what `key` names: at most `wanted`, in [1, 256].
  Task<ProviderSearch> dht_find_providers(ContentKey key, std::size_t wanted = 16);
  /// The nodes in the routing table, with what was measured of them.
  Task<std::vector<DhtPeer>> dht_peers();
  Task<DhtStatus> dht_status();
  /// Says that the machine's network has changed: all paths are probed at once, peers hear where
  /// this node is now, relays are asked whether they are there, and the NAT is looked at again. The
  /// node notices by itself where the system tells (Linux: netlink, within 0.1 to 1 s); an
  /// event::NetworkChanged shows that it did. Needed in a sandbox without netlink, and for what the
  /// machine cannot see, such as a router that dials up anew. All three fail with
  /// IoErrc::node_closed alone, and may be called at any time, again and again.
  Task<void> network_changed();
  /// Falls silent: nothing is sent and nothing that comes is heard, until `resume` or `close`. For
  /// a phone whose program goes to the background. Peers are not told; they give the connections up
  /// after their idle time-out (Config::idle_timeout, 30 s), and writes wait meanwhile.
  Task<void> suspend();
  /// After `suspend`, or after the machine slept: connections whose time is over end with
  /// event::PeerDown, the others are probed at once and go on; relays are connected again.
  Task<void> resume();
  /// Why the last connection or dial to `peer` ended, in words; empty if none did.
  [[nodiscard]] std::string last_reason(NodeId peer) const;
  Task<NodeStatus> status();

  /// Takes no new work, waits until all that was written is acknowledged, tells the peers goodbye,
  /// and frees the sockets. Pending operations end with IoErrc::node_closed. Fails with
  /// IoErrc::flush_timeout if a peer did not take its bytes in time. Cancelled, closing goes on.
  Task<void> close();
  /// For whom `close` waits.
  Task<std::vector<FlushWait>> closing_waits_for();

 private:
  explicit Node(std::shared_ptr<io::NodeHub> hub);

  std::shared_ptr<io::NodeHub> hub_;  // shared with the network thread and all handles
};

}  // namespace quicmesh
