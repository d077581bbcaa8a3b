// The connections that the DHT knows of: those that it keeps warm, and those being opened.
//
// A cold handshake doubles a hop, so connections once made are kept, up to a bound; above it those
// of least value go, an eighth at once: first who has no place in the routing table, then who is
// not *wanted*, which those are that express queries need; among equals who was used longest ago. A
// connection used within the last two seconds, or with a request open, is left alone, unless there
// are twice as many as there should be. One that is *held*, since a put will store over it, is even
// then, up to `lookup_room` beyond what there should be.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/peer_core.hpp"
#include "dht/contact.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

class LinkPool {
 public:
  static constexpr Duration left_alone = 2s;
  /// Peers without a link here share so many counts of requests, by a hash.
  static constexpr std::size_t others_slots = 64;
  static constexpr std::size_t hard_factor = 2;
  static constexpr std::size_t lookup_room = 48;
  static constexpr int held = -1;
  static constexpr int of_the_wanted = 3;  // the value of such a connection
  static constexpr int in_use = 4;         // of one that goes last

  [[nodiscard]] bool is_up(PeerHandle peer) const;
  [[nodiscard]] bool is_opening(PeerHandle peer) const;

  /// From now on these are the wanted ones, of the connections that there are.
  void want(std::span<const PeerHandle> wanted);
  [[nodiscard]] bool is_wanted(PeerHandle peer) const;

  void opening(Instant now, PeerHandle peer);
  /// `rtt` as measured by the handshake; zero if it was not.
  void up(Instant now, PeerHandle peer, Duration rtt);
  void path_changed(PeerHandle peer, Duration rtt);
  void used(Instant now, PeerHandle peer);
  void gone(PeerHandle peer);

  /// Counts a request of `peer`, whose connection may not be kept here though it stands; false if
  /// there were more than `most` within this second, of it or of those that share its count.
  bool serves(Instant now, PeerHandle peer, std::uint8_t most);

  /// The first measurement on the way that the connection takes.
  [[nodiscard]] std::optional<Duration> rtt(PeerHandle peer) const;

  /// Connections that are up.
  [[nodiscard]] std::size_t up_count() const { return up_count_; }

  /// The next connection to close, until seven eighths of `links_max` are left; `keep(peer)` is 0
  /// for one that must not be closed now, `held`, and grows with its value otherwise: 1 or 2.
  template <class Keep>
  [[nodiscard]] std::optional<PeerHandle> surplus(Instant now, std::size_t links_max,
                                                  Keep keep) const {
    if (up_count_ <= links_max - links_max / 8) return std::nullopt;
    const bool far_too_many = up_count_ > hard_factor * links_max;
    const bool no_room = up_count_ > std::max(hard_factor * links_max, links_max + lookup_room);
    const Link* least = nullptr;
    int least_value = 0;
    for (const Link& link : links_) {
      if (!link.up || (!far_too_many && now - link.used_at < left_alone)) continue;
      int value = keep(link.peer);
      if ((value == 0 && !far_too_many) || (value == held && !no_room)) continue;
      if (value <= 0) {
        value = in_use;
      } else if (value > 1 && link.wanted) {
        value = of_the_wanted;
      }
      if (least == nullptr || value < least_value ||
          (value == least_value && link.used_at < least->used_at)) {
        least = &link;
        least_value = value;
      }
    }
    return least == nullptr ? std::nullopt : std::optional(least->peer);
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const Link& link : links_)
      visit(link.peer);
  }
  template <class Visit>
  void for_each_up(Visit visit) const {
    for (const Link& link : links_) {
      if (link.up) visit(link.peer);
    }
  }
  [[nodiscard]] std::size_t memory() const {
    return links_.capacity() * sizeof(Link) + others_.capacity() * sizeof(Asked);
  }

 private:
  /// Requests of a second at most.
  struct Asked {
    std::uint8_t count = 0;
    Instant since{};
  };
  struct Link {
    PeerHandle peer = no_peer;
    bool up : 1 = false;
    bool wanted : 1 = false;
    std::uint8_t asked = 0;  // since asked_since, a second at most
    CompactRtt rtt;
    Instant asked_since{};
    Instant used_at{};
  };
  static constexpr Duration counted_for = 1s;

  [[nodiscard]] const Link* find(PeerHandle peer) const;
  [[nodiscard]] Link* find(PeerHandle peer);
  Link& get(PeerHandle peer);
  [[nodiscard]] Asked& others_of(PeerHandle peer);

  std::vector<Link> links_;  // in the order in which they were first asked for
  std::size_t up_count_ = 0;
  std::vector<Asked> others_;  // empty until one asks who has no link here
};

}  // namespace quicmesh::dht
