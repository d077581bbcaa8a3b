// RelayClient: sessions with peers, the search for a relay that has them, and frames.
#include <algorithm>
#include <utility>

#include "relay/relay_client.hpp"

namespace quicmesh {
namespace {

RelayErrc close_error(RelayCloseReason reason) {
  switch (reason) {
    case RelayCloseReason::by_peer:
      return RelayErrc::closed_by_peer;
    case RelayCloseReason::peer_gone:
      return RelayErrc::peer_gone;
    case RelayCloseReason::idle:
      return RelayErrc::session_idle;
    case RelayCloseReason::evicted:
      break;
  }
  return RelayErrc::evicted;
}

}  // namespace

const RelayClient::Session* RelayClient::find_session(const NodeId& peer,
                                                      const NodeId& relay) const {
  const auto found = std::ranges::find_if(sessions_, [&](const auto& entry) {
    return entry.second.peer == peer && entry.second.relay == relay;
  });
  return found == sessions_.end() ? nullptr : &found->second;
}

std::size_t RelayClient::session_count(const NodeId& peer) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      sessions_, [&](const auto& entry) { return entry.second.peer == peer; }));
}

std::size_t RelayClient::sessions_over(const NodeId& relay) const {
  return static_cast<std::size_t>(std::ranges::count_if(
      sessions_, [&](const auto& entry) { return entry.second.relay == relay; }));
}

// Home, standby, then the others: those that are up before those that are not.
std::vector<NodeId> RelayClient::by_preference() const {
  std::vector<NodeId> order;
  const auto rank = [&](const NodeId& id) {
    if (choice_.home == id) return 0;
    if (choice_.standby == id) return 1;
    return find(id)->state == State::up ? 2 : 3;
  };
  for (int wanted_rank = 0; wanted_rank <= 3; ++wanted_rank) {
    for (const Relay& relay : relays_) {
      if (rank(relay.hint.id) == wanted_rank) order.push_back(relay.hint.id);
    }
  }
  return order;
}

std::vector<RelayLeg> RelayClient::legs(const NodeId& peer) const {
  std::vector<RelayLeg> legs;
  for (const NodeId& id : by_preference()) {
    for (const auto& [session_id, session] : sessions_) {
      if (session.relay != id || session.peer != peer) continue;
      legs.push_back({id, session_id, session.role, find(id)->path});
    }
  }
  return legs;
}

// Commands.

Result<void> RelayClient::connect(Instant now, const NodeId& peer) {
  if (relays_.empty()) return failure(RelayErrc::no_relay);
  if (!dials_.contains(peer) && dials_.size() >= dials_max) return failure(RelayErrc::too_many);
  Dial& dial = dials_[peer];
  dial.retry_at = never;
  dial.failures = 0;  // whoever asks wants an answer
  dial.last = {};
  // What was refused before is asked anew.
  std::erase_if(dial.asks, [](const Ask& ask) { return !ask.pending; });
  plan(now);
  return {};
}

void RelayClient::close(Instant now, const NodeId& peer) {
  dials_.erase(peer);
  std::vector<RelaySessionId> ended;
  for (const auto& [id, session] : sessions_) {
    if (session.peer == peer) ended.push_back(id);
  }
  for (const RelaySessionId id : ended) {
    send(sessions_.at(id).relay, RelayCloseSession{id, RelayCloseReason::by_peer});
    drop_session(id, RelayErrc::closed_here);
  }
  plan(now);
}

void RelayClient::attest(const NodeId& peer, const SocketAddress& external) {
  for (const RelayLeg& leg : legs(peer))
    send(leg.relay, RelayAttest{leg.session, external});
}

void RelayClient::on(Instant /*now*/, Relay& relay, const RelayAttested& message) {
  const auto session = sessions_.find(message.session);
  if (session == sessions_.end() || session->second.relay != relay.hint.id) return;
  events_.emplace_back(
      RelayPeerAttested{session->second.peer, relay.hint.id, message.external, message.seen});
}

std::vector<RelaySessionId> RelayClient::overloaded_sessions() const {
  std::vector<RelaySessionId> found;
  for (const auto& [id, session] : sessions_) {
    const Relay* relay = find(session.relay);
    if (relay != nullptr && relay->overloaded_until) found.push_back(id);
  }
  return found;
}

void RelayClient::ask_stand_in(const NodeId& id, const StandInRequest& request) {
  const Relay* relay = find(id);
  if (relay != nullptr && relay->state == State::up) send(id, RelayStandIn{request});
}

void RelayClient::on(Instant /*now*/, Relay& relay, const RelayStoodIn& message) {
  events_.emplace_back(RelayStandInAnswered{relay.hint.id, message.answer});
}

