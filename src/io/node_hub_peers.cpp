// Peers, protocols, handlers and events; see node_hub.hpp.
#include <algorithm>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "io/node_hub.hpp"
#include "io/resolve.hpp"
#include "path/path_errc.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace asio = boost::asio;

namespace {

/// Inside a catch block.
std::string current_exception_text() {
  try {
    throw;
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception that is no std::exception";
  }
}

void fill_tunnel_figures(const TunnelSet& tunnels, NodeStatus& status) {
  const TunnelSetCounters counters = tunnels.counters();
  const TunnelAdmissionCounters& admission = tunnels.admission().counters();
  status.tunnels = tunnels.count();
  status.tunnel_datagrams_dropped = counters.datagrams.dropped_full;
  status.tunnels_refused_source = admission.refused_source;
  status.tunnels_refused_total = admission.refused_tunnels + tunnels.dropped_without_descriptor();
  status.tunnels_refused_rate = admission.refused_rate;
  status.tunnels_evicted = counters.evicted;
  status.tunnel_handshakes_failed = counters.handshakes_failed;
  status.tunnels_closed_bad_frame = counters.closed_bad_frame;
  status.tunnels_closed_idle = counters.closed_idle;
  status.tunnels_closed_stalled = counters.closed_stalled;
  status.tunnels_closed_unproved = counters.closed_unproved;
  status.tunnels_paused = counters.paused;
  status.tunnel_turns_cut = counters.turns_cut;
}

/// Each address, by the first socket of its family.
std::vector<NetworkPath> paths_to(const std::vector<SocketAddress>& addresses,
                                  const std::vector<SocketInfo>& sockets) {
  std::vector<NetworkPath> paths;
  for (const SocketAddress& address : addresses) {
    const auto socket = std::ranges::find_if(sockets, [&](const SocketInfo& one) {
      return one.local.ip.family() == address.ip.family();
    });
    if (socket == sockets.end()) continue;
    const bool known =
        std::ranges::any_of(paths, [&](const NetworkPath& path) { return path.remote == address; });
    if (!known) paths.push_back({socket->id, IpAddress::any(address.ip.family()), address});
  }
  return paths;
}

}  // namespace

Task<Connection> NodeHub::connect(NodeAddress address, std::string protocol) {
  const auto self = shared_from_this();
  if (!is_protocol_name(protocol)) co_return failure(PathErrc::bad_protocol_name);
  std::vector<SocketAddress> addresses;
  std::error_code resolving;
  for (const HostPort& host : address.addresses) {
    auto lookup = resolve(host);
    const auto found = co_await std::move(lookup);
    if (!found) {
      resolving = found.error();
    } else {
      addresses.insert(addresses.end(), found->begin(), found->end());
    }
  }
  if (addresses.empty() && resolving) co_return failure(resolving);
  const auto paths = paths_to(addresses, sockets_);
  if (paths.empty() && !addresses.empty()) co_return failure(IoErrc::no_address_of_family);

  auto reply = std::make_shared<Reply>();
  Command dial = [this, reply, paths, peer = address.id](Instant now, HostedNode& node) {
    NodeCore& core = node.core();
    std::error_code error;
    const bool connected = core.connectivity().connected(peer);
    if (!connected || !paths.empty()) {
      const bool by_id = paths.empty() && node.dht() != nullptr;
      const auto dialled =
          by_id ? node.dht()->dial(now, core, peer) : core.connect(now, peer, paths);
      if (!dialled && dialled.error() != PathErrc::already_connected) error = dialled.error();
    }
    if (!error && node.dht() != nullptr) node.dht()->claim(peer);
    const std::scoped_lock lock(mutex_);
    if (reply->cancelled) return;
    if (phase_ != Phase::open) error = IoErrc::node_closed;
    if (error || connected) return answer(*reply, error, batch_);
    peers_[peer].dials.push_back(reply);
  };
  auto asking = ask(reply, std::move(dial));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  auto state = std::make_shared<ConnectionState>();
  state->hub = self;
  state->peer = address.id;
  state->protocol = std::move(protocol);
  co_return Connection(std::move(state));
}

