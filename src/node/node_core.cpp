#include "node/node_core.hpp"

#include <algorithm>
#include <utility>

#include "base/turn_path.hpp"
#include "path/path_errc.hpp"

namespace quicmesh {
namespace {

// Streams of numbers of their own.
constexpr std::uint64_t relay_rng_stream = 0x72656c6179;  // "relay"
constexpr std::uint64_t punch_rng_stream = 0x70756e6368;  // "punch"

}  // namespace

NodeCore::NodeCore(const Keypair& identity, SecureRng& secure_rng, Rng rng,
                   std::unique_ptr<Connectivity> connectivity)
    : identity_(identity),
      id_(identity.node_id()),
      secure_rng_(secure_rng),
      connectivity_(std::move(connectivity)),
      relay_user_(id_, rng),
      turn_user_(secure_rng),
      stun_server_(std::in_place, StunServerConfig(), secure_rng),
      nat_watch_(secure_rng),
      punching_(id_, secure_rng, Rng(rng.next() ^ punch_rng_stream), connectivity_->strangers()) {}

Result<std::unique_ptr<NodeCore>> NodeCore::create(QuicConfig config, const Keypair& identity,
                                                   SecureRng& secure_rng, Rng rng) {
  auto connectivity = Connectivity::create(std::move(config), identity, secure_rng, rng);
  if (!connectivity) return failure(connectivity.error());
  return std::unique_ptr<NodeCore>(new NodeCore(
      identity, secure_rng, Rng(rng.next() ^ relay_rng_stream), std::move(*connectivity)));
}

void NodeCore::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                               MutableByteView datagram) {
  if (suspended_) return;
  now_ = now;
  // Before all else: ChannelData looks like QUIC.
  if (turn_user_.is_from_server(path)) return handle_turn(now, path, datagram);
  if (!datagram.empty() && is_relay_frame_type(datagram[0])) {
    return handle_relay_frame(now, path, datagram);
  }
  if (looks_like_stun(datagram)) {
    return handle_stun(now, path, ecn, datagram);
  }
  connectivity_->handle_datagram(now, path, ecn, datagram);
}

void NodeCore::handle_timeout(Instant now) {
  if (suspended_) return;
  now_ = now;
  restless_ = false;
  connectivity_->handle_timeout(now);
  relay_user_.client().handle_timeout(now);
  relay_user_.tunnels().handle_timeout(now);
  turn_user_.handle_timeout(now);
  nat_watch_.handle_timeout(now);
  punching_.handle_timeout(now, *connectivity_);
  if (relay_host_) relay_host_->handle_timeout(now);
  if (closing_ && closing_->next <= now) advance_close(now);
  route(now);
}

std::optional<Transmit> NodeCore::poll_transmit(Instant now, MutableByteView buffer) {
  if (suspended_) return std::nullopt;
  now_ = now;
  for (bool routed = false;; routed = true) {
    if (relay_host_) {
      if (auto forward = relay_host_->poll_transmit(buffer)) return forward;
    }
    if (auto answer = relay_user_.client().poll_transmit(buffer)) return answer;
    if (auto request = turn_user_.poll_transmit(now, buffer)) return request;
    if (auto answer = stun_server_->poll_transmit(now, buffer)) return answer;
    if (auto question = nat_watch_.poll_transmit(now, buffer)) return question;
    if (auto question = punching_.poll_transmit(now, buffer)) return question;
    while (auto transmit = connectivity_->poll_transmit(now, buffer)) {
      if (!is_relayed(transmit->path)) return transmit;
      const bool wrapped = is_turn_path(transmit->path) ? turn_user_.wrap(now, *transmit, buffer)
                                                        : relay_user_.wrap(*transmit, buffer);
      if (wrapped) return transmit;
    }
    if (closing_ && closing_->said_goodbye) {
      turn_user_.stop(now);  // the goodbyes are on their way
      if (auto request = turn_user_.poll_transmit(now, buffer)) return request;
    }
    if (routed) return std::nullopt;
    route(now);  // which makes something to send
  }
}

std::optional<NodeEvent> NodeCore::poll_event() {
  served_ = false;
  route(now_);
  restless_ |= served_;  // the driver has taken what is to be sent before the events
  if (events_.empty()) return std::nullopt;
  NodeEvent event = std::move(events_.front());
  events_.pop_front();
  events_offered_ -= services_.empty() ? 0 : 1;
  return event;
}

Instant NodeCore::poll_timeout() const {
  if (suspended_) return never;
  if (restless_) return now_;
  Instant next = std::min(connectivity_->poll_timeout(), relay_user_.client().poll_timeout());
  next = std::min({next, relay_user_.tunnels().poll_timeout(), turn_user_.poll_timeout(),
                   nat_watch_.poll_timeout(), punching_.poll_timeout()});
  if (relay_host_) next = std::min(next, relay_host_->poll_timeout());
  for (const auto& service : services_)
    next = std::min(next, service->poll_timeout());
  return closing_ ? std::min(next, closing_->next) : next;
}