Result<void> RelayClient::signal(const NodeId& peer, Bytes data) {
  if (data.empty() || data.size() > relay_signal_max) return failure(RelayErrc::bad_signal);
  const Relay* chosen = nullptr;
  for (const NodeId& id : by_preference()) {
    const Relay* relay = find(id);
    if (relay->state != State::up) continue;
    if (chosen == nullptr) chosen = relay;
    if (find_session(peer, id) == nullptr) continue;
    chosen = relay;
    break;
  }
  if (chosen == nullptr) return failure(RelayErrc::no_relay);
  send(chosen->hint.id, RelaySignal{peer, std::move(data)});
  return {};
}

// The search.

void RelayClient::forget_asks(const NodeId& relay) {
  for (auto& [peer, dial] : dials_)
    std::erase_if(dial.asks, [&](const Ask& ask) { return ask.relay == relay; });
}

// Those that wait before they ask again need not: something is different now.
void RelayClient::retry_dials() {
  for (auto& [peer, dial] : dials_)
    dial.retry_at = never;
}

bool RelayClient::ask_relays(Instant now, const NodeId& peer, Dial& dial, std::size_t sessions) {
  bool awaiting = std::ranges::any_of(dial.asks, &Ask::pending);
  for (const NodeId& id : by_preference()) {
    if (find_session(peer, id) != nullptr) continue;
    if (std::ranges::any_of(dial.asks, [&](const Ask& ask) { return ask.relay == id; })) continue;
    // Home and standby at once, the others one by one and only while there is no session at all.
    // Before there is a home, all that are being tried for it count as such.
    const bool main = is_main(id) || (!choice_.home && surveying_);
    if (!main && (sessions > 0 || awaiting)) continue;
    Relay& relay = *find(id);
    if (relay.state == State::waiting || relay.draining) continue;
    if (relay.state == State::up) {
      send(id, RelayConnect{peer});
      dial.asks.push_back({id, true, now + ask_patience});
    } else {
      // It is asked when it is up; a pending question makes it wanted.
      dial.asks.push_back({id, true, now + open_patience + register_patience});
    }
    awaiting = true;
  }
  return awaiting;
}

void RelayClient::pursue(Instant now, const NodeId& peer) {
  const auto found = dials_.find(peer);
  if (found == dials_.end() || found->second.retry_at != never) return;
  Dial& dial = found->second;
  const std::size_t sessions = session_count(peer);
  if (sessions >= kept_max) return;
  if (ask_relays(now, peer, dial, sessions)) return;
  if (sessions > 0) {
    dial.failures = 0;
    dial.retry_at = now + jittered(second_session_interval);
    return;
  }
  const std::error_code reason = dial.last ? dial.last : make_error_code(RelayErrc::relay_lost);
  if (dial.failures == 0) events_.emplace_back(RelayUnreachable{peer, reason});
  if (!dial.reached) {
    dials_.erase(found);
    return;
  }
  const unsigned doublings = std::min(dial.failures++, 16u);
  dial.retry_at = now + jittered(std::min<Duration>(retry_first * (1 << doublings), retry_max));
}

void RelayClient::pursue_all(Instant now) {
  std::vector<NodeId> peers;
  for (const auto& [peer, dial] : dials_)
    peers.push_back(peer);
  for (const NodeId& peer : peers)
    pursue(now, peer);
}

void RelayClient::on_dial_due(Instant now, Dial& dial) {
  for (Ask& ask : dial.asks) {
    if (!ask.pending || ask.answer_by > now) continue;
    ask.pending = false;
    dial.last = RelayErrc::no_answer;
  }
  if (dial.retry_at > now) return;
  dial.retry_at = never;
  dial.asks.clear();
}

void RelayClient::on_session_refused(Instant now, Relay& relay, const RelayRefused& message) {
  const auto reason = static_cast<RelayErrc>(message.reason);
  const NodeId id = relay.hint.id;
  const auto dial = dials_.find(message.target);
  if (dial != dials_.end()) {
    dial->second.last = reason;
    for (Ask& ask : dial->second.asks) {
      if (ask.relay == id) ask.pending = false;
    }
  }
  if (reason == RelayErrc::not_registered && relay.state == State::up) {
    // It has lost our reservation: its sessions are gone with it.
    abandon(now, relay, reason);
    return;
  }
  if (reason == RelayErrc::busy || reason == RelayErrc::redirect) {
    relay.load_percent = message.load_percent;
    on_overloaded(now, relay, message.relays);
    learn_hints(now, relay, message.relays);
  }
}

// Sessions.

void RelayClient::on(Instant /*now*/, Relay& relay, const RelaySession& message) {
  const NodeId& id = relay.hint.id;
  const auto known = sessions_.find(message.session);
  if (known != sessions_.end()) {
    // Repeated; or an id of another relay, which a relay that draws its ids at random never hits.
    if (known->second.relay != id)
      send(id, RelayCloseSession{message.session, RelayCloseReason::by_peer});
  } else if (message.peer == self_ || sessions_.size() >= sessions_max ||
             sessions_over(id) >= sessions_per_relay_max ||
             (message.role == RelayRole::initiator && !dials_.contains(message.peer))) {
    // Too many, or asked for by a dial that is over.
    send(id, RelayCloseSession{message.session, RelayCloseReason::by_peer});
  } else {
    // A second session with a peer over one relay replaces the first.
    for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
      if (it->second.peer != message.peer || it->second.relay != id) continue;
      drop_session(it->first, RelayErrc::evicted);
      break;
    }
    sessions_[message.session] = {message.peer, id, message.role};
    events_.emplace_back(RelaySessionUp{message.peer, id, message.session, message.role});
  }
  const auto dial = dials_.find(message.peer);
  if (dial == dials_.end()) return;
  dial->second.reached = true;
  dial->second.failures = 0;
  std::erase_if(dial->second.asks, [&](const Ask& ask) { return ask.relay == id; });
}