Result<void> NodeHub::handle(std::string protocol, Node::StreamHandler handler) {
  if (!is_protocol_name(protocol)) return failure(PathErrc::bad_protocol_name);
  {
    const std::scoped_lock lock(mutex_);
    if (phase_ != Phase::open) return failure(IoErrc::node_closed);
    Protocol& entry = protocols_[protocol];
    if (entry.handler || entry.accepting) return failure(IoErrc::already_handled);
    entry.handler = std::make_shared<Node::StreamHandler>(std::move(handler));
  }
  command([protocol](Instant, HostedNode& node) { (void)node.core().add_protocol(protocol); });
  return {};
}

Result<void> NodeHub::handle_datagrams(std::string protocol, Node::FlowHandler handler) {
  if (!is_protocol_name(protocol)) return failure(PathErrc::bad_protocol_name);
  {
    const std::scoped_lock lock(mutex_);
    if (phase_ != Phase::open) return failure(IoErrc::node_closed);
    Protocol& entry = protocols_[protocol];
    if (entry.flow_handler) return failure(IoErrc::already_handled);
    entry.flow_handler = std::make_shared<Node::FlowHandler>(std::move(handler));
  }
  command([protocol](Instant, HostedNode& node) { (void)node.core().add_protocol(protocol); });
  return {};
}

void NodeHub::remove_handler(const std::string& protocol) {
  std::deque<std::shared_ptr<StreamState>> unaccepted;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = protocols_.find(protocol);
    if (found == protocols_.end()) return;
    unaccepted.swap(found->second.arrived);
    Batch none;
    for (auto& slot : found->second.acceptors.slots)
      slot->signalled = true;
    protocols_.erase(found);
  }
  command([protocol](Instant, HostedNode& node) { node.core().remove_protocol(protocol); });
  for (const auto& stream : unaccepted)
    drop(stream);
}

Task<Stream> NodeHub::accept(std::string protocol) {
  const auto self = shared_from_this();
  if (!is_protocol_name(protocol)) co_return failure(PathErrc::bad_protocol_name);
  auto slot = std::make_shared<WaitSlot>();
  for (;;) {
    bool first = false;
    {
      const std::scoped_lock lock(mutex_);
      if (phase_ == Phase::closed) co_return failure(IoErrc::node_closed);
      Protocol& entry = protocols_[protocol];
      if (entry.handler) co_return failure(IoErrc::already_handled);
      first = !std::exchange(entry.accepting, true);
      if (!entry.arrived.empty()) {
        auto stream = std::move(entry.arrived.front());
        entry.arrived.pop_front();
        co_return Stream(std::move(stream));
      }
      entry.acceptors.slots.push_back(slot);
    }
    if (first) {
      command([protocol](Instant, HostedNode& node) { (void)node.core().add_protocol(protocol); });
    }
    auto waiting = wait(slot);
    const std::error_code error = co_await std::move(waiting);
    if (!error) continue;
    const std::scoped_lock lock(mutex_);
    const auto found = protocols_.find(protocol);
    if (found != protocols_.end()) std::erase(found->second.acceptors.slots, slot);
    co_return failure(error);
  }
}

Task<Event> NodeHub::next_event() {
  const auto self = shared_from_this();
  auto slot = std::make_shared<WaitSlot>();
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      if (auto event = events_.pop()) co_return std::move(*event);
      if (phase_ == Phase::closed) co_return failure(IoErrc::node_closed);
      event_readers_.slots.push_back(slot);
    }
    auto waiting = wait(slot);
    const std::error_code error = co_await std::move(waiting);
    if (!error) continue;
    const std::scoped_lock lock(mutex_);
    std::erase(event_readers_.slots, slot);
    if (auto event = events_.pop()) co_return std::move(*event);
    co_return failure(error);
  }
}

