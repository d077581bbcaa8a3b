#include "dht/adaptation.hpp"

#include <algorithm>

namespace quicmesh::dht {

void Adaptation::begin(Instant now) {
  if (config_->adaptive && judge_at_ == never) judge_at_ = now + interval;
}

void Adaptation::on_answer(Instant now, Asked asked, bool late) {
  begin(now);
  ++answers_;
  if (asked.contact) ++contact_answers_;
  if (late) ++late_;
}

void Adaptation::on_busy(Instant now, PeerHandle peer) {
  begin(now);
  ++answers_;
  if (busy_.size() < busy_max && std::ranges::count(busy_, peer) == 0) busy_.push_back(peer);
}

void Adaptation::on_silence(Instant now, Asked asked) {
  begin(now);
  if (silent_.size() == silent_max || std::ranges::count(silent_, asked.peer) != 0) return;
  silent_.push_back(asked.peer);
  if (asked.contact) ++contacts_silent_;
}

std::uint8_t Adaptation::alpha(Instant now, std::size_t silent) const {
  if (!config_->adaptive || now < overload_until_ || is_overload()) return alpha_;
  return static_cast<std::uint8_t>(std::min<std::size_t>(alpha_ + 2 * silent, alpha_max));
}

bool Adaptation::handle_timeout(Instant now) {
  if (judge_at_ > now) return false;
  judge_at_ = never;
  const auto asked = answers_ + static_cast<std::uint32_t>(silent_.size());
  const std::uint32_t contacts = contact_answers_ + contacts_silent_;
  const bool uncounted = silent_.size() == silent_max;
  if (asked < evidence_min) return false;  // the next evidence is added to this
  const std::uint8_t k_before = k_;
  const std::uint8_t alpha_before = alpha_;
  const auto is_tenth = [](std::uint64_t part, std::uint64_t all) { return part * 10 >= all; };
  const auto is_little = [](std::uint64_t part, std::uint64_t all) { return part * 33 <= all; };
  if (are_busy()) {
    k_ = static_cast<std::uint8_t>(std::max<int>(k_ - k_step, k_min));
    alpha_ = static_cast<std::uint8_t>(std::max<int>(alpha_ - alpha_step, alpha_min));
  } else {
    k_ = moved({k_, config_->k, k_step, k_max},
               !are_late() && contacts > 0 && is_tenth(contacts_silent_, contacts),
               !uncounted && is_little(contacts_silent_, contacts));
    alpha_ = moved({alpha_, config_->alpha, alpha_step, alpha_max},
                   !are_late() && is_tenth(silent_.size(), asked),
                   !uncounted && is_little(silent_.size(), asked));
  }
  if (is_overload()) overload_until_ = now + interval;
  answers_ = contact_answers_ = late_ = contacts_silent_ = 0;
  silent_.clear();
  silent_.shrink_to_fit();
  busy_.clear();
  busy_.shrink_to_fit();
  return k_ != k_before || alpha_ != alpha_before;
}

/// One step up, one towards the start, or none.
std::uint8_t Adaptation::moved(const Parameter& parameter, bool up, bool calm) {
  const int value = parameter.value;
  if (up) return static_cast<std::uint8_t>(std::min(value + parameter.step, +parameter.max));
  if (!calm) return parameter.value;
  if (value > parameter.start) {
    return static_cast<std::uint8_t>(std::max(value - parameter.step, +parameter.start));
  }
  return static_cast<std::uint8_t>(std::min(value + parameter.step, +parameter.start));
}

}  // namespace quicmesh::dht
