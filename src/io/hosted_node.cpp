// See hosted_node.hpp.
#include "io/hosted_node.hpp"

#include <algorithm>

#include "io/event_loop.hpp"

namespace quicmesh::io {

Result<std::unique_ptr<HostedNode>> HostedNode::create(QuicConfig config, Keypair identity,
                                                       std::vector<UdpSocket> sockets) {
  auto node = std::unique_ptr<HostedNode>(new HostedNode(std::move(identity), std::move(sockets)));
  auto core = NodeCore::create(std::move(config), node->identity_, node->secure_rng_,
                               Rng(node->secure_rng_.next_u64()));
  if (!core) return failure(core.error());
  node->core_ = std::move(*core);
  return node;
}

UdpCounters HostedNode::counters() const {
  UdpCounters sum;
  for (const UdpSocket& socket : sockets_) {
    const UdpCounters& one = socket.counters();
    sum.receive_calls += one.receive_calls;
    sum.datagrams_received += one.datagrams_received;
    sum.bytes_received += one.bytes_received;
    sum.datagrams_truncated += one.datagrams_truncated;
    sum.send_calls += one.send_calls;
    sum.datagrams_sent += one.datagrams_sent;
    sum.bytes_sent += one.bytes_sent;
    sum.refused_gso += one.refused_gso;
    sum.too_large += one.too_large;
    sum.failed += one.failed;
    sum.delayed += one.delayed;
  }
  return sum;
}

void HostedNode::receive(std::size_t socket, MutableByteView buffer) {
  for (std::size_t i = 0; i < receives_per_turn; ++i) {
    const auto train = sockets_[socket].receive(buffer);
    if (!train) return;
    const Instant now = EventLoop::now();
    const NetworkPath path{SocketId{static_cast<std::uint16_t>(socket)}, train->local,
                           train->remote};
    if (forward(now, path, buffer.first(train->size), train->segment_size)) continue;
    for (std::size_t offset = 0; offset < train->size; offset += train->segment_size) {
      const std::size_t size = std::min(train->segment_size, train->size - offset);
      core_->handle_datagram(now, path, train->ecn, buffer.subspan(offset, size));
    }
  }
}

// Relayed trains go out of the buffer they came in, a call for each destination. A socket that is
// full drops: the peers' own congestion control is the one that has to slow down.
bool HostedNode::forward(Instant now, const NetworkPath& source, ByteView train,
                         std::size_t segment_size) {
  // A client's relayed datagrams and its packets to this node may come in one train.
  for (std::size_t at = 0; at < train.size(); at += segment_size) {
    if (!is_relay_frame_type(train[at])) return false;
  }
  std::array<RelayRun, forward_runs> runs;
  while (!train.empty()) {
    const auto plan = core_->forward_train(now, source, train, segment_size, runs);
    if (!plan) return false;
    for (std::size_t i = 0; i < plan->runs; ++i) {
      const RelayRun& run = runs[i];
      const auto socket = static_cast<std::size_t>(run.destination.socket);
      if (socket >= sockets_.size()) continue;
      const Transmit transmit{run.destination, run.size, std::min(segment_size, run.size)};
      std::size_t offset = 0;
      (void)sockets_[socket].send(transmit, train.subspan(run.offset, run.size), offset);
    }
    train = train.subspan(plan->consumed);
  }
  return true;
}

void HostedNode::settle(MutableByteView buffer) {
  const Instant now = EventLoop::now();
  client_->apply(now, *this);
  // Not only when due: it also brings the events of received packets to light, so that the user's
  // thread wakes while this one still writes acknowledgements.
  core_->handle_timeout(now);
  (void)client_->deliver(now, *this);
  // A quick answer shares a packet with the acknowledgement of what it answers.
  client_->apply(EventLoop::now(), *this);
  bool rested = transmit(buffer);
  // Writing packets makes events, and some events make more to send.
  while (client_->deliver(EventLoop::now(), *this) && rested)
    rested = transmit(buffer);

  if (!rested) {
    deadline_ = Instant{};
  } else if (held_) {
    deadline_ = held_->wait_for_writable ? core_->poll_timeout() : held_->retry_at;
  } else {
    deadline_ = core_->poll_timeout();
  }
  deadline_ = std::min(deadline_, client_->deadline());
}

bool HostedNode::transmit(MutableByteView buffer) {
  for (std::size_t i = 0; i < trains_per_turn; ++i) {
    const Instant now = EventLoop::now();
    if (held_ && !send_held(now)) return true;
    const auto transmit = core_->poll_transmit(now, buffer);
    if (!transmit) return true;
    const auto socket = static_cast<std::size_t>(transmit->path.socket);
    if (socket >= sockets_.size()) continue;
    std::size_t offset = 0;
    const SendOutcome outcome = sockets_[socket].send(*transmit, buffer, offset);
    if (outcome == SendOutcome::done) continue;
    held_ = Held{*transmit, to_bytes(ByteView(buffer).first(transmit->size)), offset,
                 outcome == SendOutcome::full, now + no_buffers_pause};
    return true;
  }
  return false;
}

bool HostedNode::send_held(Instant now) {
  if (!held_->wait_for_writable && now < held_->retry_at) return false;
  const auto socket = static_cast<std::size_t>(held_->transmit.path.socket);
  const SendOutcome outcome = sockets_[socket].send(held_->transmit, held_->data, held_->offset);
  if (outcome == SendOutcome::done) {
    held_.reset();
    return true;
  }
  held_->wait_for_writable = outcome == SendOutcome::full;
  held_->retry_at = now + no_buffers_pause;
  return false;
}

std::optional<std::size_t> HostedNode::full_socket() const {
  if (!held_ || !held_->wait_for_writable) return std::nullopt;
  return static_cast<std::size_t>(held_->transmit.path.socket);
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