std::vector<NodeId> NodeHub::peers() {
  std::vector<NodeId> out;
  const std::scoped_lock lock(mutex_);
  for (const auto& [id, peer] : peers_) {
    if (peer.connected) out.push_back(id);
  }
  std::ranges::sort(out);
  return out;
}

std::string NodeHub::last_reason(const NodeId& peer) {
  const std::scoped_lock lock(mutex_);
  const auto found = reasons_.find(peer);
  return found == reasons_.end() ? std::string() : found->second;
}

Task<NodeStatus> NodeHub::status() {
  const auto self = shared_from_this();
  auto reply = std::make_shared<Reply>();
  auto status = std::make_shared<NodeStatus>();  // written by the network thread before the answer
  Command look = [this, reply, status](Instant, HostedNode& node) {
    const UdpCounters udp = node.counters();
    const ConnectivityCounters& counters = node.core().connectivity().counters();
    status->streams = streams_.size();
    status->datagrams_received = udp.datagrams_received;
    status->datagrams_sent = udp.datagrams_sent;
    status->bytes_received = udp.bytes_received;
    status->bytes_sent = udp.bytes_sent;
    status->receive_calls = udp.receive_calls;
    status->send_calls = udp.send_calls;
    status->sends_refused_gso = udp.refused_gso;
    status->sends_too_large = udp.too_large;
    status->sends_failed = udp.failed;
    status->sends_delayed = udp.delayed;
    if (node.tunnels() != nullptr) fill_tunnel_figures(*node.tunnels(), *status);
    const std::scoped_lock lock(mutex_);
    for (const auto& [id, peer] : peers_)
      status->peers += peer.connected ? 1 : 0;
    status->events_dropped = events_.dropped();
    status->streams_refused = streams_refused_;
    status->flow_datagrams_dropped = flow_datagrams_dropped_ + counters.flow_datagrams_dropped;
    status->handshakes_refused = handshakes_refused_;
    answer(*reply, {}, batch_);
  };
  auto asking = ask(reply, std::move(look));
  const std::error_code error = co_await std::move(asking);
  if (error) co_return failure(error);
  co_return *status;
}

Task<void> NodeHub::close() {
  const auto self = shared_from_this();
  auto slot = std::make_shared<WaitSlot>();
  bool begin = false;
  {
    const std::scoped_lock lock(mutex_);
    begin = phase_ == Phase::open;
    if (begin) phase_ = Phase::closing;
  }
  if (begin) {
    stop_mapping();  // its farewell takes its time meanwhile
    command([this](Instant now, HostedNode&) {
      draining_ = Draining{now + drain_patience, ~std::size_t{0}};
    });
  }
  for (;;) {
    {
      const std::scoped_lock lock(mutex_);
      if (phase_ == Phase::closed) {
        if (close_error_) co_return failure(close_error_);
        co_return Result<void>();
      }
    }
    auto waiting = wait(slot);  // ends with node_closed
    const std::error_code error = co_await std::move(waiting);
    if (error == std::errc::operation_canceled) co_return failure(error);
  }
}

void NodeHub::report(Event event) {
  (void)events_.push(std::move(event));  // counted: NodeStatus::events_dropped
  signal_one(event_readers_, batch_);
}

void NodeHub::note_reason(const NodeId& peer, const std::string& reason) {
  const auto [place, added] = reasons_.insert_or_assign(peer, reason);
  if (!added) return;
  reasons_order_.push_back(peer);
  if (reasons_order_.size() <= reasons_max) return;
  reasons_.erase(reasons_order_.front());
  reasons_order_.pop_front();
}

void NodeHub::forget_peer_if_idle(const NodeId& id) {
  const auto found = peers_.find(id);
  if (found == peers_.end()) return;
  const Peer& peer = found->second;
  if (peer.connected || !peer.dials.empty() || peer.handlers > 0 || !peer.waiting.empty()) return;
  if (!peer.opens.empty() || !peer.flows.empty()) return;
  peers_.erase(found);
}

