// The network thread's part of a hub: commands to the core, events from it; see node_hub.hpp.
#include <algorithm>
#include <utility>

#include "io/event_loop.hpp"
#include "io/node_hub.hpp"
#include "quic/quic_errc.hpp"
#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace {

constexpr std::size_t inbox_kept = 4096;  // events; a flood needs more

std::error_code error_of_code(std::uint64_t code) {
  if (code == std::to_underlying(CloseCode::unknown_protocol)) return QuicErrc::stream_refused;
  return QuicErrc::stream_reset;
}

}  // namespace

/// While it lives, the batch is being collected; then it is posted.
struct NodeHub::Turn {
  explicit Turn(NodeHub& of) : hub(of), lock(of.turn_mutex_) {}
  ~Turn() { hub.post(std::exchange(hub.batch_, {})); }

  NodeHub& hub;
  std::scoped_lock<std::mutex> lock;
};

void NodeHub::apply(Instant now, HostedNode& node) {
  const Turn turn(*this);
  {
    const std::scoped_lock lock(mutex_);
    knocked_ = false;
    lazy_credit_ = 0;
    running_.swap(commands_);
    serving_.swap(dirty_streams_);
    serving_flows_.swap(dirty_flows_);
  }
  for (Command& one : running_)
    one(now, node);
  for (const auto& stream : serving_)
    serve(node.core(), stream);
  for (const auto& flow : serving_flows_)
    serve(now, node.core(), flow);
  running_.clear();
  serving_.clear();
  serving_flows_.clear();
  advance_close(now, node);
  heap_trim_.handle_timeout(now);
}

bool NodeHub::deliver(Instant now, HostedNode& node) {
  NodeCore& core = node.core();
  while (auto event = core.poll_event())
    inbox_.push_back(std::move(*event));
  if (node.dht() != nullptr) {
    while (auto news = node.dht()->poll_news())
      dht_inbox_.push_back(std::move(*news));
  }
  const bool idle = inbox_.empty() && after_.empty() && dht_inbox_.empty();
  if (idle && flushing_.empty() && unready_flows_.empty()) return false;
  const Turn turn(*this);
  {
    const std::scoped_lock lock(mutex_);
    for (NodeEvent& event : inbox_) {
      std::visit([this](auto& one) { on_event(one); }, event);
    }
    for (DhtNews& news : dht_inbox_) {
      std::visit([this](auto& one) { on_news(one); }, news);
    }
  }
  inbox_.clear();
  dht_inbox_.clear();
  if (inbox_.capacity() > inbox_kept) std::vector<NodeEvent>().swap(inbox_);
  if (std::exchange(streams_lost_, false)) heap_trim_.want(now);
  bool changed = !after_.empty();
  std::vector<Command> after;
  after.swap(after_);
  for (Command& one : after)
    one(now, node);
  if (!flushing_.empty()) check_flushes(core);
  if (!unready_flows_.empty()) changed |= check_unready_flows(now, core);
  return changed;
}

void NodeHub::advance_close(Instant now, HostedNode& node) {
  if (!draining_ || core_closing_) return;
  // Bytes that the core has not taken yet are none of its business when it closes.
  std::size_t left = 0;
  for (const auto& [key, stream] : streams_)
    left += stream->unsent.bytes();
  if (left < draining_->bytes_left) {
    draining_->bytes_left = left;
    draining_->deadline = now + drain_patience;
  }
  if (left > 0 && now < draining_->deadline) {
    deadline_ = draining_->deadline;
    return;
  }
  deadline_ = never;
  core_closing_ = true;
  node.core().begin_close(now);
  // Its first look at what is left to flush is due at once.
  node.core().handle_timeout(now);
}

std::shared_ptr<StreamState> NodeHub::find_stream(const StreamKey& key) const {
  const auto found = streams_.find(key);
  return found == streams_.end() ? nullptr : found->second;
}

void NodeHub::on_event(PeerStreamData& event) {
  const auto found = streams_.find(event.stream);
  const std::size_t size = event.data.size();
  if (found == streams_.end() || found->second->dropped) {
    if (event.end && flows_.contains(event.stream)) {
      end_flow(event.stream, QuicErrc::stream_closed);
    }
    if (size > 0) {
      after_.push_back([key = event.stream, size](Instant, HostedNode& node) {
        node.core().connectivity().credit(key, size);
      });
    }
    return;
  }
  StreamState& stream = *found->second;
  if (size > 0) stream.arrived.append(std::move(event.data));
  if (event.end) stream.end_arrived = true;
  signal(stream.reader, {}, batch_);
}