void NodeCore::route(Instant now) {
  take_events(now);
  if (relay_host_) relay_host_->pump(*connectivity_);
  relay_user_.pump(now, *connectivity_, endpoints_);
  while (auto event = relay_user_.poll_event()) {
    on_relay_event(now, *event);
    relay_user_.pump(now, *connectivity_, endpoints_);
  }
  take_turn_events(now);
  take_nat_events(now);
  take_punch_events(now);
  take_events(now);
  serve(now);
}

// What the services do makes events, of which some are theirs again.
void NodeCore::serve(Instant now) {
  const bool leaving = closing_ && closing_->said_goodbye;
  if (services_.empty() || serving_) return;
  serving_ = true;
  do {
    for (const PeerProved& one : std::exchange(proved_, {})) {
      served_ = true;
      for (const auto& service : services_) {
        if (!leaving) service->on_proved(now, *this, one);
      }
    }
    while (events_offered_ < events_.size()) {
      NodeEvent event = std::move(events_[events_offered_]);
      events_.erase(events_.begin() + static_cast<std::ptrdiff_t>(events_offered_));
      const bool taken = std::ranges::any_of(services_, [&](const auto& service) {
        return !leaving && service->take_in(now, *this, event);
      });
      served_ |= taken;
      if (taken) continue;
      events_.insert(events_.begin() + static_cast<std::ptrdiff_t>(events_offered_),
                     std::move(event));
      ++events_offered_;
    }
    for (const auto& service : services_) {
      if (!leaving) service->advance(now, *this);
    }
    take_events(now);
  } while (events_offered_ < events_.size() || !proved_.empty());
  serving_ = false;
}

void NodeCore::take_events(Instant now) {
  while (auto event = connectivity_->poll_event()) {
    if (take_in(now, *event)) continue;
    std::visit(
        [&](auto& any) {
          if constexpr (std::is_constructible_v<NodeEvent, decltype(any)>) {
            events_.push_back(std::move(any));
          }
        },
        *event);
  }
}

bool NodeCore::take_in(Instant now, PathEvent& event) {
  if (const auto* told = std::get_if<PeerCandidates>(&event)) {
    on_candidates(now, *told);
    return true;
  }
  if (const auto* silent = std::get_if<PeerSilent>(&event)) {
    relay_user_.on_silent(now, silent->peer);
    return true;
  }
  if (const auto* punch = std::get_if<PeerPunch>(&event)) {
    punching_.on_message(now, *connectivity_, *punch);
    return true;
  }
  if (const auto* found = std::get_if<PeerPathFound>(&event)) {
    punching_.on_path_found(now, *connectivity_, *found);
    return true;
  }
  if (const auto* proved = std::get_if<PeerPathProved>(&event)) {
    if (relay_host_) relay_host_->on_path_proved(*proved);
    return true;
  }
  if (auto* proved = std::get_if<PeerProved>(&event)) {
    if (services_.empty()) return true;
    proved->relay = resolve_relay(proved->path);
    proved->over_turn = resolve_turn(proved->peer, proved->path);
    proved_.push_back(std::move(*proved));
    return true;
  }
  if (auto* connected = std::get_if<PeerConnected>(&event)) {
    relay_user_.on_connected(now, *connectivity_, connected->peer);
    add_legs(now, connected->peer);
    note_connected(now, *connected);
    connected->relay = resolve_relay(connected->path);
    connected->over_turn = resolve_turn(connected->peer, connected->path);
    return false;
  }
  const bool leaving = closing_ && closing_->said_goodbye;
  if (const auto* gone = std::get_if<PeerDisconnected>(&event)) {
    decisions_.write(now, gone->peer, decision::Disconnected{gone->error, gone->reason});
    if (leaving) return false;
    relay_user_.on_disconnected(gone->peer);
    // Its sessions stay: the goodbye leaves over them, and the peer may use them for its next dial.
    // The relay ends them when they are idle.
    give_up_seeking(gone->peer);
    punching_.forget(now, gone->peer);
    turn_user_.forget(gone->peer);
    return false;
  }
  if (auto* unreachable = std::get_if<PeerUnreachable>(&event)) {
    relay_user_.on_unreachable(now, *unreachable);
    const auto dial = relay_dials_.find(unreachable->peer);
    if (dial == relay_dials_.end()) {
      give_up_seeking(unreachable->peer);
      decisions_.write(now, unreachable->peer,
                       decision::Unreachable{unreachable->error, unreachable->reason});
      return false;
    }
    decisions_.write(now, unreachable->peer,
                     decision::DirectFailed{unreachable->error, unreachable->reason});
    dial->second.direct_failed = std::move(*unreachable);  // a relay may still have the peer
    return true;
  }
  if (auto* refused = std::get_if<PeerPathRefused>(&event)) {
    note_refused(now, refused->peer, refused->path);
    (void)resolve_relay(refused->path);
    (void)resolve_turn(refused->peer, refused->path);
    return false;
  }
  if (auto* changed = std::get_if<PeerPathChanged>(&event)) {
    relay_user_.on_path_changed(now, changed->peer, changed->to);
    punching_.on_path_changed(now, *connectivity_, changed->peer, changed->to);
    const NetworkPath from = changed->from;
    if (changed->stall > Duration{}) turn_user_.suspect(now, from);
    changed->from_relay = resolve_relay(changed->from);
    changed->to_relay = resolve_relay(changed->to);
    changed->from_turn = resolve_turn(changed->peer, changed->from);
    changed->to_turn = resolve_turn(changed->peer, changed->to);
    note_moved(now, *changed, from);
    // A relayed path that fell silent: the relay itself may be gone.
    if (changed->from_relay && changed->stall > Duration{}) {
      relay_user_.client().suspect(now, *changed->from_relay);
    }
    return false;
  }
  return take_in_stream(now, event);
}

