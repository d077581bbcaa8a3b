// See link.hpp for the model and its sources.
#include "sim/link.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::uint64_t ns_bits_per_byte_s = 8'000'000'000;

/// P(good -> bad) = r / ((1 - r) L).
Ratio chance_to_turn_bad(const Loss& loss) {
  return {loss.rate.numerator * loss.mean_burst.denominator,
          (loss.rate.denominator - loss.rate.numerator) * loss.mean_burst.numerator};
}

bool is_chain(const Loss& loss) {
  if (!is_probability(loss.rate) || loss.rate.numerator == loss.rate.denominator) return false;
  const Ratio& burst = loss.mean_burst;
  if (burst.denominator == 0 || burst.numerator < burst.denominator ||
      burst.numerator > ratio_term_max) {
    return false;
  }
  const Ratio turn_bad = chance_to_turn_bad(loss);
  return turn_bad.numerator <= turn_bad.denominator;
}

}  // namespace

Result<void> check(const LinkConfig& config) {
  const bool durations_fit = config.delay >= 0ns && config.delay <= link_delay_max &&
                             config.jitter >= 0ns && config.jitter <= link_delay_max &&
                             config.reorder_by >= 0ns && config.reorder_by <= link_delay_max;
  const bool sizes_fit = config.queue_bytes <= link_queue_bytes_max && config.mtu_bytes > 0;
  const bool ratios_fit = is_chain(config.loss) && is_probability(config.reorder) &&
                          is_probability(config.duplicate) && is_probability(config.bit_flip);
  if (!durations_fit || !sizes_fit || !ratios_fit) return failure(SimErrc::bad_link);
  return {};
}

Link::Link(const LinkConfig& config, Rng rng) : rng_(rng) {
  adopt(config);
  // The chain begins in its stationary distribution, so that the average holds from the start.
  in_bad_state_ = happens(rng_, config_.loss.rate);
}

void Link::adopt(const LinkConfig& config) {
  QM_ASSERT(check(config).has_value());
  config_ = config;
  good_to_bad_ = chance_to_turn_bad(config.loss);
  bad_to_good_ = {config.loss.mean_burst.denominator, config.loss.mean_burst.numerator};
  queue_time_ = serialisation_time(config.queue_bytes);
}

Duration Link::serialisation_time(std::size_t bytes) const {
  if (config_.bits_per_s == 0) return 0ns;
  // At most 2^30 x 8e9 < 2^63: no overflow.
  return Duration{static_cast<std::int64_t>(bytes * ns_bits_per_byte_s / config_.bits_per_s)};
}

LinkVerdict Link::drop(LinkDrop cause) {
  ++counters_.dropped[static_cast<std::size_t>(cause)];
  return {.dropped = cause};
}

bool Link::lose() {
  if (config_.loss.rate.is_zero()) return false;
  in_bad_state_ = in_bad_state_ ? !happens(rng_, bad_to_good_) : happens(rng_, good_to_bad_);
  return in_bad_state_;
}

LinkVerdict Link::enter(Instant now, std::size_t packet_bytes, std::size_t payload_bytes) {
  if (state_ == LinkState::blackhole) return drop(LinkDrop::blackhole);
  if (packet_bytes > config_.mtu_bytes) return drop(LinkDrop::too_big);
  if (lose()) return drop(LinkDrop::loss);

  const Duration line_time = serialisation_time(packet_bytes);
  if (busy_until_ > now && busy_until_ - now + line_time > queue_time_) {
    return drop(LinkDrop::queue_full);
  }
  busy_until_ = std::max(busy_until_, now) + line_time;
  ++counters_.accepted;
  counters_.accepted_bytes += packet_bytes;

  LinkVerdict verdict;
  const Duration jitter = config_.jitter > 0ns ? rng_.between(0ns, config_.jitter) : 0ns;
  verdict.arrives = std::max(busy_until_ + config_.delay + jitter, last_arrival_);
  if (happens(rng_, config_.reorder)) {
    ++counters_.reordered;
    verdict.arrives += config_.reorder_by;
  } else {
    last_arrival_ = verdict.arrives;
  }
  if (happens(rng_, config_.duplicate)) {
    ++counters_.duplicated;
    verdict.copy_arrives = verdict.arrives;
  }
  if (payload_bytes > 0 && happens(rng_, config_.bit_flip)) {
    ++counters_.bits_flipped;
    verdict.flip_bit = rng_.below(payload_bytes * 8);
  }
  return verdict;
}

void Link::set_config(Instant now, const LinkConfig& config) {
  const std::uint64_t old_rate = config_.bits_per_s;
  const Duration backlog = busy_until_ > now ? busy_until_ - now : 0ns;
  adopt(config);
  if (backlog > 0ns) {
    // Microseconds keep the product in 64 bits: the backlog is at most 2^30 bytes, so that
    // microseconds x rate <= 2^30 x 8 x 10^6 plus rounding.
    const auto backlog_us = static_cast<std::uint64_t>(backlog.count() / 1000);
    const std::uint64_t bytes = backlog_us * old_rate / 8'000'000;
    busy_until_ = now + serialisation_time(bytes);
  }
  // A shorter line may overtake what is still on the longer one, as a changed route does.
  last_arrival_ = std::min(last_arrival_, now);
}

}  // namespace quicmesh::sim
