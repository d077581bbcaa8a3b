#include "tiers/tier_watch.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "tiers/kmeans.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t clustered_min = 8;  // fewer round trips say nothing about clusters
constexpr std::uint64_t noise = log_rtt_octave / 4;

}  // namespace

LatencyTiers cluster_tiers(std::span<LogRtt> rtts, std::size_t tiers_max) {
  QM_ASSERT(tiers_max >= 1 && tiers_max <= LatencyTiers::max);
  LatencyTiers out;
  if (rtts.size() < clustered_min) return out;
  std::ranges::sort(rtts);
  const std::size_t size_min = std::max<std::size_t>(3, (rtts.size() + 15) / 16);
  // Winsorised: what is too few for a tier counts as the nearest value that is not.
  std::ranges::fill(rtts.first(size_min), rtts[size_min - 1]);
  std::ranges::fill(rtts.last(size_min), rtts[rtts.size() - size_min]);
  const Clustering found = cluster(rtts, {tiers_max, size_min, noise});
  out.count = static_cast<std::uint8_t>(found.centres.size());
  for (std::size_t i = 0; i < found.borders.size(); ++i)
    out.longest[i] = rtt_of(found.borders[i]) - 1ns;
  return out;
}

TierWatch::TierWatch(const TierConfig& config, Rng rng) : config_(config), rng_(rng) {
  QM_ASSERT(config.period > Duration{} && config.pause > Duration{});
  QM_ASSERT(config.tiers_max >= 1 && config.tiers_max <= LatencyTiers::max);
  QM_ASSERT(config.peers_max >= 1 && config.peers_max <= kmeans_values_max);
}

void TierWatch::add_sample(Instant now, PeerHandle handle, Duration rtt) {
  if (!first_) first_ = now;
  Peer& peer = find_or_add(handle);
  peer.heard_s = static_cast<std::uint32_t>((now - *first_) / 1s);
  peer.samples[peer.taken % samples_max] = log_rtt(rtt);
  if (++peer.taken == 2 * samples_max) peer.taken = samples_max;
  if (!is_measured(peer)) return;
  const LogRtt value = median(peer);
  bool moved = value > peer.clustered + change || value + change < peer.clustered;
  if (peer.taken == samples_min) {
    peer.clustered = value;
    moved = false;
    ++measured_;
  }
  const bool grown = measured_ >= std::max(clustered_min, 2 * measured_then_);
  const Instant regular = next_ == never ? now + config_.period : next_;
  next_ = moved || grown ? std::min(regular, std::max(now, last_ + config_.pause)) : regular;
}

void TierWatch::remove(PeerHandle handle) {
  const auto at = std::ranges::lower_bound(peers_, handle, {}, &Peer::handle);
  if (at == peers_.end() || at->handle != handle) return;
  if (is_measured(*at)) --measured_;
  peers_.erase(at);
}

std::optional<Duration> TierWatch::rtt(PeerHandle handle) const {
  const Peer* peer = find(handle);
  if (peer == nullptr || !is_measured(*peer)) return std::nullopt;
  return rtt_of(median(*peer));
}

std::optional<std::size_t> TierWatch::tier(PeerHandle handle) const {
  const auto measured = rtt(handle);
  if (!measured) return std::nullopt;
  return tiers_.tier_of(*measured);
}

void TierWatch::handle_timeout(Instant now) {
  if (now < next_) return;
  std::vector<LogRtt> values;
  values.reserve(measured_);
  for (Peer& peer : peers_) {
    if (!is_measured(peer)) continue;
    peer.clustered = median(peer);
    values.push_back(peer.clustered);
  }
  tiers_ = cluster_tiers(values, config_.tiers_max);
  measured_then_ = values.size();
  last_ = now;
  next_ = now + rng_.between(config_.period * 7 / 8, config_.period * 9 / 8);
  ++counters_.clusterings;
}

std::optional<LatencyTiers> TierWatch::poll_tiers() {
  if (tiers_ == told_) return std::nullopt;
  told_ = tiers_;
  return tiers_;
}

LogRtt TierWatch::median(const Peer& peer) {
  const std::size_t count = std::min<std::size_t>(peer.taken, samples_max);
  std::array<LogRtt, samples_max> sorted = peer.samples;
  std::sort(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(count));
  return sorted[(count - 1) / 2];
}

const TierWatch::Peer* TierWatch::find(PeerHandle handle) const {
  const auto at = std::ranges::lower_bound(peers_, handle, {}, &Peer::handle);
  return at == peers_.end() || at->handle != handle ? nullptr : &*at;
}

TierWatch::Peer& TierWatch::find_or_add(PeerHandle handle) {
  auto at = std::ranges::lower_bound(peers_, handle, {}, &Peer::handle);
  if (at != peers_.end() && at->handle == handle) return *at;
  if (peers_.size() == config_.peers_max) {
    const auto oldest = std::ranges::min_element(peers_, {}, &Peer::heard_s);
    if (is_measured(*oldest)) --measured_;
    peers_.erase(oldest);
    ++counters_.evicted;
    at = std::ranges::lower_bound(peers_, handle, {}, &Peer::handle);
  }
  Peer peer;
  peer.handle = handle;
  return *peers_.insert(at, peer);
}

}  // namespace quicmesh
