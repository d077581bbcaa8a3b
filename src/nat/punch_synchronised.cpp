#include "nat/punch_synchronised.hpp"

#include <algorithm>

namespace quicmesh {

void SynchronisedPunch::begin(Instant now) {
  note_begun(now);
  if (const auto limit = opener_limit()) probe_main(limit);
  if (context().leads) start_round(now);
}

void SynchronisedPunch::start_round(Instant now) {
  if (rounds() >= synchronised_rounds_max) return give_up(PunchOutcome::no_way_through);
  next_round();
  say(PunchMessageType::begin);
  probes_at_ = now + context().round_trip / 2;
  round_end_ = probes_at_ + ProbeTimes::times.back() + context().round_trip + round_margin;
}

void SynchronisedPunch::start_probes(Instant now) {
  probes_at_ = never;
  probes_.start(now);
  if (probes_.take(now)) probe_main();
}

PunchVerdict SynchronisedPunch::on_message(Instant now, const PunchMessage& message) {
  if (context().leads || message.type != PunchMessageType::begin) return PunchVerdict::refused;
  const PunchVerdict verdict = follow(message);
  if (verdict == PunchVerdict::taken) start_probes(now);
  return verdict;
}

void SynchronisedPunch::handle_timeout(Instant now) {
  if (probes_.take(now)) probe_main();
  if (now >= probes_at_) start_probes(now);
  if (context().leads && now >= round_end_) return start_round(now);
  if (!context().leads && now >= silent_at()) {
    end(was_heard() ? PunchOutcome::no_way_through : PunchOutcome::silent_peer);
  }
}

Instant SynchronisedPunch::poll_timeout() const {
  const Instant end = context().leads ? round_end_ : silent_at();
  return std::min({probes_.due(), probes_at_, end});
}

}  // namespace quicmesh
