// NodeHub: the meeting point of a node's user threads and its network thread.
//
// User threads leave work here (queued bytes, credit, commands) and knock; the network thread takes
// it to the core (`apply`), puts the core's events into the states of streams and peers
// (`deliver`), and posts one batch to the user's executor that resumes all coroutines concerned. So
// no user code runs on the network thread, and no message costs a post of its own.
//
// Locks: `mutex_` guards the shared state, is held for moments, and never while user code or the
// core runs. `turn_mutex_` is held by the network thread from the first completion it collects
// until the batch is posted; `abandon` takes it, so that no handler is in nobody's hands when the
// user's execution context is destroyed. Order: turn_mutex_, then mutex_.
//
// Phases: open -> closing (no new work, flushing) -> closed (all waits end with node_closed).
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "base/bounded_queue.hpp"
#include "base/hash.hpp"
#include "io/heap_trim.hpp"
#include "io/node_client.hpp"
#include "io/node_driver.hpp"
#include "io/port_mapper.hpp"
#include "io/stream_state.hpp"
#include "io/wait_slot.hpp"
#include "io/write_budget.hpp"
#include "quicmesh/event.hpp"
#include "quicmesh/node.hpp"
#include "quicmesh/task.hpp"

namespace quicmesh::io {

/// What is asked of the network thread; runs there, with the core.
using Command = std::move_only_function<void(Instant, HostedNode&)>;

struct OpenReply : Reply {
  NodeId peer;
  std::string protocol;
  std::shared_ptr<StreamState> stream;
};

struct DhtReply : Reply {
  std::optional<DhtOutcome> outcome;
};

/// What a search for providers has brought and nobody has read; under the hub's mutex.
struct ProviderQueue {
  std::deque<FoundProvider> met;  // at most as many as the search may find
  std::optional<ProvidersSummary> summary;
  WaitQueue readers;
};

/// What the handles of a search share. The network thread knows the queue alone, and weakly.
struct ProviderSearchState {
  std::shared_ptr<NodeHub> hub;
  std::shared_ptr<ProviderQueue> queue;
};

class NodeHub final : public NodeClient, public std::enable_shared_from_this<NodeHub> {
 public:
  NodeHub(Executor executor, NodeId id, std::vector<SocketInfo> sockets,
          std::shared_ptr<Runtime> runtime);
  ~NodeHub() override;

  /// Puts the node on the network thread.
  void start(std::unique_ptr<HostedNode> node);
  /// Has the ports of its sockets mapped from now on; after `start` (node_hub_mapping.cpp).
  void map_ports(AddressRules rules);
  /// Ends the node without flushing; for ~Node. Takes the runtime out, for the caller to drop.
  std::shared_ptr<Runtime> shut_down();
  /// The user's execution context goes away: all waiting coroutines are destroyed.
  void abandon();

  [[nodiscard]] const NodeId& id() const { return id_; }
  [[nodiscard]] const std::vector<SocketInfo>& sockets() const { return sockets_; }
  /// Where tunnels are taken; set before `start`.
  std::vector<SocketAddress> tunnel_addresses;
  [[nodiscard]] Executor executor() const;

  // Waiting. The result is empty when signalled, operation_canceled, or node_closed.
  boost::asio::awaitable<std::error_code> wait(std::shared_ptr<WaitSlot> slot);
  /// Has `command` run on the network thread and waits for its answer.
  boost::asio::awaitable<std::error_code> ask(std::shared_ptr<Reply> reply, Command command);
  void command(Command command);
  /// On the network thread, in a command: what the asker waits for has happened.
  void answer(Reply& reply);

  // Streams, for their handles (node_hub_streams.cpp).
  /// The next bytes, at most `size_max`; none at the end, nothing if the reader must wait.
  Result<std::optional<Bytes>> take_chunk(StreamState& stream, std::size_t size_max);
  void put_back(StreamState& stream, Bytes chunk);
  /// Queues `data` from `offset` on, as much as there is room for, and says how much that was;
  /// none: the writer must wait. All of it at once is moved out of `data`.
  Result<std::size_t> enqueue(const std::shared_ptr<StreamState>& stream, Bytes& data,
                              std::size_t offset);
  Result<void> finish(const std::shared_ptr<StreamState>& stream);
  void reset(const std::shared_ptr<StreamState>& stream);
  void drop(const std::shared_ptr<StreamState>& stream);
  Task<void> flushed(std::shared_ptr<StreamState> stream);
  Task<Stream> open_stream(NodeId peer, std::string protocol);

  // Flows (node_hub_flows.cpp).
  std::shared_ptr<FlowState> flow_of(ConnectionState& connection);
  Result<void> send_datagram(const std::shared_ptr<FlowState>& flow, Bytes data);
  Result<std::optional<Bytes>> take_datagram(FlowState& flow);
  void drop(const std::shared_ptr<FlowState>& flow);

