#include "nat/stranger_allowance.hpp"

#include <algorithm>
#include <utility>

namespace quicmesh {

StrangerAllowance::Entry& StrangerAllowance::entry_of(Instant now, const IpAddress& ip) {
  auto found = young_.find(ip);
  if (found == young_.end()) {
    Entry entry;
    if (const auto known = old_.find(ip); known != old_.end()) {
      entry = known->second;
      old_.erase(known);
    }
    if (young_.size() >= addresses_max / 2) old_ = std::exchange(young_, {});
    found = young_.emplace(ip, entry).first;
  }
  Entry& entry = found->second;
  if (now - entry.last >= forgotten_after) entry.sent = entry.replied = entry.guessed = 0;
  return entry;
}

const StrangerAllowance::Entry* StrangerAllowance::find(const IpAddress& ip) const {
  if (const auto found = young_.find(ip); found != young_.end()) return &found->second;
  const auto found = old_.find(ip);
  return found == old_.end() ? nullptr : &found->second;
}

bool StrangerAllowance::take_of(Instant now, const IpAddress& ip, unsigned Entry::* count,
                                unsigned count_max) {
  Entry& entry = entry_of(now, ip);
  if (!entry.answered && entry.*count >= count_max) {
    ++refused_;
    return false;
  }
  entry.*count = std::min(entry.*count + 1, count_max);
  entry.last = now;
  return true;
}

bool StrangerAllowance::take(Instant now, const IpAddress& ip) {
  return take_of(now, ip, &Entry::sent, packets_max);
}

bool StrangerAllowance::take_reply(Instant now, const IpAddress& ip) {
  return take_of(now, ip, &Entry::replied, replies_max);
}

bool StrangerAllowance::take_guess(Instant now, const IpAddress& ip) {
  return take_of(now, ip, &Entry::guessed, guesses_max);
}

unsigned StrangerAllowance::left(Instant now, const IpAddress& ip) const {
  const Entry* entry = find(ip);
  if (entry == nullptr) return packets_max;
  const bool rested = now - entry->last >= forgotten_after;
  return entry->answered || rested ? packets_max : packets_max - entry->sent;
}

void StrangerAllowance::answered(const IpAddress& ip) {
  // Who was never sent to cannot have answered.
  for (Generation* generation : {&young_, &old_}) {
    if (const auto found = generation->find(ip); found != generation->end()) {
      found->second.answered = true;
    }
  }
}

}  // namespace quicmesh
