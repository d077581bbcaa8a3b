#include "path/path_watch.hpp"

#include <algorithm>

namespace quicmesh {
namespace {

Duration suspicion_after(Duration pto) {
  return std::max(PathWatch::suspicion_min, pto);
}

Duration death_after(Duration pto) {
  return std::max(PathWatch::death_min, PathWatch::death_ptos * pto);
}

Duration payload_suspicion_after(Duration pto) {
  return std::clamp<Duration>(PathWatch::payload_suspicion_ptos * pto,
                              PathWatch::payload_suspicion_min, PathWatch::payload_suspicion_max);
}

Duration payload_death_after(Duration pto) {
  return std::clamp<Duration>(PathWatch::payload_death_ptos * pto, PathWatch::payload_death_min,
                              PathWatch::payload_death_max);
}

Duration since(Instant begin, Instant now) {
  return begin == never ? Duration::zero() : now - begin;
}

}  // namespace

void PathWatch::wait_from(Instant now, bool waiting) {
  waiting_since_ = waiting ? now : never;
}

void PathWatch::sent(Instant now, bool in_flight) {
  if (in_flight && waiting_since_ == never) waiting_since_ = now;
}

void PathWatch::heard(Instant now, bool in_flight, bool with_data) {
  wait_from(now, in_flight || with_data);
}

void PathWatch::suspect(Instant now, Duration pto) {
  waiting_since_ = std::min(waiting_since_, now - suspicion_after(pto));
}

void PathWatch::probe_answered(Instant now, bool in_flight) {
  wait_from(now, in_flight);
}

void PathWatch::switched(Instant now, bool in_flight) {
  wait_from(now, in_flight);
  payload_since_ = never;
  began_ = now;
}

PathWatch::Verdict PathWatch::verdict(Instant now, Duration pto) const {
  const Duration unheard = since(waiting_since_, now);
  const Duration unacknowledged = since(payload_since_, now);
  if (unheard >= death_after(pto) || unacknowledged >= payload_death_after(pto)) {
    return Verdict::dead;
  }
  if (unheard >= suspicion_after(pto) || unacknowledged >= payload_suspicion_after(pto)) {
    return Verdict::suspicious;
  }
  return Verdict::fine;
}

Instant PathWatch::deadline(Instant now, Duration pto) const {
  if (waiting_since_ == never) return never;
  const Instant suspicion = waiting_since_ + suspicion_after(pto);
  return now < suspicion ? suspicion : waiting_since_ + death_after(pto);
}

Instant PathWatch::payload_deadline(Instant now, Duration pto, Instant payload_since) const {
  if (payload_since == never) return never;
  const Instant begin = std::max(payload_since, began_);
  const Instant suspicion = begin + payload_suspicion_after(pto);
  return now < suspicion ? suspicion : begin + payload_death_after(pto);
}

Duration PathWatch::silence(Instant now) const {
  return std::max(since(waiting_since_, now), since(payload_since_, now));
}

}  // namespace quicmesh
