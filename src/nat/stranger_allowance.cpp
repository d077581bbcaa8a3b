#include "nat/stranger_allowance.hpp"

#include <algorithm>

namespace quicmesh {

bool StrangerAllowance::take(Instant now, const IpAddress& ip) {
  auto found = entries_.find(ip);
  if (found == entries_.end()) {
    if (entries_.size() >= addresses_max) {
      const auto oldest = std::ranges::min_element(
          entries_, {}, [](const auto& entry) { return entry.second.last; });
      if (now - oldest->second.last < forgotten_after) {
        ++refused_;
        return false;
      }
      entries_.erase(oldest);
    }
    found = entries_.emplace(ip, Entry{}).first;
  }
  Entry& entry = found->second;
  if (now - entry.last >= forgotten_after) entry.sent = 0;
  if (!entry.answered && entry.sent >= packets_max) {
    ++refused_;
    return false;
  }
  entry.sent = std::min(entry.sent + 1, packets_max);
  entry.last = now;
  return true;
}

unsigned StrangerAllowance::left(Instant now, const IpAddress& ip) const {
  const auto found = entries_.find(ip);
  if (found == entries_.end()) return packets_max;
  const Entry& entry = found->second;
  const bool rested = now - entry.last >= forgotten_after;
  return entry.answered || rested ? packets_max : packets_max - entry.sent;
}

void StrangerAllowance::answered(const IpAddress& ip) {
  // Who was never sent to cannot have answered.
  if (const auto found = entries_.find(ip); found != entries_.end()) found->second.answered = true;
}

}  // namespace quicmesh