void RelayClient::drop_session(RelaySessionId id, std::error_code reason) {
  const auto found = sessions_.find(id);
  if (found == sessions_.end()) return;
  const Session session = found->second;
  sessions_.erase(found);
  events_.emplace_back(RelaySessionDown{session.peer, session.relay, id, reason});
  // Without any session the search begins anew, at once.
  const auto dial = dials_.find(session.peer);
  if (dial == dials_.end() || session_count(session.peer) > 0) return;
  dial->second.retry_at = never;
  std::erase_if(dial->second.asks, [](const Ask& ask) { return !ask.pending; });
}

void RelayClient::drop_sessions_of(const Relay& relay, std::error_code reason) {
  std::vector<RelaySessionId> ended;
  for (const auto& [id, session] : sessions_) {
    if (session.relay == relay.hint.id) ended.push_back(id);
  }
  for (const RelaySessionId id : ended)
    drop_session(id, reason);
}

void RelayClient::on(Instant now, Relay& relay, const RelayCloseSession& message) {
  const auto found = sessions_.find(message.session);
  if (found == sessions_.end() || found->second.relay != relay.hint.id) return;
  const NodeId peer = found->second.peer;
  const RelayErrc reason = close_error(message.reason);
  drop_session(message.session, reason);
  const auto dial = dials_.find(peer);
  if (dial == dials_.end()) return;
  if (reason != RelayErrc::closed_by_peer) {
    if (dial->second.retry_at == never) dial->second.retry_at = now + jittered(retry_first);
    return;
  }
  // It was said to be over; who wants more asks again. Whoever has done so already and still waits
  // for other relays gets their answer.
  Dial& wanted = dial->second;
  if (std::ranges::none_of(wanted.asks, &Ask::pending)) {
    dials_.erase(dial);
    return;
  }
  wanted.asks.push_back({relay.hint.id, false, now});
  wanted.reached = false;
  wanted.last = reason;
}

void RelayClient::on(Instant /*now*/, Relay& relay, const RelaySignal& message) {
  events_.emplace_back(RelaySignalled{message.node, relay.hint.id, message.data});
}

// Frames.

// A relay follows to the path that its client has moved to, but not at once.
bool RelayClient::comes_from(const Relay& relay, const NetworkPath& path) {
  return same_path(relay.path, path) || same_path(relay.former_path, path);
}

std::optional<RelayArrival> RelayClient::handle_frame(Instant now, const NetworkPath& path,
                                                      ByteView datagram) {
  const auto header = decode_relay_header(datagram);
  if (!header) {
    answer_challenge(now, path, datagram);
    return std::nullopt;
  }
  const auto found = sessions_.find(header->session);
  Relay* relay = found == sessions_.end() ? nullptr : find(found->second.relay);
  if (relay == nullptr || !comes_from(*relay, path) ||
      header->sender != other_end(found->second.role)) {
    ++frames_refused_;
    return std::nullopt;
  }
  if (same_path(relay->path, path)) relay->former_path = {};  // it has followed
  return RelayArrival{found->second.peer, relay->hint.id, header->session, header->epoch,
                      datagram.subspan(relay_header_size)};
}

void RelayClient::answer_challenge(Instant now, const NetworkPath& path, ByteView datagram) {
  const auto challenge = peek_challenge_frame(datagram);
  const auto found = challenge ? sessions_.find(challenge->session) : sessions_.end();
  Relay* relay = found == sessions_.end() ? nullptr : find(found->second.relay);
  if (relay == nullptr || challenge->type != RelayFrameType::challenge ||
      challenge->role != found->second.role || !same_path(relay->path, path) ||
      !relay->answers.allow(now, answer_interval, answer_burst) ||
      !verify_challenge_frame(datagram, relay->key)) {
    ++frames_refused_;
    return;
  }
  ChallengeFrame answer = *challenge;
  answer.type = RelayFrameType::answer;
  (void)answers_.push({path, encode_challenge_frame(answer, relay->key)});  // it counts its drops
}

std::optional<Transmit> RelayClient::poll_transmit(MutableByteView buffer) {
  const auto answer = answers_.pop();
  if (!answer || buffer.size() < answer->bytes.size()) return std::nullopt;
  std::ranges::copy(answer->bytes, buffer.begin());
  return Transmit{answer->to, answer->bytes.size(), answer->bytes.size(), Ecn::not_ect};
}

}  // namespace quicmesh
