#include "node/node_core.hpp"

#include <algorithm>
#include <utility>

#include "path/path_errc.hpp"

namespace quicmesh {

Result<std::unique_ptr<NodeCore>> NodeCore::create(QuicConfig config, const Keypair& identity,
                                                   SecureRng& secure_rng, Rng rng) {
  auto connectivity = Connectivity::create(std::move(config), identity, secure_rng, rng);
  if (!connectivity) return failure(connectivity.error());
  auto node = std::unique_ptr<NodeCore>(new NodeCore(identity.node_id()));
  node->connectivity_ = std::move(*connectivity);
  return node;
}

void NodeCore::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                               MutableByteView datagram) {
  connectivity_->handle_datagram(now, path, ecn, datagram);
}

void NodeCore::handle_timeout(Instant now) {
  connectivity_->handle_timeout(now);
  if (closing_ && closing_->next <= now) advance_close(now);
}

std::optional<Transmit> NodeCore::poll_transmit(Instant now, MutableByteView buffer) {
  auto transmit = connectivity_->poll_transmit(now, buffer);
  if (transmit) return transmit;
  // Refusing a stream makes something to send.
  const std::size_t refused = refused_.size();
  take_events();
  if (refused_.size() != refused) return connectivity_->poll_transmit(now, buffer);
  return std::nullopt;
}

std::optional<NodeEvent> NodeCore::poll_event() {
  take_events();
  if (events_.empty()) return std::nullopt;
  NodeEvent event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Instant NodeCore::poll_timeout() const {
  const Instant next = connectivity_->poll_timeout();
  return closing_ ? std::min(next, closing_->next) : next;
}

void NodeCore::take_events() {
  while (auto event = connectivity_->poll_event()) {
    if (const auto* opened = std::get_if<PeerStreamOpened>(&*event)) {
      if (!protocols_.contains(opened->header.protocol) || closing_) {
        refuse(*opened);
        continue;
      }
    } else if (const auto* data = std::get_if<PeerStreamData>(&*event)) {
      if (refused_.contains(data->stream)) continue;
    } else if (const auto* finished = std::get_if<PeerStreamFinished>(&*event)) {
      if (refused_.erase(finished->stream) > 0) continue;
    } else if (const auto* lost = std::get_if<PeerStreamLost>(&*event)) {
      if (refused_.erase(lost->stream) > 0) continue;
    } else if (const auto* reset = std::get_if<PeerStreamReset>(&*event)) {
      if (refused_.contains(reset->stream)) continue;
    }
    std::visit([&](auto& any) { events_.push_back(std::move(any)); }, *event);
  }
}

void NodeCore::refuse(const PeerStreamOpened& opened) {
  refused_.insert(opened.stream);
  if (opened.bidirectional) {
    (void)connectivity_->reset_stream(opened.stream, CloseCode::unknown_protocol);
  }
  (void)connectivity_->stop_stream(opened.stream, CloseCode::unknown_protocol);
}

Result<void> NodeCore::add_protocol(std::string protocol) {
  if (!is_protocol_name(protocol) || protocols_.size() >= protocols_max) {
    return failure(PathErrc::bad_protocol_name);
  }
  protocols_.insert(std::move(protocol));
  return {};
}

void NodeCore::remove_protocol(const std::string& protocol) {
  protocols_.erase(protocol);
}

Result<void> NodeCore::connect(Instant now, const NodeId& peer,
                               std::span<const NetworkPath> candidates) {
  return connectivity_->connect(now, peer, candidates);
}

void NodeCore::disconnect(Instant now, const NodeId& peer, std::string_view reason) {
  connectivity_->disconnect(now, peer, CloseCode::goodbye, reason);
}

Result<StreamKey> NodeCore::open_stream(Instant now, const NodeId& peer, std::string protocol) {
  return connectivity_->open_stream(now, peer, {StreamKind::stream, std::move(protocol)}, true);
}

Result<StreamKey> NodeCore::open_flow(Instant now, const NodeId& peer, std::string protocol) {
  return connectivity_->open_stream(now, peer, {StreamKind::datagram_flow, std::move(protocol)},
                                    true);
}

void NodeCore::begin_close(Instant now) {
  if (!closing_) closing_ = Closing{now + close_patience, now, false};
}

std::vector<CloseWait> NodeCore::close_waits_for() const {
  std::vector<CloseWait> waits;
  for (const NodeId& peer : connectivity_->peers()) {
    const std::size_t bytes = connectivity_->unacknowledged_bytes(peer);
    if (bytes > 0) waits.push_back({peer, bytes});
  }
  return waits;
}

void NodeCore::advance_close(Instant now) {
  const std::vector<CloseWait> waits = close_waits_for();
  if (closing_->said_goodbye) return;
  if (!waits.empty() && now < closing_->deadline) {
    closing_->next = now + close_poll;
    return;
  }
  NodeClosed closed;
  for (const CloseWait& wait : waits)
    closed.bytes_lost += wait.unacknowledged_bytes;
  connectivity_->disconnect_all(now, CloseCode::shutting_down, "the node is shutting down");
  closing_->said_goodbye = true;
  closing_->next = never;
  take_events();
  events_.push_back(closed);
}

}  // namespace quicmesh