void NodeHub::on_event(PeerConnected& event) {
  Peer& peer = peers_[event.peer];
  peer.connected = true;
  for (const auto& reply : peer.dials)
    answer(*reply, {}, batch_);
  peer.dials.clear();
  report(event::PeerUp{event.peer, event.path.remote, event.dialled_by_us, event.relay,
                       event.over_turn});
}

void NodeHub::on_event(PeerDisconnected& event) {
  note_reason(event.peer, event.reason);
  Peer& peer = peers_[event.peer];
  peer.connected = false;
  for (const auto& reply : peer.opens)
    answer(*reply, event.error, batch_);
  peer.opens.clear();
  for (const auto& flow : peer.flows) {
    flow->error = event.error;
    signal(flow->reader, {}, batch_);
  }
  peer.flows.clear();
  forget_peer_if_idle(event.peer);
  report(event::PeerDown{event.peer, event.error, std::move(event.reason)});
}

void NodeHub::on_event(PeerUnreachable& event) {
  note_reason(event.peer, event.reason);
  Peer& peer = peers_[event.peer];
  for (const auto& reply : peer.dials)
    answer(*reply, event.error, batch_);
  peer.dials.clear();
  forget_peer_if_idle(event.peer);
  report(event::PeerUnreachable{event.peer, event.error, std::move(event.reason)});
}

void NodeHub::on_event(HandshakeRefused& event) {
  ++handshakes_refused_;
  report(event::HandshakeRefused{event.path.remote, event.error, std::move(event.reason)});
}

void NodeHub::on_event(PeerPathChanged& event) {
  report(event::PathChanged{event.peer, event.from.remote, event.to.remote, event.rtt, event.stall,
                            event.from_relay, event.to_relay, event.from_turn, event.to_turn});
}

void NodeHub::on_event(TurnServerUp& event) {
  report(event::TurnUp{event.server, event.relayed});
}

void NodeHub::on_event(TurnServerDown& event) {
  report(event::TurnDown{event.server, event.error});
}

void NodeHub::on_event(RelayUp& event) {
  report(event::RelayUp{event.relay, event.observed, event.tunnelled});
}

void NodeHub::on_event(PunchEnded& event) {
  report(event::PunchOver{event.peer, std::string(to_string(event.technique)),
                          std::string(to_string(event.outcome)), event.probes, event.rounds,
                          event.duration, event.back_off});
}

void NodeHub::on_event(NetworkChanged& event) {
  if (port_mapper_) port_mapper_->check_now();
  report(event::NetworkChanged{std::move(event.addresses)});
}

void NodeHub::on_event(NatDiscovered& event) {
  report(event::NatDetected{report_of(event)});
}

void NodeHub::on_event(RelayDown& event) {
  report(event::RelayDown{event.relay, event.reason, event.tried});
}

void NodeHub::on_event(PeerPathRefused& event) {
  report(event::PathRefused{event.peer, event.path.remote});
}

void NodeHub::refuse(const StreamKey& key) {
  ++streams_refused_;
  after_.push_back([key](Instant, HostedNode& node) {
    (void)node.core().connectivity().reset_stream(key, CloseCode::unknown_protocol);
    (void)node.core().connectivity().stop_stream(key, CloseCode::unknown_protocol);
  });
}

void NodeHub::on_event(PeerStreamOpened& event) {
  const auto found = protocols_.find(event.header.protocol);
  if (found == protocols_.end() || phase_ != Phase::open || !event.bidirectional) {
    return refuse(event.stream);
  }
  Protocol& protocol = found->second;
  if (event.header.kind == StreamKind::datagram_flow) {
    if (!protocol.flow_handler) return refuse(event.stream);
    return take_in_flow(event, protocol.flow_handler);
  }
  auto stream = std::make_shared<StreamState>();
  stream->hub = shared_from_this();
  stream->peer = event.peer;
  stream->protocol = std::move(event.header.protocol);
  stream->key = event.stream;
  if (protocol.handler) {
    Peer& peer = peers_[event.peer];
    if (peer.handlers >= Node::handlers_per_peer_max) {
      if (peer.waiting.size() >= Node::streams_waiting_max) return refuse(event.stream);
      peer.waiting.push_back(stream);
    } else {
      ++peer.handlers;
      start_handler(protocol.handler, stream);
    }
  } else if (protocol.accepting && protocol.arrived.size() < Node::streams_waiting_max) {
    protocol.arrived.push_back(stream);
    signal_one(protocol.acceptors, batch_);
  } else {
    return refuse(event.stream);
  }
  streams_.emplace(event.stream, std::move(stream));
}

