#include "relay/relay_server.hpp"

#include <algorithm>
#include <utility>

#include "base/tunnel_path.hpp"

namespace quicmesh {
namespace {

Blake3Key random_key(SecureRng& secure_rng) {
  Blake3Key key{};
  secure_rng.fill(key);
  return key;
}

unsigned percent_of(std::uint64_t value, std::uint64_t limit) {
  if (limit == 0) return 100;
  return static_cast<unsigned>(std::min<std::uint64_t>(value * 100 / limit, 100));
}

}  // namespace

RelayServer::RelayServer(RelayLimits limits, SecureRng& secure_rng)
    : limits_(limits),
      secure_rng_(secure_rng),
      nonces_(random_key(secure_rng)),
      challenge_limit_(secure_rng.next_u64()),
      fair_share_(limits.client_bytes_per_s, limits.total_bytes_per_s),
      quota_(limits.reservations_per_ip, limits.reservations_per_network, limits.address_rules),
      stand_in_(RelayRules::stand_in_limits, secure_rng) {}

// Clients.

Result<void> RelayServer::client_up(Instant now, RelayClientId id, const NodeId& node,
                                    const NetworkPath& path, const RelayKey& key) {
  client_down(id);
  if (by_id_.size() >= limits_.clients) {
    ++counters_.clients_refused;
    return failure(RelayErrc::busy);
  }
  ClientSlot slot = static_cast<ClientSlot>(clients_.size());
  if (free_clients_.empty()) {
    clients_.emplace_back();
  } else {
    slot = free_clients_.back();
    free_clients_.pop_back();
  }
  Client& client = clients_[slot];
  client.id = id;
  client.node = node;
  client.path = path;
  client.seen_at = path.remote;
  client.key = key;
  client.present = true;
  by_id_.emplace(id, slot);
  register_timers_.set(slot, now + RelayRules::register_within);
  return {};
}

std::optional<RelayServer::ClientSlot> RelayServer::find_client(RelayClientId id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return found->second;
}

std::optional<RelayServer::ClientSlot> RelayServer::find_node(const NodeId& node) const {
  const auto found = by_node_.find(node);
  if (found == by_node_.end()) return std::nullopt;
  return found->second;
}

void RelayServer::client_path_changed(RelayClientId id, const NetworkPath& path) {
  const auto slot = find_client(id);
  if (slot && clients_[*slot].path != path) bind(clients_[*slot], path);
}

void RelayServer::client_seen_at(RelayClientId id, const SocketAddress& address) {
  if (const auto slot = find_client(id)) clients_[*slot].seen_at = address;
}

void RelayServer::client_backlog(RelayClientId id, std::size_t unsent_bytes) {
  const auto slot = find_client(id);
  if (!slot) return;
  clients_[*slot].backed_up = unsent_bytes > RelayRules::signal_backlog_max_bytes;
  if (unsent_bytes <= RelayRules::control_backlog_max_bytes) return;
  ++counters_.slow_readers;
  disconnect(*slot, RelayErrc::slow_down);
}

void RelayServer::client_down(RelayClientId id) {
  if (const auto slot = find_client(id)) remove_client(*slot);
}

void RelayServer::remove_client(ClientSlot slot) {
  Client& client = clients_[slot];
  while (!client.sessions.empty())
    close_session(client.sessions.back(), RelayCloseReason::peer_gone, slot);
  if (client.registered) {
    quota_.release(client.path.remote.ip);
    by_node_.erase(client.node);
  }
  by_id_.erase(client.id);
  register_timers_.erase(slot);
  client = Client{};
  free_clients_.push_back(slot);
}

void RelayServer::disconnect(ClientSlot slot, RelayErrc reason) {
  outputs_.emplace_back(RelayDisconnect{clients_[slot].id, reason});
  remove_client(slot);
}

void RelayServer::send(const Client& client, RelayMessage message) {
  outputs_.emplace_back(RelaySend{client.id, std::move(message)});
}

// Requests.

void RelayServer::handle_message(Instant now, RelayClientId id, const RelayMessage& message) {
  const auto slot = find_client(id);
  if (!slot) return;
  if (!clients_[*slot].messages.allow(now, RelayRules::message_interval,
                                      RelayRules::message_burst)) {
    ++counters_.messages_dropped;
    return;
  }
  std::visit([&](const auto& known) { on(now, *slot, known); }, message);
}

template <class NotForRelays>
void RelayServer::on(Instant /*now*/, ClientSlot slot, const NotForRelays& /*message*/) {
  ++counters_.messages_out_of_place;
  disconnect(slot, RelayErrc::out_of_place);
}

void RelayServer::refuse(Instant now, const Client& client, RelayRequest request,
                         const NodeId& target, RelayRefusal reason) {
  RelayRefused refused{request, target, reason, static_cast<std::uint8_t>(load_percent(now)), {}};
  if (reason == RelayRefusal::busy && !other_relays_.empty()) {
    refused.reason = RelayRefusal::redirect;
    // A different few each time, so that one relay's load does not become another's.
    const std::size_t start = secure_rng_.next_u64() % other_relays_.size();
    const std::size_t count = std::min(other_relays_.size(), relay_hints_max);
    for (std::size_t i = 0; i < count; ++i)
      refused.relays.push_back(other_relays_[(start + i) % other_relays_.size()]);
  }
  send(client, std::move(refused));
}

bool RelayServer::is_full(Instant now) const {
  return draining_ ||
         percent_of(fair_share_.measured(now), fair_share_.total_max()) >= RelayRules::busy_percent;
}

void RelayServer::on(Instant now, ClientSlot slot, const RelayRegister& /*message*/) {
  const Client& client = clients_[slot];
  if (!client.registered) {
    // One reservation for a node: the newest connection has it.
    if (const auto former = find_node(client.node)) disconnect(*former, RelayErrc::replaced);
    if (is_full(now) || by_node_.size() >= limits_.reservations) {
      ++counters_.reservations_refused;
      return refuse(now, client, RelayRequest::reservation, {}, RelayRefusal::busy);
    }
    if (!quota_.reserve(client.path.remote.ip))
      return refuse(now, client, RelayRequest::reservation, {}, RelayRefusal::quota);
    clients_[slot].registered = true;
    by_node_.emplace(client.node, slot);
    register_timers_.erase(slot);
  }
  RelayRegistered answer;
  answer.observed = client.seen_at;
  answer.bytes_per_s = limits_.client_bytes_per_s;
  answer.sessions =
      static_cast<std::uint16_t>(std::min<std::size_t>(limits_.sessions_per_client, 65'535));
  answer.load_percent = static_cast<std::uint8_t>(load_percent(now));
  send(client, answer);
}

void RelayServer::on(Instant now, ClientSlot slot, const RelayConnect& message) {
  Client& client = clients_[slot];
  const auto refused = [&](RelayRefusal reason) {
    refuse(now, client, RelayRequest::session, message.target, reason);
  };
  if (!client.registered) return refused(RelayRefusal::not_registered);
  if (!client.connects.allow(now, RelayRules::connect_interval, RelayRules::connect_burst)) {
    ++counters_.connects_refused;
    return refused(RelayRefusal::slow_down);
  }
  const auto target = find_node(message.target);
  if (!target || *target == slot) return refused(RelayRefusal::not_here);
  if (repeat_session(slot, *target)) return;
  if (is_full(now) || by_session_.size() >= limits_.sessions) {
    ++counters_.sessions_refused;
    return refused(RelayRefusal::busy);
  }
  if (client.sessions.size() >= limits_.sessions_per_client || !make_room(now, *target)) {
    ++counters_.client_sessions_refused;
    return refused(RelayRefusal::quota);
  }
  open_session(now, slot, *target);
}

bool RelayServer::repeat_session(ClientSlot slot, ClientSlot peer) {
  for (const SessionSlot index : clients_[slot].sessions) {
    const Session& session = sessions_[index];
    if (session.ends[0] != peer && session.ends[1] != peer) continue;
    const RelayRole role = session.ends[0] == slot ? RelayRole::initiator : RelayRole::responder;
    send(clients_[slot], RelaySession{session.id, clients_[peer].node, role});
    return true;
  }
  return false;
}

// A client whose sessions are all taken by callers whom it never answered is not thereby cut off:
// the one unused for longest gives way, unless it is young. O(sessions of the client).
bool RelayServer::make_room(Instant now, ClientSlot slot) {
  const Client& client = clients_[slot];
  if (client.sessions.size() < limits_.sessions_per_client) return true;
  std::optional<SessionSlot> oldest;
  for (const SessionSlot index : client.sessions) {
    const Session& session = sessions_[index];
    const std::size_t end = session.ends[0] == slot ? 0 : 1;
    if (session.sent[end] || now - session.created < RelayRules::session_young) continue;
    if (!oldest || session.used < sessions_[*oldest].used) oldest = index;
  }
  if (!oldest) return false;
  ++counters_.sessions_evicted;
  close_session(*oldest, RelayCloseReason::evicted, std::nullopt);
  return true;
}

void RelayServer::open_session(Instant now, ClientSlot initiator, ClientSlot responder) {
  SessionSlot slot = static_cast<SessionSlot>(sessions_.size());
  if (free_sessions_.empty()) {
    sessions_.emplace_back();
  } else {
    slot = free_sessions_.back();
    free_sessions_.pop_back();
  }
  Session& session = sessions_[slot];
  session = Session{};
  do {
    session.id = RelaySessionId{secure_rng_.next_u64()};
  } while (by_session_.contains(session.id));
  session.ends = {initiator, responder};
  session.created = now;
  session.used = now;
  by_session_.emplace(session.id, slot);
  session_timers_.set(slot, now + RelayRules::session_idle_max);
  for (const ClientSlot end : session.ends)
    clients_[end].sessions.push_back(slot);
  send(clients_[initiator],
       RelaySession{session.id, clients_[responder].node, RelayRole::initiator});
  send(clients_[responder],
       RelaySession{session.id, clients_[initiator].node, RelayRole::responder});
}

// Both ends are told, but for the one that is `silent`.
void RelayServer::close_session(SessionSlot slot, RelayCloseReason reason,
                                std::optional<ClientSlot> silent) {
  const Session& session = sessions_[slot];
  for (const ClientSlot end : session.ends) {
    std::erase(clients_[end].sessions, slot);
    if (silent != end) send(clients_[end], RelayCloseSession{session.id, reason});
  }
  by_session_.erase(session.id);
  session_timers_.erase(slot);
  free_sessions_.push_back(slot);
}

void RelayServer::on(Instant now, ClientSlot slot, const RelaySignal& message) {
  Client& client = clients_[slot];
  const auto refused = [&](RelayRefusal reason) {
    ++counters_.signals_dropped;
    refuse(now, client, RelayRequest::signal, message.node, reason);
  };
  if (!client.registered) return refused(RelayRefusal::not_registered);
  if (!client.signals_sent.allow(now, RelayRules::signal_sent_interval,
                                 RelayRules::signal_sent_burst)) {
    return refused(RelayRefusal::slow_down);
  }
  const auto target = find_node(message.node);
  if (!target || *target == slot) return refused(RelayRefusal::not_here);
  Client& receiver = clients_[*target];
  if (receiver.backed_up ||
      !receiver.signals_received.allow(now, RelayRules::signal_received_interval,
                                       RelayRules::signal_received_burst)) {
    return refused(RelayRefusal::slow_down);
  }
  ++counters_.signals;
  send(receiver, RelaySignal{client.node, message.data});
}

void RelayServer::on(Instant now, ClientSlot slot, const RelayLoadQuery& message) {
  send(clients_[slot], RelayLoad{message.token, static_cast<std::uint8_t>(load_percent(now))});
}

void RelayServer::on(Instant /*now*/, ClientSlot slot, const RelayCloseSession& message) {
  const auto found = by_session_.find(message.session);
  if (found == by_session_.end()) return;
  const Session& session = sessions_[found->second];
  if (session.ends[0] != slot && session.ends[1] != slot) {
    ++counters_.messages_out_of_place;
    return;
  }
  close_session(found->second, RelayCloseReason::by_peer, slot);
}

// An end that asks may be asked about: one that wants to stay behind its relay never does. Few
// questions for each session, so that nobody finds out an address by asking for one after another.
void RelayServer::on(Instant /*now*/, ClientSlot slot, const RelayAttest& message) {
  const auto found = by_session_.find(message.session);
  if (found == by_session_.end()) return;
  Session& session = sessions_[found->second];
  if (session.ends[0] != slot && session.ends[1] != slot) {
    ++counters_.messages_out_of_place;
    return;
  }
  Session::Attest& asked = session.attests[session.ends[0] == slot ? 0 : 1];
  if (asked.count >= attests_max) {
    ++counters_.attests_dropped;
    return;
  }
  ++counters_.attests;
  ++asked.count;
  asked.waiting = message.external;
  if (session.attests[0].count == 0 || session.attests[1].count == 0) return;
  for (const std::size_t end : {0, 1}) {
    auto& waiting = session.attests[end].waiting;
    if (!waiting) continue;
    const bool seen = clients_[session.ends[1 - end]].path.remote.ip == waiting->ip;
    send(clients_[session.ends[end]], RelayAttested{message.session, *waiting, seen});
    waiting.reset();
  }
}

// Only the port is the client's choice: the packet goes to the address to which it is bound.
void RelayServer::on(Instant now, ClientSlot slot, const RelayStandIn& message) {
  const Client& client = clients_[slot];
  // A tunnel's remote address is what it is for TCP, and says nothing of UDP.
  const IpAddress seen_at =
      is_tunnelled(client.path) ? IpAddress::any(IpFamily::v4) : client.path.remote.ip;
  StandIn::Decision decision = stand_in_.decide(now, seen_at, message.request);
  if (decision.send_to) {
    NetworkPath to = client.path;
    to.remote = *decision.send_to;
    if (!stand_ins_.push({to, make_stand_in_packet(decision.answer.id)})) {
      decision.answer.verdict = StandInVerdict::refused_rate;
    }
  }
  send(client, RelayStoodIn{decision.answer});
}

// The rest.

std::optional<RelayServerOutput> RelayServer::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  std::optional<RelayServerOutput> output(std::move(outputs_.front()));
  outputs_.pop_front();
  return output;
}

void RelayServer::handle_timeout(Instant now) {
  while (const auto due = register_timers_.pop_due(now)) {
    ++counters_.never_registered;
    disconnect(due->handle, RelayErrc::not_registered);
  }
  while (const auto due = session_timers_.pop_due(now)) {
    const Instant expires = sessions_[due->handle].used + RelayRules::session_idle_max;
    if (expires > now) {
      session_timers_.set(due->handle, expires);
      continue;
    }
    ++counters_.sessions_expired;
    close_session(due->handle, RelayCloseReason::idle, std::nullopt);
  }
}

Instant RelayServer::poll_timeout() const {
  return std::min(register_timers_.earliest(), session_timers_.earliest());
}

void RelayServer::set_other_relays(std::span<const RelayHint> relays) {
  const auto taken = relays.first(std::min(relays.size(), other_relays_max));
  other_relays_.assign(taken.begin(), taken.end());
}

void RelayServer::drain() {
  draining_ = true;
  const std::size_t count = std::min(other_relays_.size(), relay_hints_max);
  const std::vector<RelayHint> hints(other_relays_.begin(),
                                     other_relays_.begin() + static_cast<std::ptrdiff_t>(count));
  for (const Client& client : clients_) {
    if (client.present) send(client, RelayDraining{hints});
  }
}

unsigned RelayServer::load_percent(Instant now) const {
  if (draining_) return 100;
  return std::max({percent_of(by_node_.size(), limits_.reservations),
                   percent_of(by_session_.size(), limits_.sessions),
                   percent_of(fair_share_.measured(now), fair_share_.total_max())});
}

std::vector<RelayTableRow> RelayServer::table(Instant now) const {
  const Counters& c = counters_;
  const auto& stood_in = stand_in_.counters().by_verdict;
  const std::uint64_t per_ip = limits_.reservations_per_ip;
  const std::uint64_t per_network = limits_.reservations_per_network;
  return {
      {"clients", by_id_.size(), limits_.clients, c.clients_refused},
      {"unregistered clients", by_id_.size() - by_node_.size(), 0, c.never_registered},
      {"reservations", by_node_.size(), limits_.reservations, c.reservations_refused},
      {"public addresses", quota_.ips(), per_ip, quota_.refused_by_ip()},
      {"public networks", quota_.networks(), per_network, quota_.refused_by_network()},
      {"sessions", by_session_.size(), limits_.sessions, c.sessions_refused},
      {"sessions of a client", 0, limits_.sessions_per_client, c.client_sessions_refused},
      {"sessions evicted", c.sessions_evicted, 0, c.sessions_evicted},
      {"sessions expired", c.sessions_expired, 0, c.sessions_expired},
      {"bytes a second", fair_share_.measured(now), fair_share_.total_max(),
       dropped(RelayDrop::over_rate)},
      {"datagrams forwarded", c.forwarded, 0, 0},
      {"datagrams malformed", 0, 0, dropped(RelayDrop::malformed)},
      {"datagrams of no session", 0, 0, dropped(RelayDrop::unknown_session)},
      {"datagrams from elsewhere", 0, 0, dropped(RelayDrop::unbound_source)},
      {"messages", 0, RelayRules::message_burst, c.messages_dropped},
      {"messages out of place", 0, 0, c.messages_out_of_place},
      {"connect requests", 0, RelayRules::connect_burst, c.connects_refused},
      {"attestations", c.attests, attests_max, c.attests_dropped},
      {"signals", c.signals, RelayRules::signal_sent_burst, c.signals_dropped},
      {"slow readers", 0, RelayRules::control_backlog_max_bytes, c.slow_readers},
      {"challenges", c.challenges, ChallengeLimit::total_burst, c.challenges_dropped},
      {"stand-ins", stood_in[0], stand_ins_queued_max, stood_in[1] + stood_in[2] + stood_in[3]},
      {"rebindings", c.rebindings, 0, c.answers_refused},
  };
}

}  // namespace quicmesh
