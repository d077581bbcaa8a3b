// One direction of a wire: it delays, queues, loses, doubles, reorders and damages datagrams.
//
// A datagram is judged once, when it enters, in this order:
//   blackhole -> larger than the MTU -> lost (Gilbert-Elliott) -> queue full -> serialised ->
//   delayed.
// Serialisation: the link is busy until the last bit of what it accepted is out; a datagram that
// would make the backlog exceed `queue_bytes` is dropped (drop-tail; an idle link always takes
// one). Jitter is uniform in [0, jitter] and never reorders: a datagram leaves no earlier than the
// one before it. Reordering is a fault of its own: a chosen datagram is held back by `reorder_by`
// and those behind it pass. A duplicate arrives right behind its original and costs no line time.
//
// Loss is the two-state chain of Gilbert 1960 ("Capacity of a burst-noise channel") in the notation
// of Elliott 1963 with loss 0 in the good and 1 in the bad state; the chain steps once a datagram.
// From the wanted average rate r and mean burst length L (both ratios of whole numbers):
//   P(bad -> good) = 1 / L        P(good -> bad) = r / ((1 - r) L)
// A run of losses then has mean length L. r <= L / (1 + L) must hold, else no such chain exists.
// Independent losses are L = 1 / (1 - r); `Loss::independent` says so.
//
// Sizes are those of IP packets: UDP payload plus 28 bytes over IPv4 or 48 over IPv6.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/rng.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/time.hpp"
#include "sim/ratio.hpp"

namespace quicmesh::sim {

struct Loss {
  Ratio rate;                 // average share of datagrams lost, below 1
  Ratio mean_burst = {1, 1};  // datagrams, at least 1

  static constexpr Loss independent(Ratio rate) {
    return {rate, {rate.denominator, rate.denominator - rate.numerator}};
  }
  auto operator<=>(const Loss&) const = default;
};

struct LinkConfig {
  Duration delay{};
  Duration jitter{};
  std::uint64_t bits_per_s = 0;          // 0: without limit, then nothing ever queues
  std::size_t queue_bytes = 256 * 1024;  // waiting and in service
  std::size_t mtu_bytes = 1500;          // of the IP packet
  Loss loss;
  Ratio reorder;
  Duration reorder_by = 5ms;
  Ratio duplicate;
  Ratio bit_flip;

  auto operator<=>(const LinkConfig&) const = default;
};

inline constexpr std::size_t link_queue_bytes_max = std::size_t{1} << 30;
inline constexpr Duration link_delay_max = 1h;

/// `SimErrc::bad_link` if a ratio is no probability, the loss chain does not exist, or a size or
/// delay is negative or beyond its bound.
[[nodiscard]] Result<void> check(const LinkConfig& config);

enum class LinkState : std::uint8_t { carrying, blackhole };

enum class LinkDrop : std::uint8_t { blackhole, too_big, loss, queue_full };

struct LinkCounters {
  std::uint64_t accepted = 0;
  std::uint64_t accepted_bytes = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t bits_flipped = 0;
  std::array<std::uint64_t, 4> dropped{};  // by LinkDrop

  [[nodiscard]] std::uint64_t dropped_for(LinkDrop cause) const {
    return dropped[static_cast<std::size_t>(cause)];
  }
  auto operator<=>(const LinkCounters&) const = default;
};

/// What becomes of one datagram.
struct LinkVerdict {
  std::optional<LinkDrop> dropped;
  Instant arrives;                        // at the far end, when not dropped
  std::optional<Instant> copy_arrives;    // a duplicate
  std::optional<std::uint64_t> flip_bit;  // below 8 x the payload's bytes; of the original only
};

class Link {
 public:
  /// `config` has passed `check`.
  Link(const LinkConfig& config, Rng rng);

  /// Judges a datagram that enters at `now`, which never goes backwards. `packet_bytes` is the
  /// size of the IP packet, `payload_bytes` that of what a bit flip may hit.
  LinkVerdict enter(Instant now, std::size_t packet_bytes, std::size_t payload_bytes);

  /// Changes the line from `now` on. What is inside arrives as decided; the backlog is kept in
  /// bytes and drained at the new rate.
  void set_config(Instant now, const LinkConfig& config);

  /// In a blackhole datagrams vanish and neither end is told.
  void set_state(LinkState state) { state_ = state; }

  [[nodiscard]] const LinkConfig& config() const { return config_; }
  [[nodiscard]] LinkState state() const { return state_; }
  [[nodiscard]] const LinkCounters& counters() const { return counters_; }

 private:
  [[nodiscard]] bool lose();
  [[nodiscard]] Duration serialisation_time(std::size_t bytes) const;
  void adopt(const LinkConfig& config);
  LinkVerdict drop(LinkDrop cause);

  LinkConfig config_;
  Rng rng_;
  LinkState state_ = LinkState::carrying;
  bool in_bad_state_ = false;
  Ratio good_to_bad_;
  Ratio bad_to_good_;
  Duration queue_time_{};  // `queue_bytes` at the line's rate
  Instant busy_until_{};
  Instant last_arrival_{};
  LinkCounters counters_;
};

}  // namespace quicmesh::sim
