// Which peers are near: round trips measured by us, clustered into one to seven tiers.
//
// Each peer keeps its last five round trips; its RTT is their median, once there are three, so that
// a single fast or slow answer moves nobody. The caller takes samples only of what proves a round
// trip (an answer to a nonce of its own, an acknowledgement by QUIC), never what a peer says. All
// medians are clustered (kmeans.hpp) every few minutes, when twice as many peers have been measured
// as the last time, and soon after the RTT of a peer has changed by half an octave since it was
// last clustered. A peer's tier follows from its RTT, so it changes with it at once.
//
// A liar that answers in no time gets into tier 0, but no further: tiers are intervals of RTT, so
// whoever is nearer than somebody else stays so whatever a third does. Fewer than a sixteenth of
// the peers (or than three) at either end have no say in where the borders are: they count as the
// first peer that is not among them (winsorising, Dixon 1960). What a table owes to its fast tiers
// is bounded by whoever keeps it.
//
// Timer: clustering, every `period` give or take an eighth; when something has changed, as early as
// `pause` after the last one. States of a peer: unmeasured (fewer than three samples), measured.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/peer_core.hpp"
#include "base/rng.hpp"
#include "quicmesh/time.hpp"
#include "tiers/rtt_scale.hpp"

namespace quicmesh {

/// The tiers of peers with these round trips; at most 1024 of them, in any order (they are sorted
/// in place). Fewer than eight are one tier. `tiers_max` in [1, LatencyTiers::max]. O(n log n).
/// Source: kmeans.hpp; neighbours closer than queueing noise are not told apart.
[[nodiscard]] LatencyTiers cluster_tiers(std::span<LogRtt> rtts,
                                         std::size_t tiers_max = LatencyTiers::max);

struct TierConfig {
  Duration period = 3min;
  Duration pause = 10s;
  std::size_t tiers_max = LatencyTiers::max;
  std::size_t peers_max = 512;  // in [1, 1024]; the one longest without a sample goes
};

struct TierCounters {
  std::uint64_t clusterings = 0;
  std::uint64_t evicted = 0;  // peers that made room for others
};

class TierWatch {
 public:
  TierWatch(const TierConfig& config, Rng rng);

  /// One round trip to `peer`, measured by us. O(log n), O(n) for a peer not seen before.
  void add_sample(Instant now, PeerHandle peer, Duration rtt);

  /// Forgets `peer`: it is gone, or its path has changed. O(n).
  void remove(PeerHandle peer);

  /// The median round trip; nothing while the peer is unmeasured. O(log n).
  [[nodiscard]] std::optional<Duration> rtt(PeerHandle peer) const;

  /// The peer's tier; nothing while it is unmeasured. O(log n).
  [[nodiscard]] std::optional<std::size_t> tier(PeerHandle peer) const;

  [[nodiscard]] const LatencyTiers& tiers() const { return tiers_; }

  /// Clusters if it is time. O(n log n).
  void handle_timeout(Instant now);

  [[nodiscard]] Instant poll_timeout() const { return next_; }

  /// The tiers, if they are not those that were polled last.
  std::optional<LatencyTiers> poll_tiers();

  [[nodiscard]] std::size_t size() const { return peers_.size(); }
  [[nodiscard]] const TierCounters& counters() const { return counters_; }

 private:
  static constexpr std::size_t samples_max = 5;
  static constexpr std::size_t samples_min = 3;
  static constexpr LogRtt change = log_rtt_octave / 2;

  struct Peer {
    PeerHandle handle{};
    std::uint32_t heard_s = 0;  // since the first sample of all
    std::array<LogRtt, samples_max> samples{};
    LogRtt clustered = 0;    // the median when peers were clustered, or when first measured
    std::uint8_t taken = 0;  // samples; stays below twice samples_max
  };

  [[nodiscard]] static bool is_measured(const Peer& peer) { return peer.taken >= samples_min; }
  [[nodiscard]] static LogRtt median(const Peer& peer);
  [[nodiscard]] const Peer* find(PeerHandle handle) const;
  Peer& find_or_add(PeerHandle handle);

  TierConfig config_;
  Rng rng_;
  std::vector<Peer> peers_;  // by handle
  LatencyTiers tiers_;
  LatencyTiers told_;
  std::size_t measured_ = 0;
  std::size_t measured_then_ = 0;  // at the last clustering
  std::optional<Instant> first_;
  Instant last_{};
  Instant next_ = never;
  TierCounters counters_;
};

}  // namespace quicmesh
