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

void PathWatch::probe_answered(Instant now, bool in_flight) {
  wait_from(now, in_flight);
}

void PathWatch::switched(Instant now, bool in_flight) {
  wait_from(now, in_flight);
}

PathWatch::Verdict PathWatch::verdict(Instant now, Duration pto) const {
  const Duration quiet = silence(now);
  if (quiet >= death_after(pto)) return Verdict::dead;
  if (quiet >= suspicion_after(pto)) return Verdict::suspicious;
  return Verdict::fine;
}

Instant PathWatch::deadline(Instant now, Duration pto) const {
  if (waiting_since_ == never) return never;
  const Instant suspicion = waiting_since_ + suspicion_after(pto);
  return now < suspicion ? suspicion : waiting_since_ + death_after(pto);
}

Duration PathWatch::silence(Instant now) const {
  return waiting_since_ == never ? Duration::zero() : now - waiting_since_;
}

}  // namespace quicmesh
