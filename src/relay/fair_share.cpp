#include "relay/fair_share.hpp"

#include <algorithm>

#include "relay/relay_rate.hpp"

namespace quicmesh {
namespace {

// After so many ticks without a packet the old share says nothing any more.
constexpr int forget_after_ticks = 10;

}  // namespace

FairShare::FairShare(std::uint64_t client_max, std::uint64_t total_max)
    : client_max_(std::clamp(client_max, share_min, RelayRate::rate_max)),
      total_max_(std::clamp(total_max, share_min, RelayRate::rate_max)),
      share_(client_max_) {}

std::uint64_t FairShare::measured(Instant now) const {
  return now - began_ >= 2 * tick ? 0 : measured_;
}

void FairShare::end_tick(Instant now) {
  const Duration elapsed = now - began_;
  began_ = now;
  const auto elapsed_us = static_cast<std::uint64_t>(elapsed / 1us);
  measured_ = std::min(forwarded_ * 1'000'000 / elapsed_us, RelayRate::rate_max);
  if (elapsed >= forget_after_ticks * tick) {
    share_ = client_max_;
  } else if (measured_ > total_max_) {
    share_ = std::max(share_ * total_max_ / measured_, share_min);
  } else if (refused_ > 0) {
    // Below the fair share: at most half as much again, since one tick may be a quiet one.
    const std::uint64_t exact = share_ * total_max_ / std::max<std::uint64_t>(measured_, 1);
    share_ = std::min({exact, share_ + share_ / 2, client_max_});
  } else {
    share_ = std::min(2 * share_, client_max_);
  }
  forwarded_ = 0;
  refused_ = 0;
}

}  // namespace quicmesh
