// Contact: a peer that has answered, as the routing table remembers it. Sixteen bytes, since a
// million simulated nodes have some four hundred each.
//
// Times count from the birth of the table: seconds for the last answer (two years, then it stays at
// the end), quarter hours for the first (682 days). An RTT has 12 bits and an exponent: exact to
// the microsecond below 4 ms, to one in 2,048 above.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/peer_core.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

/// An RTT in 16 bits; 0 is none.
class CompactRtt {
 public:
  CompactRtt() = default;
  /// Longer than all others.
  static CompactRtt longest() { return CompactRtt(Duration::max()); }
  explicit CompactRtt(Duration rtt) {
    const auto us = std::uint64_t(std::clamp<std::int64_t>(rtt.count() / 1000, 1, longest_us));
    const auto exponent = std::uint64_t(std::max(0, int(std::bit_width(us)) - 12));
    bits_ = static_cast<std::uint16_t>(exponent << 12 | us >> exponent);
  }

  [[nodiscard]] Duration duration() const {
    return std::chrono::microseconds(std::int64_t(bits_ & 0xfff) << (bits_ >> 12));
  }

  /// None is the shortest.
  auto operator<=>(const CompactRtt&) const = default;

 private:
  static constexpr std::int64_t longest_us = std::int64_t{0xfff} << 15;

  std::uint16_t bits_ = 0;
};

struct Contact {
  /// As many samples of the RTT prove it: the median of three outlives one outlier (TD10).
  static constexpr std::size_t samples_max = 3;

  PeerHandle peer = no_peer;
  std::uint32_t seen_s : 26 = 0;    // the last answer
  std::uint32_t failures : 2 = 0;   // requests unanswered since
  std::uint32_t samples : 2 = 0;    // of `rtts` in use
  std::uint32_t near_half : 1 = 0;  // kept for its RTT
  std::uint32_t parted : 1 = 0;     // closed a connection that we wanted to keep
  std::uint16_t since_quarter_hours = 0;
  std::array<CompactRtt, samples_max> rtts{};  // the newest last

  void add_sample(Duration rtt) {
    if (samples == samples_max) {
      std::ranges::rotate(rtts, rtts.begin() + 1);
      rtts.back() = CompactRtt(rtt);
    } else {
      rtts[samples] = CompactRtt(rtt);
      samples = (samples + 1U) & 3U;
    }
  }
  /// What was measured on another path says nothing any more.
  void forget_samples() { samples = 0; }

  /// The median of the samples, the shorter one of two.
  [[nodiscard]] std::optional<Duration> rtt() const {
    if (samples == 0) return std::nullopt;
    return median().duration();
  }
  [[nodiscard]] CompactRtt median() const {
    if (samples < samples_max) return samples == 2 ? std::min(rtts[0], rtts[1]) : rtts[0];
    const auto [low, high] = std::minmax(rtts[0], rtts[1]);
    return std::clamp(rtts[2], low, high);
  }
  /// Measured often enough to be given a place for it.
  [[nodiscard]] bool rtt_proved() const { return samples == samples_max; }
};
static_assert(sizeof(Contact) == 16);

}  // namespace quicmesh::dht
