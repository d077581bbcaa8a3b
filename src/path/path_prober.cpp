#include "path/path_prober.hpp"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "path/path_table.hpp"

namespace quicmesh {
namespace {

const PathProber::Sent* find_sent(const PathProber::Target& target, std::uint64_t nonce) {
  if (nonce == 0) return nullptr;
  const auto found = std::ranges::find(target.recent, nonce, &PathProber::Sent::nonce);
  return found == target.recent.end() ? nullptr : &*found;
}

}  // namespace

unsigned PathProber::Target::sent_lately() const {
  const unsigned known = std::min(sent_count, 32u);
  return (answers & 1) == 0 && known > 0 ? known - 1 : known;
}

unsigned PathProber::Target::answered_lately() const {
  return static_cast<unsigned>(std::popcount(answers));
}

PathProber::Target* PathProber::match(const NetworkPath& path) {
  const auto found = std::ranges::find_if(
      targets_, [&](const Target& target) { return same_path(target.path, path); });
  return found == targets_.end() ? nullptr : &*found;
}

const PathProber::Target* PathProber::find(const NetworkPath& path) const {
  return const_cast<PathProber*>(this)->match(path);
}

const PathProber::Target* PathProber::find_by_nonce(std::uint64_t nonce) const {
  const auto found = std::ranges::find_if(
      targets_, [&](const Target& target) { return find_sent(target, nonce) != nullptr; });
  return found == targets_.end() ? nullptr : &*found;
}

bool PathProber::is_current(const Target& target) const {
  return same_path(target.path, current_);
}

// Nothing is to be compared with the only path there is.
bool PathProber::spared(const Target& target) const {
  return targets_.size() == 1 && hurry_interval_ == Duration::zero() && is_current(target);
}

bool PathProber::add(Instant now, const NetworkPath& path) {
  if (match(path) != nullptr) return false;
  if (targets_.size() >= targets_max) {
    ++dropped_;
    auto silent = targets_.end();
    for (auto one = targets_.begin(); one != targets_.end(); ++one) {
      if (is_current(*one) || (one->rtt && one->unanswered < tries_max)) continue;
      if (silent == targets_.end() || one->heard_at < silent->heard_at) silent = one;
    }
    if (silent == targets_.end()) return false;
    targets_.erase(silent);
  }
  Target target;
  target.path = path;
  target.due = now;
  targets_.push_back(target);
  return true;
}

void PathProber::remove_socket(SocketId socket) {
  std::erase_if(targets_, [&](const Target& one) { return one.path.socket == socket; });
}

void PathProber::remove(const NetworkPath& path) {
  std::erase_if(targets_, [&](const Target& target) { return same_path(target.path, path); });
}

void PathProber::schedule(Instant now, Target& target) {
  const bool ever_heard = target.heard_at != Instant{};
  Duration wait = warm_interval;
  if (hurry_interval_ > Duration::zero() && (ever_heard || target.unanswered < tries_max)) {
    wait = std::min<Duration>(hurry_interval_ * (1 << std::min(target.unanswered / 4, 6u)), 1s);
  } else if (target.unanswered >= tries_max) {
    wait = retry_slow;
  } else if (target.unanswered > 0) {
    wait = std::min<Duration>(retry_first * (1 << (target.unanswered - 1)), retry_slow);
  }
  target.due = now + rng_.between(wait * 4 / 5, wait * 6 / 5);
}

const PathProber::Target* PathProber::next_due(Instant now, std::uint64_t nonce) {
  for (Target& target : targets_) {
    if (target.due > now) continue;
    if (spared(target)) {
      target.due = now + warm_interval;
      continue;
    }
    ++target.unanswered;
    target.answers <<= 1;
    target.probed_before = std::exchange(target.probed_at, now);
    target.recent[target.sent_count++ % target.recent.size()] = {nonce, now};
    schedule(now, target);
    return &target;
  }
  return nullptr;
}

const PathProber::Target* PathProber::handle_response(Instant now, const NetworkPath& from,
                                                      std::uint64_t nonce) {
  Target* target = match(from);
  const Sent* sent = target == nullptr ? nullptr : find_sent(*target, nonce);
  if (sent == nullptr) return nullptr;
  const auto slot = static_cast<unsigned>(sent - target->recent.data());
  const auto slots = static_cast<unsigned>(target->recent.size());
  target->answers |= 1u << ((target->sent_count - 1 - slot) % slots);
  target->took[target->took_count++ % times_kept] = now - sent->at;
  const auto kept = std::min<std::size_t>(target->took_count, times_kept);
  target->rtt = std::ranges::min(std::span(target->took).first(kept));
  target->ever_answered = true;
  target->heard_at = now;
  target->unanswered = 0;
  if (now >= target->held_until + hold_down_max) target->failures = 0;
  target->path.local = from.local;
  schedule(now, *target);
  return target;
}

void PathProber::heard(Instant now, const NetworkPath& path, std::uint64_t nonce) {
  Target* target = match(path);
  if (target == nullptr) return;
  target->heard_at = now;
  target->far_nonce = nonce;
  // Not without end: whoever sends the requests may not be where they seem to come from.
  if (!target->rtt && target->unanswered < tries_max) target->due = std::min(target->due, now);
}

void PathProber::hold_down(Instant now, const NetworkPath& path) {
  Target* target = match(path);
  if (target == nullptr) return;
  const unsigned doublings = std::min(target->failures++, 10u);
  target->held_until = now + std::min<Duration>(hold_down_first * (1 << doublings), hold_down_max);
}

void PathProber::hurry(Instant now, Duration interval) {
  const bool first = hurry_interval_ == Duration::zero();
  hurry_interval_ = interval;
  if (!first) return;
  for (Target& target : targets_) {
    target.due = now;
  }
}

bool PathProber::retry(Instant now, const NetworkPath& path) {
  Target* target = match(path);
  if (target == nullptr || target->unanswered < tries_max) return false;
  target->unanswered = 0;
  target->due = now;
  return true;
}

void PathProber::note_forwarded(const NetworkPath& path) {
  if (Target* target = match(path)) target->forwarded = true;
}

void PathProber::start_over(Instant now, std::span<const IpAddress> own) {
  unpin_source(current_, own);
  std::vector<Target> former;
  former.swap(targets_);
  for (Target& target : former) {
    unpin_source(target.path, own);
    if (match(target.path) != nullptr) continue;
    target.took_count = 0;
    target.rtt.reset();
    target.unanswered = 0;
    target.failures = 0;
    target.held_until = {};
    target.due = now;
    targets_.push_back(target);
  }
}

const PathProber::Target* PathProber::best_since(Instant since, PathPolicy policy) const {
  const Target* best = nullptr;
  for (const Target& target : targets_) {
    if (is_current(target) || !target.rtt || target.unanswered > 0) continue;
    if (target.heard_at < since) continue;
    if (!path_allowed({.relayed = is_relayed(target.path)}, policy)) continue;
    if (best == nullptr || *target.rtt < *best->rtt) best = &target;
  }
  return best;
}

Instant PathProber::deadline() const {
  Instant earliest = never;
  for (const Target& target : targets_) {
    if (spared(target)) continue;
    earliest = std::min(earliest, target.due);
  }
  return earliest;
}

}  // namespace quicmesh