void NodeHub::take_in_flow(const PeerStreamOpened& event,
                           const std::shared_ptr<Node::FlowHandler>& run) {
  auto flow = std::make_shared<FlowState>(Connection::datagrams_max);
  flow->hub = shared_from_this();
  flow->peer = event.peer;
  flow->protocol = event.header.protocol;
  flow->key = event.stream;
  flow->ready = true;
  flows_.emplace(event.stream, flow);
  auto connection = std::make_shared<ConnectionState>();
  connection->hub = shared_from_this();
  connection->peer = event.peer;
  connection->protocol = event.header.protocol;
  connection->flow = std::move(flow);
  batch_.spawns.push_back([executor = *executor_, run, connection]() mutable {
    auto running = run_flow(std::move(run), std::move(connection));
    asio::co_spawn(executor, std::move(running), asio::detached);
  });
}

void NodeHub::start_handler(std::shared_ptr<Node::StreamHandler> handler,
                            std::shared_ptr<StreamState> stream) {
  batch_.spawns.push_back([executor = *executor_, self = shared_from_this(),
                           handler = std::move(handler), stream = std::move(stream)]() mutable {
    auto running = run_handler(std::move(self), std::move(handler), std::move(stream));
    asio::co_spawn(executor, std::move(running), asio::detached);
  });
}

asio::awaitable<void> NodeHub::run_handler(std::shared_ptr<NodeHub> hub,
                                           std::shared_ptr<Node::StreamHandler> handler,
                                           std::shared_ptr<StreamState> stream) {
  const NodeId peer = stream->peer;
  const std::string protocol = stream->protocol;
  try {
    auto running = (*handler)(Stream(std::move(stream)));
    co_await std::move(running);
  } catch (...) {
    // The stream was reset when the handler's frame was destroyed: that tells the peer.
    hub->on_handler_failed(peer, protocol, current_exception_text());
  }
  handler.reset();
  hub->on_handler_ended(peer);
}

asio::awaitable<void> NodeHub::run_flow(std::shared_ptr<Node::FlowHandler> handler,
                                        std::shared_ptr<ConnectionState> connection) {
  const std::shared_ptr<NodeHub> hub = connection->hub;
  const NodeId peer = connection->peer;
  const std::string protocol = connection->protocol;
  try {
    auto running = (*handler)(Connection(std::move(connection)));
    co_await std::move(running);
  } catch (...) {
    hub->on_handler_failed(peer, protocol, current_exception_text());
  }
}

void NodeHub::on_handler_failed(const NodeId& peer, const std::string& protocol,
                                std::string reason) {
  command([this, failed = event::HandlerFailed{peer, protocol, IoErrc::handler_failed,
                                               std::move(reason)}](Instant, HostedNode&) mutable {
    const std::scoped_lock lock(mutex_);
    report(std::move(failed));
  });
}

void NodeHub::on_handler_ended(const NodeId& id) {
  command([this, id](Instant, HostedNode&) {
    const std::scoped_lock lock(mutex_);
    const auto peer = peers_.find(id);
    if (peer == peers_.end()) return;
    --peer->second.handlers;
    while (!peer->second.waiting.empty()) {
      const auto stream = std::move(peer->second.waiting.front());
      peer->second.waiting.pop_front();
      const auto protocol = protocols_.find(stream->protocol);
      if (stream->over || protocol == protocols_.end() || !protocol->second.handler) continue;
      ++peer->second.handlers;
      start_handler(protocol->second.handler, stream);
      break;
    }
    forget_peer_if_idle(id);
  });
}

}  // namespace quicmesh::io
