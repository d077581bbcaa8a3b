#include "nat/punch_birthday.hpp"

#include <algorithm>

namespace quicmesh {

void ManySocketsPunch::begin(Instant now) {
  note_begun(now);
  if (!context().attested) return give_up(PunchOutcome::not_attested);
  deadline_ = now + birthday_turn_patience;
  want(WantTurn{});
}

void ManySocketsPunch::handle_turn(Instant now) {
  stage_ = Stage::asking;
  next_round();
  say(PunchMessageType::begin);
  deadline_ = now + accept_patience + context().round_trip;
  at_deadline_ = PunchOutcome::silent_peer;
}

PunchVerdict ManySocketsPunch::on_message(Instant now, const PunchMessage& message) {
  if (message.type != PunchMessageType::accept) return PunchVerdict::refused;
  const PunchVerdict verdict = check_current(message);
  if (verdict != PunchVerdict::taken || stage_ != Stage::asking) return PunchVerdict::late;
  stage_ = Stage::opening;
  at_deadline_ = PunchOutcome::no_sockets;
  deadline_ = now + accept_patience;
  tick(now);
  return verdict;
}

void ManySocketsPunch::tick(Instant now) {
  tick_at_ = now + birthday_tick;
  if (stage_ == Stage::opening) {
    for (unsigned i = 0; i < birthday_packets_per_tick && wanted_ < birthday_sockets; ++i)
      want(WantSocket{static_cast<std::uint32_t>(wanted_++)});
    return;
  }
  for (unsigned i = 0; i < repeats_per_tick; ++i)
    open_from(sockets_[next_repeat_++ % sockets_.size()]);
}

void ManySocketsPunch::open_from(const OpenedSocket& socket) {
  if (packets_ == birthday_packets_max) return;
  ++packets_;
  // Only if it is known that there is one NAT: an opener that dies too early opens nothing, and
  // there is no second round.
  const bool short_way = context().cgnat == Finding::no;
  want(Probe{path_from(socket, context().path.remote.port),
             short_way ? opener_limit() : std::nullopt});
}

void ManySocketsPunch::handle_socket(Instant now, std::uint32_t ticket,
                                     const std::optional<OpenedSocket>& socket) {
  if (stage_ != Stage::opening) return PunchTask::handle_socket(now, ticket, socket);
  ++answered_;
  if (socket) {
    sockets_.push_back(*socket);
    open_from(*socket);
  }
  say_when_out(now);
}

void ManySocketsPunch::say_when_out(Instant now) {
  const bool all_answered = answered_ == birthday_sockets;
  if (all_answered && sockets_.size() < sockets_min) return give_up(PunchOutcome::no_sockets);
  if (all_answered) stage_ = Stage::open;
  if (said_ || (!all_answered && sockets_.size() < openers_before_guessing)) return;
  said_ = true;
  say(PunchMessageType::openers_out, 0, 0, static_cast<std::uint16_t>(sockets_.size()));
  deadline_ = now + birthday_guessing_time + context().round_trip + guess_margin;
  at_deadline_ = PunchOutcome::no_way_through;
}

void ManySocketsPunch::handle_timeout(Instant now) {
  if (now >= deadline_) return give_up(at_deadline_);
  if (now >= tick_at_) tick(now);
}

void RandomPortsPunch::begin(Instant now) {
  note_begun(now);
  if (!context().attested) return end(PunchOutcome::not_attested);
  deadline_ = silent_at();
}

PunchVerdict RandomPortsPunch::on_message(Instant now, const PunchMessage& message) {
  if (message.type == PunchMessageType::begin) {
    if (stage_ != Stage::waiting) return PunchVerdict::late;
    const PunchVerdict verdict = follow(message);
    if (verdict != PunchVerdict::taken) return verdict;
    stage_ = Stage::queued;
    deadline_ = now + birthday_turn_patience;
    at_deadline_ = PunchOutcome::busy;
    want(WantTurn{});
    return verdict;
  }
  if (message.type != PunchMessageType::openers_out) return PunchVerdict::refused;
  const PunchVerdict verdict = check_current(message);
  if (verdict != PunchVerdict::taken || stage_ != Stage::accepted) return PunchVerdict::late;
  stage_ = Stage::guessing;
  at_deadline_ = PunchOutcome::no_way_through;
  deadline_ = now + birthday_guessing_time + context().round_trip + last_margin;
  tick_at_ = now;
  handle_timeout(now);
  return verdict;
}

void RandomPortsPunch::handle_turn(Instant now) {
  stage_ = Stage::accepted;
  say(PunchMessageType::accept);
  deadline_ = now + openers_patience + context().round_trip;
  at_deadline_ = PunchOutcome::silent_peer;
}

void RandomPortsPunch::guess() {
  NetworkPath path = context().path;
  // At most 2,048 of 64,512 are taken, so this ends soon.
  do {
    path.remote.port = static_cast<std::uint16_t>(first_port + rng_.below(0x10000 - first_port));
  } while (guessed_.test(path.remote.port));
  guessed_.set(path.remote.port);
  ++packets_;
  want(Probe{path, std::nullopt});
}

void RandomPortsPunch::handle_timeout(Instant now) {
  if (now >= deadline_) return give_up(at_deadline_);
  if (now < tick_at_) return;
  tick_at_ = now + birthday_tick;
  for (unsigned i = 0; i < birthday_packets_per_tick && packets_ < birthday_packets_max; ++i)
    guess();
  if (packets_ == birthday_packets_max) tick_at_ = never;
}

}  // namespace quicmesh
