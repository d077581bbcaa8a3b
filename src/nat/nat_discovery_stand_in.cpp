#include "nat/nat_discovery_stand_in.hpp"

#include <algorithm>

namespace quicmesh {

void StandInTest::start(Instant now, const Plan& plan) {
  plan_ = plan;
  stage_ = Stage::first;
  open(now, Question::control);
  open(now, Question::stranger);
}

void StandInTest::start_neighbour(Instant now) {
  stage_ = Stage::neighbour;
  open(now, Question::neighbour);
}

void StandInTest::open(Instant now, Question q) {
  state(q).open = true;
  state(q).due = now;
}

void StandInTest::handle_answer(const StandInAnswer& answer) {
  const auto ask = std::ranges::find(asks_, answer.id, &Ask::id);
  if (ask == asks_.end() || ask->answered) return;
  ask->answered = true;
  if (answer.verdict == StandInVerdict::sent) ++state(ask->question).sent;
}

bool StandInTest::handle_packet(const SocketAddress& from, const TransactionId& id) {
  const auto ask = std::ranges::find(asks_, id, &Ask::id);
  if (ask == asks_.end() || from.ip != plan_.node.ip) return false;
  State& heard = state(ask->question);
  heard.heard = true;
  heard.open = false;
  heard.due = never;
  return true;
}

std::optional<StandInRequest> StandInTest::poll_request(Instant now) {
  for (std::size_t i = 0; i < states_.size(); ++i) {
    State& each = states_[i];
    if (!each.open || each.due > now) continue;
    if (each.asked == asks_max) {
      each.open = false;
      each.waited = true;
      each.due = never;
      continue;
    }
    ++each.asked;
    each.due = now + (each.asked == asks_max ? plan_.wait : ask_interval);
    StandInRequest request;
    rng_.fill(request.id.bytes);
    const auto question = static_cast<Question>(i);
    request.port = question == Question::control ? plan_.control_port : plan_.filtering_port;
    asks_.push_back({request.id, question});
    return request;
  }
  return std::nullopt;
}

Instant StandInTest::poll_timeout() const {
  Instant earliest = never;
  for (const State& each : states_) {
    if (each.open) earliest = std::min(earliest, each.due);
  }
  return earliest;
}

Finding StandInTest::finding(Question q) const {
  const State& asked = states_[static_cast<std::size_t>(q)];
  if (asked.heard) return Finding::yes;
  return asked.waited && asked.sent >= sent_min ? Finding::no : Finding::unknown;
}

bool StandInTest::is_settled(Instant now) const {
  return stage_ != Stage::idle && std::ranges::none_of(states_, [&](const State& each) {
           return each.open && (each.asked < asks_max || each.due > now);
         });
}

}  // namespace quicmesh
