// See hosted_node.hpp.
#include "io/hosted_node.hpp"

#include <algorithm>

#include "io/dht_cache.hpp"
#include "io/event_loop.hpp"
#include "io/local_addresses.hpp"

namespace quicmesh::io {
namespace {

WallTime wall_time() {
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  return WallTime{std::chrono::duration_cast<std::chrono::seconds>(since_1970).count()};
}

bool all_relay_frames(ByteView train, std::size_t segment_size) {
  for (std::size_t at = 0; at < train.size(); at += segment_size) {
    if (!is_relay_frame_type(train[at])) return false;
  }
  return true;
}

// A socket bound to an address that the machine has not got any more is reached by nobody; should
// the address come back, so does the socket.
std::vector<LocalEndpoint> endpoints_of(const std::vector<SocketInfo>& sockets,
                                        const std::vector<IpAddress>& own) {
  std::vector<LocalEndpoint> endpoints;
  for (const SocketInfo& socket : sockets) {
    const IpFamily family = socket.local.ip.family();
    const auto add = [&](const IpAddress& ip) {
      endpoints.push_back({socket.id, IpAddress::any(family), {ip, socket.local.port}});
    };
    if (socket.local.ip.is_unspecified()) {
      for (const IpAddress& ip : local_addresses(family))
        add(ip);
    } else if (socket.local.ip.scope() == AddressScope::loopback ||
               std::ranges::find(own, socket.local.ip) != own.end()) {
      add(socket.local.ip);  // of loopback, a whole network is there without being listed
    }
  }
  return endpoints;
}

}  // namespace

Result<std::unique_ptr<HostedNode>> HostedNode::create(QuicConfig config, Keypair identity,
                                                       std::vector<UdpSocket> sockets) {
  auto node = std::unique_ptr<HostedNode>(new HostedNode(std::move(identity), std::move(sockets)));
  auto core = NodeCore::create(std::move(config), node->identity_, node->secure_rng_,
                               Rng(node->secure_rng_.next_u64()));
  if (!core) return failure(core.error());
  node->core_ = std::move(*core);
  node->core_->set_wall_time(EventLoop::now(), wall_time());
  return node;
}

HostedNode::~HostedNode() {
  if (core_) save_dht(EventLoop::now());
}

void HostedNode::join_dht(Instant now, DhtHostConfig config, std::string cache_file) {
  dht_file_ = std::move(cache_file);
  if (!dht_file_.empty()) {
    dht_save_at_ = now + dht_save_interval;
    DhtCache cache = load_dht_cache(dht_file_);
    config.last_sequence = std::max(config.last_sequence, cache.sequence);
    config.bootstrap.insert(config.bootstrap.end(), cache.contacts.begin(), cache.contacts.end());
  }
  auto dht = std::make_unique<DhtHost>(now, std::move(config), core_->id(), secure_rng_);
  dht_ = dht.get();
  core_->add_service(std::move(dht));
}

// The file is small, and what is lost with it is found again: nobody waits until it is on the disk,
// and a failure is not worth a word.
void HostedNode::save_dht(Instant now) {
  if (dht_ == nullptr || dht_file_.empty()) return;
  dht_save_at_ = now + dht_save_interval;
  DhtCache cache{dht_->own_records().sequence(), dht_->contacts_to_keep(now, *core_)};
  // Those met last time come behind: whoever is met now may all be one person.
  for (DhtContact& former : load_dht_cache(dht_file_).contacts) {
    const bool known =
        std::ranges::find(cache.contacts, former.id, &DhtContact::id) != cache.contacts.end();
    if (!known && cache.contacts.size() < dht_cache_nodes_max) {
      cache.contacts.push_back(std::move(former));
    }
  }
  (void)save_dht_cache(dht_file_, cache);
}

// Soon after it has joined, so that a node that is killed has learnt whom to begin with.
void HostedNode::save_dht_if_due(Instant now) {
  if (dht_save_at_ == never) return;
  if (!dht_joined_ && !dht_->core().table().contacts().empty()) {
    dht_joined_ = true;
    dht_save_at_ = std::min(dht_save_at_, now + dht_save_first);
  }
  if (dht_save_at_ <= now) save_dht(now);
}

void HostedNode::announce(Instant now, std::vector<SocketInfo> sockets) {
  announced_ = std::move(sockets);
  core_->set_endpoints(now, endpoints_of(announced_, all_local_addresses()));
}

void HostedNode::network_changed(Instant now) {
  const std::vector<IpAddress> own = all_local_addresses();
  core_->set_endpoints(now, endpoints_of(announced_, own));
  core_->network_changed(now, own);
}

void HostedNode::resume(Instant now) {
  const std::vector<IpAddress> own = all_local_addresses();
  core_->set_endpoints(now, endpoints_of(announced_, own));
  core_->resume(now, own);
}

void HostedNode::receive(SocketId id, MutableByteView buffer) {
  UdpSocket* socket = sockets_.find(id);
  const bool gathers = core_->relay_server() != nullptr;
  RelayGather gather;
  for (std::size_t turn = 0; socket != nullptr && turn < receives_per_turn;) {
    if (buffer.size() - gather.end() < UdpSocket::receive_buffer_size) hand_over(gather, buffer);
    const auto train = socket->receive(buffer.subspan(gather.end()));
    if (!train) break;
    const NetworkPath path{id, train->local, train->remote};
    const MutableByteView bytes = buffer.subspan(gather.end(), train->size);
    if (!gathers || !all_relay_frames(bytes, train->segment_size)) {
      const std::size_t begin = gather.end();
      hand_over(gather, buffer);
      hand_over(path, train->ecn, buffer.subspan(begin, train->size), train->segment_size);
      ++turn;
    } else if (!gather.join(path, train->size, train->segment_size)) {
      RelayGather next = gather;
      next.restart(path, train->size, train->segment_size);
      hand_over(gather, buffer);
      gather = next;
      ++turn;
    }
    if (!gather.empty() && gather.full()) {
      hand_over(gather, buffer);
      ++turn;
    }
  }
  hand_over(gather, buffer);
}

void HostedNode::hand_over(RelayGather& gather, MutableByteView buffer) {
  if (!gather.empty()) {
    hand_over(gather.path(), Ecn::not_ect, buffer.subspan(gather.begin(), gather.size()),
              gather.segment_size());
  }
  gather.clear();
}

void HostedNode::hand_over(const NetworkPath& path, Ecn ecn, MutableByteView train,
                           std::size_t segment_size) {
  const Instant now = EventLoop::now();
  if (forward(now, path, train, segment_size)) return;
  for (std::size_t offset = 0; offset < train.size(); offset += segment_size) {
    const std::size_t size = std::min(segment_size, train.size() - offset);
    core_->handle_datagram(now, path, ecn, train.subspan(offset, size));
  }
}

// Relayed trains go out of the buffer they came in, a call for each destination. A socket that is
// full drops: the peers' own congestion control is the one that has to slow down.
bool HostedNode::forward(Instant now, const NetworkPath& source, ByteView train,
                         std::size_t segment_size) {
  // A client's relayed datagrams and its packets to this node may come in one train.
  if (!all_relay_frames(train, segment_size)) return false;
  std::array<RelayRun, forward_runs> runs;
  while (!train.empty()) {
    const auto plan = core_->forward_train(now, source, train, segment_size, runs);
    if (!plan) return false;
    for (std::size_t i = 0; i < plan->runs; ++i) {
      const RelayRun& run = runs[i];
      const Transmit transmit{run.destination, run.size, std::min(segment_size, run.size)};
      const ByteView part = train.subspan(run.offset, run.size);
      if (is_tunnelled(run.destination)) {
        if (tunnels_) tunnels_->send(now, transmit, part);
        continue;
      }
      UdpSocket* socket = sockets_.find(run.destination.socket);
      std::size_t offset = 0;
      if (socket != nullptr) (void)socket->send(transmit, part, offset);
    }
    train = train.subspan(plan->consumed);
  }
  return true;
}

void HostedNode::settle(MutableByteView buffer) {
  if (tunnels_ && tunnels_->work_waits() && !tunnels_received_) receive_from_tunnels(buffer);
  tunnels_received_ = false;
  const Instant now = EventLoop::now();
  // The time of day is set, and a machine sleeps, without the steady clock noticing.
  core_->set_wall_time(now, wall_time());
  save_dht_if_due(now);
  client_->apply(now, *this);
  // Not only when due: it also brings the events of received packets to light, so that the user's
  // thread wakes while this one still writes acknowledgements.
  if (tunnels_) {
    if (tunnels_->sweep_due(now)) tunnels_->handle_timeout(now, live_tunnels());
    (void)deliver_tunnel_events(now);
  }
  core_->handle_timeout(now);
  (void)client_->deliver(now, *this);
  // A quick answer shares a packet with the acknowledgement of what it answers.
  client_->apply(EventLoop::now(), *this);
  bool rested = transmit(buffer);
  // Writing packets makes events, and some events make more to send.
  while ((client_->deliver(EventLoop::now(), *this) || serve_socket_requests() ||
          serve_tunnel_requests()) &&
         rested)
    rested = transmit(buffer);

  if (!rested) {
    deadline_ = Instant{};
  } else if (held_) {
    deadline_ = held_->wait_for_writable ? core_->poll_timeout() : held_->retry_at;
  } else {
    deadline_ = core_->poll_timeout();
  }
  if (tunnels_) deadline_ = std::min(deadline_, tunnels_->deadline());
  deadline_ = std::min({deadline_, client_->deadline(), dht_save_at_});
}

bool HostedNode::transmit(MutableByteView buffer) {
  for (std::size_t i = 0; i < trains_per_turn; ++i) {
    const Instant now = EventLoop::now();
    if (held_ && !send_held(now)) return true;
    const auto transmit = core_->poll_transmit(now, buffer);
    if (!transmit) return true;
    if (is_tunnelled(transmit->path)) {
      if (tunnels_) tunnels_->send(now, *transmit, buffer);
      continue;
    }
    UdpSocket* socket = sockets_.find(transmit->path.socket);
    if (socket == nullptr) continue;
    std::size_t offset = 0;
    const SendOutcome outcome = socket->send(*transmit, buffer, offset);
    if (outcome == SendOutcome::done) continue;
    held_ = Held{*transmit, to_bytes(ByteView(buffer).first(transmit->size)), offset,
                 outcome == SendOutcome::full, now + no_buffers_pause};
    return true;
  }
  return false;
}

bool HostedNode::send_held(Instant now) {
  if (!held_->wait_for_writable && now < held_->retry_at) return false;
  UdpSocket* socket = sockets_.find(held_->transmit.path.socket);
  const SendOutcome outcome = socket == nullptr
                                  ? SendOutcome::done
                                  : socket->send(held_->transmit, held_->data, held_->offset);
  if (outcome == SendOutcome::done) {
    held_.reset();
    return true;
  }
  held_->wait_for_writable = outcome == SendOutcome::full;
  held_->retry_at = now + no_buffers_pause;
  return false;
}

std::optional<SocketId> HostedNode::full_socket() const {
  if (!held_ || !held_->wait_for_writable) return std::nullopt;
  return held_->transmit.path.socket;
}

bool HostedNode::serve_socket_requests() {
  bool any = false;
  while (const auto request = core_->poll_socket_request()) {
    any = true;
    const Instant now = EventLoop::now();
    if (const auto* close = std::get_if<CloseSocket>(&*request)) {
      sockets_.close(close->socket);
      continue;
    }
    const auto& open = std::get<OpenSocket>(*request);
    if (const auto socket = sockets_.open(open.family)) {
      core_->handle_socket_opened(now, open.id, *socket, sockets_.find(*socket)->local());
    } else {
      core_->handle_socket_failed(now, open.id);
    }
  }
  return any;
}

Result<void> HostedNode::make_tunnels() {
  if (tunnels_) return {};
  auto tunnels = TunnelSet::create(identity_, secure_rng_);
  if (!tunnels) return failure(tunnels.error());
  tunnels_ = std::move(*tunnels);
  return {};
}

Result<SocketAddress> HostedNode::listen_for_tunnels(const SocketAddress& local) {
  if (const auto made = make_tunnels(); !made) return failure(made.error());
  return tunnels_->listen(local);
}

std::vector<SocketId> HostedNode::live_tunnels() const {
  std::vector<SocketId> live;
  const Connectivity& connectivity = core_->connectivity();
  for (const NodeId& peer : connectivity.peers()) {
    for (const PathReport& report : connectivity.paths(peer)) {
      if (is_tunnelled(report.path) && (report.current || report.probes_answered > 0)) {
        live.push_back(report.path.socket);
      }
    }
  }
  std::ranges::sort(live);
  return live;
}

void HostedNode::receive_from_tunnels(MutableByteView buffer) {
  const Instant now = EventLoop::now();
  tunnels_received_ = true;
  tunnels_->handle_ready(now);
  while (const auto arrival = tunnels_->receive(now, buffer)) {
    const ReceivedTrain& train = arrival->train;
    hand_over(arrival->path, train.ecn, buffer.first(train.size), train.segment_size);
  }
  (void)deliver_tunnel_events(now);
}

bool HostedNode::deliver_tunnel_events(Instant now) {
  bool any = false;
  while (const auto event = tunnels_->poll_event()) {
    any = true;
    if (const auto* opened = std::get_if<TunnelOpened>(&*event)) {
      core_->handle_tunnel_opened(now, opened->request, opened->path);
    } else if (const auto* failed = std::get_if<TunnelFailed>(&*event)) {
      core_->handle_tunnel_failed(now, failed->request, failed->error);
    } else {
      const auto& closed = std::get<TunnelClosed>(*event);
      core_->handle_tunnel_closed(now, closed.path, closed.error);
    }
  }
  return any;
}

bool HostedNode::serve_tunnel_requests() {
  bool any = false;
  while (const auto request = core_->poll_tunnel_request()) {
    any = true;
    const Instant now = EventLoop::now();
    const auto* open = std::get_if<OpenTunnel>(&*request);
    if (const auto made = make_tunnels(); !made) {
      if (open != nullptr) core_->handle_tunnel_failed(now, open->id, made.error());
    } else if (open != nullptr) {
      tunnels_->open(now, open->id, open->remote);
    } else if (const auto* unwanted = std::get_if<GiveUpTunnel>(&*request)) {
      tunnels_->give_up(unwanted->id);
    } else {
      tunnels_->close(std::get<CloseTunnel>(*request).socket);
    }
  }
  // A refusal may come at once.
  return (tunnels_ && deliver_tunnel_events(EventLoop::now())) || any;
}

void HostedNode::on_writable() {
  if (held_) {
    held_->wait_for_writable = false;
    held_->retry_at = Instant{};
  }
}

void HostedNode::say_goodbye(MutableByteView buffer) {
  const Instant now = EventLoop::now();
  core_->say_goodbye(now);
  while (!transmit(buffer)) {
  }
}

}  // namespace quicmesh::io