void NodeHub::on_event(PeerStreamWritable& event) {
  const auto stream = find_stream(event.stream);
  if (!stream) return;
  after_.push_back([this, stream](Instant, HostedNode& node) {
    if (!stream->broken) pump(node.core(), *stream);
  });
}

void NodeHub::on_event(PeerStreamReset& event) {
  if (flows_.contains(event.stream)) return end_flow(event.stream, error_of_code(event.code));
  const auto stream = find_stream(event.stream);
  if (!stream) return;
  const std::error_code error = error_of_code(event.code);
  if (!stream->read_error) stream->read_error = error;
  // A protocol that is unknown there is so in both directions.
  if (!stream->write_error && error == QuicErrc::stream_refused) stream->write_error = error;
  signal(stream->reader, {}, batch_);
}

void NodeHub::on_event(PeerStreamStopped& event) {
  if (flows_.contains(event.stream)) return end_flow(event.stream, QuicErrc::stream_closed);
  const auto stream = find_stream(event.stream);
  if (!stream) return;
  if (!stream->write_error) stream->write_error = QuicErrc::stream_reset;
  after_.push_back(
      [this, stream](Instant, HostedNode&) { break_stream(*stream, stream->write_error); });
}

void NodeHub::on_event(PeerStreamFinished& event) {
  if (flows_.contains(event.stream)) end_flow(event.stream, QuicErrc::stream_closed);
  const auto found = streams_.find(event.stream);
  if (found == streams_.end()) return;
  const std::shared_ptr<StreamState> stream = found->second;
  streams_.erase(found);
  stream->over = true;
  // It can be over with bytes unsent only if the peer did not want them.
  if (stream->queued_bytes > 0 && !stream->write_error) {
    stream->write_error = QuicErrc::stream_reset;
  }
  forget_queued(*stream);
  for (const auto& reply : stream->flushers)
    answer(*reply, stream->write_error, batch_);
  stream->flushers.clear();
  if (!stream->end_arrived && !stream->read_error) stream->read_error = QuicErrc::stream_closed;
  signal(stream->reader, {}, batch_);
  signal(stream->writer, {}, batch_);
}

void NodeHub::on_event(PeerStreamLost& event) {
  if (flows_.contains(event.stream)) end_flow(event.stream, event.error);
  const auto found = streams_.find(event.stream);
  if (found == streams_.end()) return;
  const std::shared_ptr<StreamState> stream = found->second;
  streams_.erase(found);
  streams_lost_ = true;
  stream->over = true;
  if (!stream->read_error) stream->read_error = event.error;  // shown after all that has arrived
  if (!stream->write_error) stream->write_error = event.error;
  signal(stream->reader, {}, batch_);
  after_.push_back(
      [this, stream](Instant, HostedNode&) { break_stream(*stream, stream->write_error); });
}

void NodeHub::on_event(PeerStreamsAvailable& event) {
  const auto peer = peers_.find(event.peer);
  if (peer == peers_.end()) return;
  std::vector<std::shared_ptr<OpenReply>> opens = std::move(peer->second.opens);
  std::vector<std::shared_ptr<FlowState>> flows = std::move(peer->second.flows);
  peer->second.opens.clear();
  peer->second.flows.clear();
  for (auto& reply : opens) {
    after_.push_back(
        [this, reply](Instant now, HostedNode& node) { try_open(now, node.core(), reply); });
  }
  for (auto& flow : flows)
    mark_dirty(flow);
  if (!flows.empty()) {
    after_.push_back([this](Instant now, HostedNode& node) {
      std::vector<std::shared_ptr<FlowState>> dirty;
      {
        const std::scoped_lock lock(mutex_);
        dirty.swap(dirty_flows_);
      }
      for (const auto& flow : dirty)
        serve(now, node.core(), flow);
    });
  }
}

void NodeHub::on_event(NodeClosed& event) {
  phase_ = Phase::closed;
  core_closed_ = true;
  if (event.bytes_lost > 0) close_error_ = IoErrc::flush_timeout;
}

}  // namespace quicmesh::io
