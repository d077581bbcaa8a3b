// Whose turn it is for a birthday: one at a time in a node, in the order of asking, and no more
// packets over all of them than a budget allows (THREATS TQ10): four birthdays' worth at once, one
// every half minute in the long run. What a birthday did not use is given back.
#pragma once

#include <algorithm>
#include <optional>
#include <vector>

#include "nat/punch_birthday.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh {

class BirthdayTurns {
 public:
  static constexpr unsigned birthdays_at_once = 4;
  static constexpr Duration birthday_interval = 30s;

  void want(const NodeId& peer) { queue_.push_back(peer); }

  /// The peer is done with its turn, or does not want one any more.
  void drop(const NodeId& peer, unsigned packets_sent) {
    std::erase(queue_, peer);
    if (holder_ != peer) return;
    holder_.reset();
    const unsigned unused = birthday_packets_max - std::min(packets_sent, birthday_packets_max);
    budget_ = std::min(budget_ + unused, budget_max);  // it may have been refilled meanwhile
  }

  /// Whose turn begins now.
  std::optional<NodeId> grant(Instant now) {
    refill(now);
    if (holder_ || queue_.empty() || budget_ < birthday_packets_max) return std::nullopt;
    holder_ = queue_.front();
    queue_.erase(queue_.begin());
    budget_ -= birthday_packets_max;
    return holder_;
  }

  /// When `grant` may give one for the budget's sake.
  [[nodiscard]] Instant poll_timeout() const {
    const bool waits = !holder_ && !queue_.empty() && budget_ < birthday_packets_max;
    return waits ? refilled_ + birthday_interval : never;
  }

 private:
  void refill(Instant now) {
    while (now - refilled_ >= birthday_interval && budget_ < budget_max) {
      budget_ = std::min(budget_ + birthday_packets_max, budget_max);
      refilled_ += birthday_interval;
    }
    if (budget_ == budget_max) refilled_ = now;
  }

  static constexpr unsigned budget_max = birthdays_at_once * birthday_packets_max;
  unsigned budget_ = budget_max;
  Instant refilled_{};
  std::optional<NodeId> holder_;
  std::vector<NodeId> queue_;  // at most Puncher::peers_max
};

}  // namespace quicmesh