bool NodeCore::take_in_stream(Instant now, const PathEvent& event) {
  if (const auto* opened = std::get_if<PeerStreamOpened>(&event)) {
    if (relay_host_ && opened->header.protocol == relay_protocol && !closing_) {
      relay_host_->on_opened(now, *connectivity_, *opened);
      return true;
    }
    if (protocols_.contains(opened->header.protocol) && !closing_) return false;
    refuse(*opened);
    return true;
  }
  if (const auto* data = std::get_if<PeerStreamData>(&event)) {
    if (relay_host_ && relay_host_->on_data(now, *connectivity_, *data)) return true;
    if (relay_user_.on_data(now, *connectivity_, *data)) return true;
    return refused_.contains(data->stream);
  }
  if (const auto* finished = std::get_if<PeerStreamFinished>(&event)) {
    return on_stream_over(now, finished->stream);
  }
  if (const auto* lost = std::get_if<PeerStreamLost>(&event)) {
    return on_stream_over(now, lost->stream);
  }
  if (const auto* reset = std::get_if<PeerStreamReset>(&event)) {
    if (relay_host_ && relay_host_->on_ended(reset->stream)) return true;
    if (relay_user_.on_ended(now, reset->stream)) return true;
    return refused_.contains(reset->stream);
  }
  if (const auto* writable = std::get_if<PeerStreamWritable>(&event)) {
    return (relay_host_ && relay_host_->owns(writable->stream)) ||
           relay_user_.owns(writable->stream);
  }
  return false;
}

bool NodeCore::on_stream_over(Instant now, const StreamKey& stream) {
  if (closing_ && closing_->said_goodbye && relay_user_.owns(stream)) return true;
  if (relay_host_ && relay_host_->on_ended(stream)) return true;
  if (relay_user_.on_ended(now, stream)) return true;
  return refused_.erase(stream) > 0;
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

void NodeCore::add_service(std::unique_ptr<NodeService> service) {
  protocols_.insert(service->protocol());
  events_offered_ = events_.size();
  services_.push_back(std::move(service));
}

void NodeCore::disconnect(Instant now, const NodeId& peer, std::string_view reason) {
  give_up_seeking(peer);
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
  suspended_ = false;  // a goodbye is something to say
  if (closing_) return;
  for (const auto& service : services_)
    service->stop(now, *this);
  closing_ = Closing{now + close_patience, now, false};
}

std::vector<CloseWait> NodeCore::close_waits_for() const {
  std::vector<CloseWait> waits;
  for (const NodeId& peer : connectivity_->peers()) {
    const std::size_t bytes = connectivity_->unacknowledged_bytes(peer);
    if (bytes > 0) waits.push_back({peer, bytes});
  }
  return waits;
}

void NodeCore::say_goodbye(Instant now) {
  if (!closing_) begin_close(now);
  // From here on the relays' sessions are as they were: the peers' goodbyes leave through them, and
  // before the relays' own.
  closing_->said_goodbye = true;
  std::vector<NodeId> relays;
  for (const RelayReport& relay : relay_user_.client().relays())
    relays.push_back(relay.id);
  connectivity_->disconnect_all(now, CloseCode::shutting_down, "the node is shutting down", relays);
  take_events(now);
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
  say_goodbye(now);
  closing_->next = never;
  events_.push_back(closed);
}

}  // namespace quicmesh