  // The node (node_hub_peers.cpp).
  Task<Connection> connect(NodeAddress peer, std::string protocol);
  Result<void> handle(std::string protocol, Node::StreamHandler handler);
  Result<void> handle_datagrams(std::string protocol, Node::FlowHandler handler);
  void remove_handler(const std::string& protocol);
  Task<Stream> accept(std::string protocol);
  Task<Event> next_event();
  [[nodiscard]] std::vector<NodeId> peers();
  [[nodiscard]] std::string last_reason(const NodeId& peer);
  Task<NodeStatus> status();
  Task<void> close();

  // The DHT (node_hub_dht.cpp).
  using BeginDht = std::move_only_function<Result<DhtTicket>(Instant, HostedNode&, DhtHost&)>;
  /// What `begin` began comes to its end, which is of type T.
  template <class T>
  Task<T> ask_dht(BeginDht begin);
  Task<ProviderSearch> find_providers(ContentKey key, std::size_t wanted);
  Task<std::optional<FoundProvider>> next_provider(std::shared_ptr<ProviderQueue> queue);
  std::optional<ProvidersSummary> summary_of(const ProviderQueue& queue);

  // NodeClient: the network thread (node_hub_network.cpp).
  void apply(Instant now, HostedNode& node) override;
  bool deliver(Instant now, HostedNode& node) override;
  [[nodiscard]] Instant deadline() const override {
    return std::min(deadline_, heap_trim_.deadline());
  }
  [[nodiscard]] bool over() const override { return core_closed_; }
  void on_removed() override;

 private:
  enum class Phase : std::uint8_t { open, closing, closed };

  struct Peer {
    bool connected = false;
    std::vector<std::shared_ptr<Reply>> dials;
    std::vector<std::shared_ptr<OpenReply>> opens;  // wait for the peer's stream limit
    std::vector<std::shared_ptr<FlowState>> flows;  // the same
    std::size_t handlers = 0;
    std::deque<std::shared_ptr<StreamState>> waiting;  // for a handler
  };
  struct Protocol {
    std::shared_ptr<Node::StreamHandler> handler;  // shared with the coroutines it made
    std::shared_ptr<Node::FlowHandler> flow_handler;
    bool accepting = false;
    std::deque<std::shared_ptr<StreamState>> arrived;
    WaitQueue acceptors;
  };
  struct Turn;  // of the network thread

  template <class Handler>
  void arm(std::shared_ptr<WaitSlot> slot, Handler handler);
  void cancel(WaitSlot& slot, std::uint64_t ticket);
  /// Under the mutex: resumes whoever waits in `slot`, with the batch.
  void signal(WaitSlot& slot, std::error_code error, Batch& batch);
  void signal_one(WaitQueue& queue, Batch& batch);
  void answer(Reply& reply, std::error_code error, Batch& batch);
  /// Posts `batch` to the user's executor.
  void post(Batch batch);
  void mark_dirty(const std::shared_ptr<StreamState>& stream);
  void mark_dirty(const std::shared_ptr<FlowState>& flow);
  /// Under the mutex: true if the caller must wake the network thread when it has unlocked.
  [[nodiscard]] bool knock();
  void wake();
  void end_waits(Batch& batch);

  // Network thread.
  void run_commands(Instant now, HostedNode& node);
  void serve(NodeCore& core, const std::shared_ptr<StreamState>& stream);
  void pump(NodeCore& core, StreamState& stream);
  void break_stream(StreamState& stream, std::error_code error);
  /// Under the mutex: nothing of what is queued will be sent.
  void forget_queued(StreamState& stream);
  void serve(Instant now, NodeCore& core, const std::shared_ptr<FlowState>& flow);
  bool check_unready_flows(Instant now, NodeCore& core);
  void try_open(Instant now, NodeCore& core, const std::shared_ptr<OpenReply>& reply);
  void check_flushes(NodeCore& core);
  void advance_close(Instant now, HostedNode& node);

  // Events, under the mutex.
  void on_event(PeerConnected& event);
  void on_event(PeerDisconnected& event);
  void on_event(PeerUnreachable& event);
  void on_event(HandshakeRefused& event);
  void on_event(PeerPathChanged& event);
  void on_event(PeerPathRefused& event);
  void on_event(TurnServerUp& event);
  void on_event(TurnServerDown& event);
  void on_event(RelayUp& event);
  void on_event(NatDiscovered& event);
  void on_event(PunchEnded& event);
  void on_event(NetworkChanged& event);
  void on_event(RelayDown& event);
  void on_event(PeerStreamOpened& event);
  void on_event(PeerStreamData& event);
  void on_event(PeerStreamWritable& event);
  void on_event(PeerStreamReset& event);
  void on_event(PeerStreamStopped& event);
  void on_event(PeerStreamFinished& event);
  void on_event(PeerStreamLost& event);
  void on_event(PeerStreamsAvailable& event);
  void on_event(PeerDatagram& event);
  void on_event(NodeClosed& event);
  void on_news(DhtOutcome& outcome);
  void on_news(DhtProviderMet& met);
  void on_news(DhtDialFailed& failed);
  void report(Event event);
  void take_mappings(const PortMappingNews& news);
  void stop_mapping();
  void note_reason(const NodeId& peer, const std::string& reason);
  void take_in(const std::shared_ptr<StreamState>& stream);
  void take_in_flow(const PeerStreamOpened& event, const std::shared_ptr<Node::FlowHandler>& run);
  void start_handler(std::shared_ptr<Node::StreamHandler> handler,
                     std::shared_ptr<StreamState> stream);
  void on_handler_failed(const NodeId& peer, const std::string& protocol, std::string reason);
  void on_handler_ended(const NodeId& peer);
  void refuse(const StreamKey& key);
  void end_flow(const StreamKey& key, std::error_code error);
  void forget_peer_if_idle(const NodeId& peer);
  [[nodiscard]] std::shared_ptr<StreamState> find_stream(const StreamKey& key) const;

