// RelayClient: the relays. Sessions are in relay_client_sessions.cpp.
#include "relay/relay_client.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/tunnel_path.hpp"

namespace quicmesh {

RelayClient::Relay* RelayClient::find(const NodeId& id) {
  const auto found =
      std::ranges::find_if(relays_, [&](const Relay& relay) { return relay.hint.id == id; });
  return found == relays_.end() ? nullptr : &*found;
}

const RelayClient::Relay* RelayClient::find(const NodeId& id) const {
  return const_cast<RelayClient*>(this)->find(id);
}

std::size_t RelayClient::up_count() const {
  return static_cast<std::size_t>(std::ranges::count_if(relays_, [](const Relay& relay) {
    return relay.state == State::up && !relay.draining && !relay.of_peer;
  }));
}

bool RelayClient::is_main(const NodeId& relay) const {
  return choice_.home == relay || choice_.standby == relay;
}

bool RelayClient::wanted(const Relay& relay) const {
  if (surveying_ || is_main(relay.hint.id)) return true;
  // One that drains serves its sessions to the end and is not gone back to.
  if (!relay.draining && !relay.of_peer && up_count() < kept_max) return true;
  if (sessions_over(relay.hint.id) > 0) return true;
  return std::ranges::any_of(dials_, [&](const auto& dial) {
    return std::ranges::any_of(dial.second.asks, [&](const Ask& ask) {
      return ask.pending && ask.relay == relay.hint.id;
    });
  });
}

Duration RelayClient::jittered(Duration wait) {
  return rng_.between(wait * 4 / 5, wait * 6 / 5);
}

void RelayClient::send(const NodeId& relay, RelayMessage message) {
  outputs_.emplace_back(RelaySendTo{relay, std::move(message)});
}

// Commands.

Result<void> RelayClient::add_relay(Instant now, const RelayHint& relay, RelayUse use) {
  if (Relay* known = find(relay.id)) {
    if (use == RelayUse::of_peer) return {};
    known->hint = relay;
    known->configured = true;
    known->of_peer = false;
    return {};
  }
  if (relays_.size() >= relays_max) {
    const auto hinted = std::ranges::find_if(relays_, [](const Relay& other) {
      return !other.configured && (other.state == State::idle || other.state == State::waiting);
    });
    if (hinted == relays_.end()) return failure(RelayErrc::too_many);
    relays_.erase(hinted);
  }
  Relay added;
  added.hint = relay;
  added.configured = use == RelayUse::own;
  added.of_peer = use == RelayUse::of_peer;
  relays_.push_back(std::move(added));
  // Whatever was measured before, the new one is to be compared.
  surveying_ = true;
  survey_at_ = now + survey_patience;
  plan(now);
  return {};
}

void RelayClient::remove_relay(Instant now, const NodeId& id) {
  Relay* relay = find(id);
  if (relay == nullptr) return;
  drop_sessions_of(*relay, RelayErrc::closed_here);
  forget_asks(id);
  if (relay->state != State::idle && relay->state != State::waiting) shut(*relay);
  std::erase_if(relays_, [&](const Relay& other) { return other.hint.id == id; });
  plan(now);
}

// It may see this node elsewhere.
void RelayClient::register_again(Relay& relay) {
  relay.asked_again = true;
  send(relay.hint.id, RelayRegister{});
}

void RelayClient::network_changed(Instant now) {
  for (Relay& relay : relays_) {
    relay.failures = 0;
    if (relay.state == State::waiting) relay.state = State::idle;
    if (relay.state != State::up) continue;
    ask_load(now, relay, query_patience, unanswered_max);
    register_again(relay);
  }
  for (auto& [peer, dial] : dials_) {
    dial.failures = 0;
    if (dial.retry_at != never) dial.retry_at = now;
  }
  surveying_ = true;
  survey_at_ = now + survey_patience;
  plan(now);
}

void RelayClient::check(Instant now, const NodeId& id) {
  Relay* relay = find(id);
  if (relay == nullptr || relay->state != State::up || relay->query) return;
  ask_load(now, *relay, query_patience, unanswered_max);
}

void RelayClient::suspect(Instant now, const NodeId& id) {
  Relay* relay = find(id);
  if (relay == nullptr || relay->state != State::up) return;
  if (relay->query && relay->query->unanswered_max == 1) return;
  const Duration patience = 3 * relay->rtt.value_or(suspect_patience_min);
  ask_load(now, *relay, std::max<Duration>(patience, suspect_patience_min), 1);
}

// The control connection.

void RelayClient::open(Instant now, Relay& relay) {
  relay.state = State::opening;
  relay.due = now + open_patience;
  outputs_.emplace_back(RelayOpen{relay.hint});
}

void RelayClient::control_up(Instant now, const NodeId& id, const NetworkPath& path,
                             const RelayKey& key) {
  Relay* relay = find(id);
  if (relay == nullptr || relay->state != State::opening) {
    outputs_.emplace_back(RelayShut{id});
    return;
  }
  relay->path = path;
  relay->former_path = {};
  relay->key = key;
  relay->state = State::registering;
  relay->due = now + register_patience;
  send(id, RelayRegister{});
}

void RelayClient::control_path_changed(const NodeId& id, const NetworkPath& path) {
  Relay* relay = find(id);
  if (relay == nullptr) return;
  relay->former_path = std::exchange(relay->path, path);
  // What it saw of a tunnel is no address for peers, and the other way round.
  const bool other_leg = is_tunnelled(relay->former_path) != is_tunnelled(path);
  if (other_leg && relay->state == State::up) register_again(*relay);
}

void RelayClient::control_down(Instant now, const NodeId& id) {
  Relay* relay = find(id);
  if (relay == nullptr || relay->state == State::idle || relay->state == State::waiting) return;
  fail(now, *relay, RelayErrc::relay_lost);
  plan(now);
}

void RelayClient::shut(Relay& relay) {
  outputs_.emplace_back(RelayShut{relay.hint.id, true});
  relay.state = State::idle;
  relay.due = never;
  relay.query.reset();
  relay.draining = false;
}

// The relay does not serve: its sessions end, and it is tried again later. The connection is gone
// or has been given up by the caller.
void RelayClient::fail(Instant now, Relay& relay, RelayErrc reason, Duration wait_min) {
  const bool was_up = relay.state == State::up;
  if (was_up && now - relay.up_since >= stable_after) relay.failures = 0;
  if (was_up || relay.failures == 0) events_.emplace_back(RelayDown{relay.hint.id, reason});
  const unsigned doublings = std::min(relay.failures, 16u);
  const Duration wait = std::min<Duration>(retry_first * (1 << doublings), retry_max);
  ++relay.failures;
  relay.state = State::waiting;
  relay.due = now + jittered(std::max(wait, wait_min));
  relay.query.reset();
  relay.rtt.reset();
  relay.draining = false;
  relay.overloaded_until.reset();
  drop_sessions_of(relay, reason);
  forget_asks(relay.hint.id);
}

void RelayClient::abandon(Instant now, Relay& relay, RelayErrc reason, Duration wait_min) {
  outputs_.emplace_back(RelayShut{relay.hint.id});
  fail(now, relay, reason, wait_min);
}

// Questions about the load.

void RelayClient::ask_load(Instant now, Relay& relay, Duration patience,
                           unsigned unanswered_max_now) {
  const auto token = static_cast<std::uint32_t>(rng_.next());
  const Duration doubt = std::max<Duration>(doubt_after, 3 * relay.rtt.value_or(Duration{}));
  relay.query =
      Query{token, now, now + patience, unanswered_max_now, now + std::min(doubt, patience)};
  relay.due = never;
  send(relay.hint.id, RelayLoadQuery{token});
}

void RelayClient::on_query_unanswered(Instant now, Relay& relay) {
  ++relay.unanswered;
  if (relay.unanswered < relay.query->unanswered_max) {
    ask_load(now, relay, query_patience, unanswered_max);
    return;
  }
  abandon(now, relay, RelayErrc::relay_silent);
}

void RelayClient::on(Instant now, Relay& relay, const RelayLoad& message) {
  if (!relay.query || relay.query->token != message.token) return;
  const Duration rtt = now - relay.query->sent_at;
  // RFC 6298's smoothing with a quarter, since there are few samples.
  relay.rtt = relay.rtt ? (*relay.rtt * 3 + rtt) / 4 : rtt;
  relay.load_percent = message.load_percent;
  relay.query.reset();
  relay.unanswered = 0;
  relay.due = now + jittered(query_interval);
  if (message.load_percent >= relay_overloaded_percent) {
    on_overloaded(now, relay, {});
  } else if (relay.overloaded_until && now >= *relay.overloaded_until) {
    relay.overloaded_until.reset();
    events_.emplace_back(RelayRelieved{relay.hint.id});
  }
}

void RelayClient::on_overloaded(Instant now, Relay& relay, std::vector<RelayHint> alternatives) {
  const bool known = relay.overloaded_until.has_value();
  relay.overloaded_until = now + overloaded_for;
  if (known) return;
  events_.emplace_back(RelayOverloaded{relay.hint.id, relay.load_percent, std::move(alternatives)});
}

// Messages.

void RelayClient::handle_message(Instant now, const NodeId& id, const RelayMessage& message) {
  Relay* relay = find(id);
  if (relay == nullptr || (relay->state != State::registering && relay->state != State::up)) return;
  // Before the reservation a relay has nothing to say but yes or no.
  if (relay->state == State::registering && !std::holds_alternative<RelayRegistered>(message) &&
      !std::holds_alternative<RelayRefused>(message)) {
    return;
  }
  std::visit([&](const auto& known) { on(now, *relay, known); }, message);
  plan(now);
}

template <class NotForClients>
void RelayClient::on(Instant now, Relay& relay, const NotForClients& /*message*/) {
  abandon(now, relay, RelayErrc::out_of_place, refused_wait);
}

void RelayClient::on(Instant now, Relay& relay, const RelayRegistered& message) {
  const bool asked = relay.state == State::registering || std::exchange(relay.asked_again, false);
  if (!asked) return;
  const bool moved = std::exchange(relay.observed, message.observed) != message.observed;
  if (relay.state != State::registering) {
    if (moved) {
      events_.emplace_back(RelayUp{relay.hint.id, message.observed, is_tunnelled(relay.path)});
    }
    return;
  }
  relay.state = State::up;
  std::erase_if(hinted_addresses_,
                [&](const HintedAddress& one) { return one.ip == relay.path.remote.ip; });
  relay.up_since = now;
  relay.unanswered = 0;
  relay.load_percent = message.load_percent;
  events_.emplace_back(RelayUp{relay.hint.id, message.observed, is_tunnelled(relay.path)});
  ask_load(now, relay, query_patience, unanswered_max);
  forget_asks(relay.hint.id);  // those that waited for it to be up
}

void RelayClient::on(Instant now, Relay& relay, const RelayRefused& message) {
  switch (message.request) {
    case RelayRequest::session:
      return on_session_refused(now, relay, message);
    case RelayRequest::signal:
      events_.emplace_back(
          RelaySignalFailed{message.target, relay.hint.id, static_cast<RelayErrc>(message.reason)});
      return;
    case RelayRequest::reservation:
      break;
  }
  if (relay.state != State::registering) return;
  const NodeId id = relay.hint.id;
  const auto reason = static_cast<RelayErrc>(message.reason);
  if (reason == RelayErrc::busy || reason == RelayErrc::redirect)
    events_.emplace_back(RelayOverloaded{id, message.load_percent, message.relays});
  abandon(now, relay, reason, refused_wait);
  learn_hints(now, relay, message.relays);
}

void RelayClient::on(Instant now, Relay& relay, const RelayDraining& message) {
  if (relay.state != State::up) return;
  relay.draining = true;
  relay.load_percent = 100;
  on_overloaded(now, relay, message.relays);
  learn_hints(now, relay, message.relays);
}

bool RelayClient::rests(Instant now, const IpAddress& ip) const {
  return std::ranges::any_of(hinted_addresses_, [&](const HintedAddress& one) {
    return one.ip == ip && now - one.since < hint_rest;
  });
}

// One address of each family, so that no hint is many dials.
std::optional<RelayHint> RelayClient::usable(Instant now, const Relay& from,
                                             const RelayHint& hint) const {
  if (hint.id == self_ || find(hint.id) != nullptr) return std::nullopt;
  const AddressScope realm = scope_of(from.path.remote.ip, rules_);
  RelayHint kept;
  kept.id = hint.id;
  // TCP to what a relay names is for those alone who have no other way.
  if (!is_tunnelled(from.path)) kept.tls_port = 0;
  for (const SocketAddress& address : hint.addresses) {
    const AddressScope scope = scope_of(address.ip, rules_);
    if (address.port < hint_port_min && address.port != hint_port) continue;
    if (scope == AddressScope::unusable) continue;
    if (scope != AddressScope::public_internet && scope != realm) continue;
    // The relay's own host could ask for packets itself.
    if (address.ip != from.path.remote.ip && rests(now, address.ip)) continue;
    const bool another = std::ranges::any_of(kept.addresses, [&](const SocketAddress& one) {
      return one.ip.family() == address.ip.family();
    });
    if (!another) kept.addresses.push_back(address);
  }
  if (kept.addresses.empty()) return std::nullopt;
  return kept;
}

// `from` is not valid any more afterwards.
void RelayClient::learn_hints(Instant now, Relay& from, const std::vector<RelayHint>& hints) {
  auto room =
      hinted_max - std::min<std::size_t>(hinted_max, static_cast<std::size_t>(std::ranges::count(
                                                         relays_, false, &Relay::configured)));
  room = std::min(room, relays_max - std::min(relays_max, relays_.size()));
  std::vector<Relay> learnt;
  for (const RelayHint& hint : hints) {
    if (learnt.size() >= room) break;
    const auto kept = usable(now, from, hint);
    const auto same = [&](const Relay& one) { return one.hint.id == hint.id; };
    if (!kept || std::ranges::any_of(learnt, same)) continue;
    if (!from.hints.allow(now, hints_interval, hints_burst)) break;
    learnt.emplace_back().hint = *kept;
    for (const SocketAddress& address : kept->addresses) {
      if (hinted_addresses_.size() >= hinted_addresses_max) hinted_addresses_.pop_front();
      hinted_addresses_.push_back({address.ip, now});
    }
  }
  std::ranges::move(learnt, std::back_inserter(relays_));
}

// What to do next.

void RelayClient::plan_choice() {
  std::vector<RelayCandidate> candidates;
  bool measuring = false;
  for (const Relay& relay : relays_) {
    if (relay.of_peer) continue;
    const bool usable = relay.state == State::up && !relay.draining;
    candidates.push_back({relay.hint.id, relay.rtt, relay.load_percent, usable});
    measuring = measuring || relay.state == State::opening || relay.state == State::registering ||
                (usable && !relay.rtt);
  }
  // The first choice waits for the end of the first survey: one who is first to be up is not
  // therefore the nearest. A home that is lost is replaced at once.
  const Relay* home = choice_.home ? find(*choice_.home) : nullptr;
  const bool lost = choice_.home && (home == nullptr || home->state != State::up);
  if (surveying_ && measuring && !lost) return;
  const RelayChoice choice = choose_relays(candidates, choice_);
  if (choice == choice_) return;
  choice_ = choice;
  retry_dials();
  events_.emplace_back(RelaysChosen{choice});
}

void RelayClient::plan_survey(Instant now) {
  if (relays_.empty()) {
    surveying_ = false;
    survey_at_ = never;
    return;
  }
  if (!surveying_ && survey_at_ <= now) {
    surveying_ = true;
    survey_at_ = now + survey_patience;
  }
  if (!surveying_) return;
  const bool busy = std::ranges::any_of(relays_, [](const Relay& relay) {
    return relay.state == State::opening || relay.state == State::registering ||
           relay.state == State::idle || (relay.state == State::up && !relay.rtt);
  });
  if (busy && now < survey_at_) return;
  surveying_ = false;
  survey_at_ = now + jittered(survey_interval);
}

void RelayClient::plan(Instant now) {
  plan_survey(now);
  plan_choice();
  pursue_all(now);
  for (Relay& relay : relays_) {
    if (relay.state == State::idle && wanted(relay)) open(now, relay);
    if (relay.state == State::up && !wanted(relay)) {
      shut(relay);
      events_.emplace_back(RelayDown{relay.hint.id, RelayErrc::closed_here});
    }
  }
  // Relays that others named and that are of no use are forgotten.
  std::erase_if(relays_, [&](const Relay& relay) {
    if (relay.configured) return false;
    return relay.failures > 0 || (relay.state == State::idle && !wanted(relay));
  });
}

// Timers.

void RelayClient::on_relay_due(Instant now, Relay& relay) {
  relay.due = never;
  switch (relay.state) {
    case State::idle:
      break;
    case State::waiting:
      relay.state = State::idle;
      break;
    case State::opening:
    case State::registering:
      abandon(now, relay, RelayErrc::no_answer);
      break;
    case State::up:
      ask_load(now, relay, query_patience, unanswered_max);
      break;
  }
}

void RelayClient::handle_timeout(Instant now) {
  for (Relay& relay : relays_) {
    if (relay.query && relay.query->doubt_at <= now) {
      relay.query->doubt_at = never;
      outputs_.emplace_back(RelayDoubt{relay.hint});
    }
    if (relay.query && relay.query->answer_by <= now) on_query_unanswered(now, relay);
    if (relay.due <= now) on_relay_due(now, relay);
  }
  for (auto& [peer, dial] : dials_)
    on_dial_due(now, dial);
  plan(now);
}

Instant RelayClient::poll_timeout() const {
  Instant earliest = survey_at_;
  for (const Relay& relay : relays_) {
    earliest = std::min(earliest, relay.due);
    if (relay.query) {
      earliest = std::min({earliest, relay.query->answer_by, relay.query->doubt_at});
    }
  }
  for (const auto& [peer, dial] : dials_) {
    earliest = std::min(earliest, dial.retry_at);
    for (const Ask& ask : dial.asks) {
      if (ask.pending) earliest = std::min(earliest, ask.answer_by);
    }
  }
  return earliest;
}

std::optional<RelayClientOutput> RelayClient::poll_output() {
  if (outputs_.empty()) return std::nullopt;
  std::optional<RelayClientOutput> output(std::move(outputs_.front()));
  outputs_.pop_front();
  return output;
}

std::optional<RelayEvent> RelayClient::poll_event() {
  if (events_.empty()) return std::nullopt;
  std::optional<RelayEvent> event(std::move(events_.front()));
  events_.pop_front();
  return event;
}

std::vector<RelayReport> RelayClient::relays() const {
  std::vector<RelayReport> reports;
  for (const Relay& relay : relays_) {
    RelayReport report{relay.hint.id, relay.configured, relay.state == State::up, relay.rtt,
                       relay.load_percent};
    report.sessions = sessions_over(relay.hint.id);
    report.of_peer = relay.of_peer;
    reports.push_back(report);
  }
  return reports;
}

}  // namespace quicmesh
