// Datagram flows; see node_hub.hpp and connection.hpp.
#include <utility>

#include "io/node_hub.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {

ConnectionState::~ConnectionState() {
  if (flow && hub) hub->drop(flow);
}

void NodeHub::mark_dirty(const std::shared_ptr<FlowState>& flow) {
  if (phase_ == Phase::closed) return;  // nobody serves it any more: it would hold us for ever
  if (!std::exchange(flow->dirty, true)) dirty_flows_.push_back(flow);
}

std::shared_ptr<FlowState> NodeHub::flow_of(ConnectionState& connection) {
  std::shared_ptr<FlowState> flow;
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (connection.flow) return connection.flow;
    flow = std::make_shared<FlowState>(Connection::datagrams_max);
    flow->hub = shared_from_this();
    flow->peer = connection.peer;
    flow->protocol = connection.protocol;
    flow->opening = true;
    connection.flow = flow;
    mark_dirty(flow);
    must_wake = knock();
  }
  if (must_wake) wake();
  return flow;
}

Result<void> NodeHub::send_datagram(const std::shared_ptr<FlowState>& flow, Bytes data) {
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    if (flow->error) return failure(flow->error);
    if (phase_ != Phase::open) return failure(IoErrc::node_closed);
    (void)flow->queued.push(std::move(data));  // the oldest goes, as on the wire
    mark_dirty(flow);
    must_wake = knock();
  }
  if (must_wake) wake();
  return {};
}

Result<std::optional<Bytes>> NodeHub::take_datagram(FlowState& flow) {
  const std::scoped_lock lock(mutex_);
  if (auto data = flow.arrived.pop()) return data;
  if (flow.error) return failure(flow.error);
  if (phase_ == Phase::closed) return failure(IoErrc::node_closed);
  flow.reader.signalled = false;
  return std::optional<Bytes>();
}

void NodeHub::drop(const std::shared_ptr<FlowState>& flow) {
  bool must_wake = false;
  {
    const std::scoped_lock lock(mutex_);
    flow->dropped = true;
    mark_dirty(flow);
    must_wake = knock();
  }
  if (must_wake) wake();
}

void NodeHub::serve(Instant now, NodeCore& core, const std::shared_ptr<FlowState>& flow) {
  {
    const std::scoped_lock lock(mutex_);
    flow->dirty = false;
    if (flow->error) return flow->queued.clear();
  }
  if (flow->opening && !flow->key) {
    const auto key = core.open_flow(now, flow->peer, flow->protocol);
    const std::scoped_lock lock(mutex_);
    if (key) {
      flow->key = *key;
      flow->opening = false;
      flows_.emplace(*key, flow);
      unready_flows_.push_back(flow);
    } else if (key.error() == QuicErrc::stream_limit && !flow->dropped) {
      return peers_[flow->peer].flows.push_back(flow);
    } else {
      flow->error = key.error();
      return signal(flow->reader, {}, batch_);
    }
  }
  Connectivity& connectivity = core.connectivity();
  while (flow->ready) {
    std::optional<Bytes> data;
    {
      const std::scoped_lock lock(mutex_);
      data = flow->queued.pop();
    }
    if (!data) break;
    // One that has become too large since it was queued is lost, as datagrams may be.
    (void)connectivity.send_datagram(*flow->key, *data);
  }
  const std::scoped_lock lock(mutex_);
  if (!flow->dropped) return;
  flows_.erase(*flow->key);
  flow->error = QuicErrc::stream_closed;
  (void)connectivity.reset_stream(*flow->key, CloseCode::goodbye);
  (void)connectivity.stop_stream(*flow->key, CloseCode::goodbye);
}

bool NodeHub::check_unready_flows(Instant now, NodeCore& core) {
  bool served = false;
  std::vector<std::shared_ptr<FlowState>> waiting;
  waiting.swap(unready_flows_);
  for (const auto& flow : waiting) {
    if (!flows_.contains(*flow->key)) continue;
    if (core.connectivity().unacknowledged_bytes(*flow->key) > 0) {
      unready_flows_.push_back(flow);
      continue;
    }
    flow->ready = true;
    serve(now, core, flow);
    served = true;
  }
  return served;
}

void NodeHub::end_flow(const StreamKey& key, std::error_code error) {
  const auto found = flows_.find(key);
  if (found == flows_.end()) return;
  const std::shared_ptr<FlowState> flow = found->second;
  flows_.erase(found);
  if (error == QuicErrc::stream_reset) error = QuicErrc::stream_closed;
  if (!flow->error) flow->error = error;
  signal(flow->reader, {}, batch_);
  after_.push_back([key](Instant, HostedNode& node) {
    // Our direction of the flow's stream is still open, unless the connection is gone.
    (void)node.core().connectivity().reset_stream(key, CloseCode::goodbye);
    (void)node.core().connectivity().stop_stream(key, CloseCode::goodbye);
  });
}

void NodeHub::on_event(PeerDatagram& event) {
  const auto found = flows_.find(event.flow);
  if (found == flows_.end()) {
    ++flow_datagrams_dropped_;
    return;
  }
  FlowState& flow = *found->second;
  if (!flow.arrived.push(std::move(event.data))) ++flow_datagrams_dropped_;
  signal(flow.reader, {}, batch_);
}

}  // namespace quicmesh::io