  static boost::asio::awaitable<void> run_handler(std::shared_ptr<NodeHub> hub,
                                                  std::shared_ptr<Node::StreamHandler> handler,
                                                  std::shared_ptr<StreamState> stream);
  static boost::asio::awaitable<void> run_flow(std::shared_ptr<Node::FlowHandler> handler,
                                               std::shared_ptr<ConnectionState> connection);

  struct KeyHash {
    std::size_t operator()(const StreamKey& key) const noexcept {
      const auto connection = std::to_underlying(key.connection);
      const auto stream = static_cast<std::uint64_t>(std::to_underlying(key.stream));
      return static_cast<std::size_t>((connection * 0x9e3779b97f4a7c15u) ^
                                      (stream * 0xc2b2ae3d27d4eb4fu));
    }
  };

  const NodeId id_;
  const std::vector<SocketInfo> sockets_;
  std::shared_ptr<Mailbox> mailbox_;  // shared with the network thread
  HostedId hosted_{};

  std::mutex turn_mutex_;
  mutable std::mutex mutex_;

  // Guarded by mutex_.
  std::shared_ptr<Runtime> runtime_;  // shared by the nodes on it
  // Shared with whoever stops it, because that takes locks of its own; null without mapping.
  std::shared_ptr<PortMapper> port_mapper_;
  std::optional<Executor> executor_;  // empty once its context is gone
  std::optional<Executor> work_;      // keeps it running while the node is
  Phase phase_ = Phase::open;
  std::error_code close_error_;
  ArmedSlots armed_;
  std::uint64_t tickets_ = 0;
  std::vector<Command> commands_;
  std::vector<std::shared_ptr<StreamState>> dirty_streams_;
  std::vector<std::shared_ptr<FlowState>> dirty_flows_;
  bool knocked_ = false;
  std::size_t lazy_credit_ = 0;  // given without a knock
  WriteBudget write_budget_;
  std::unordered_map<NodeId, Peer> peers_;
  std::map<std::string, Protocol, std::less<>> protocols_;
  std::unordered_map<NodeId, std::string> reasons_;
  std::deque<NodeId> reasons_order_;
  BoundedQueue<Event, DropPolicy::drop_oldest> events_{Node::events_max};
  WaitQueue event_readers_;
  WaitQueue closers_;
  std::uint64_t streams_refused_ = 0;
  std::uint64_t flow_datagrams_dropped_ = 0;
  std::uint64_t handshakes_refused_ = 0;

  // The network thread's own.
  boost::unordered_flat_map<StreamKey, std::shared_ptr<StreamState>, KeyHash> streams_;
  boost::unordered_flat_map<StreamKey, std::shared_ptr<FlowState>, KeyHash> flows_;
  std::vector<NodeEvent> inbox_;
  std::vector<DhtNews> dht_inbox_;
  std::map<DhtTicket, std::shared_ptr<DhtReply>> dht_replies_;
  /// Weak: who drops the handle wants no more.
  std::map<DhtTicket, std::weak_ptr<ProviderQueue>> provider_searches_;
  Batch batch_;
  std::vector<Command> after_;  // what events ask of the core
  std::vector<Command> running_;
  std::vector<std::shared_ptr<StreamState>> serving_;
  std::vector<std::shared_ptr<FlowState>> serving_flows_;
  std::vector<std::shared_ptr<StreamState>> flushing_;
  std::vector<std::shared_ptr<FlowState>> unready_flows_;
  Instant deadline_ = never;
  HeapTrim heap_trim_;
  PortMappingNews mappings_;   // as they were told
  bool streams_lost_ = false;  // in this turn
  bool core_closed_ = false;
  struct Draining {
    Instant deadline{};
    std::size_t bytes_left = 0;
  };
  std::optional<Draining> draining_;
  bool core_closing_ = false;

  static constexpr std::size_t credit_step = 64u << 10;       // a quarter of the first window
  static constexpr std::size_t lazy_credit_max = 256u << 10;  // over all streams
  static constexpr std::size_t reasons_max = 1024;            // the oldest goes
  static constexpr Duration drain_patience = 5s;              // without any progress
};

}  // namespace quicmesh::io
