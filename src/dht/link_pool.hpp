// The connections that the DHT knows of: those that it keeps warm, and those being opened.
//
// A cold handshake doubles a hop, so connections once made are kept, up to a bound; above it the
// one of least value goes: first who has no place in the routing table, then who is not among those
// that express queries need; among equals who was used longest ago. A connection used within the
// last two seconds, or with a request open, is left alone, unless there are twice as many as there
// should be.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/peer_core.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::dht {

class LinkPool {
 public:
  static constexpr Duration left_alone = 2s;
  /// Peers without a link here share so many counts of requests, by a hash.
  static constexpr std::size_t others_slots = 64;
  static constexpr std::size_t hard_factor = 2;
  static constexpr int in_use = 4;  // the value of one that goes last

  [[nodiscard]] bool is_up(PeerHandle peer) const;
  [[nodiscard]] bool is_opening(PeerHandle peer) const;

  void opening(Instant now, PeerHandle peer);
  void up(Instant now, PeerHandle peer);
  void used(Instant now, PeerHandle peer);
  void gone(PeerHandle peer);

  /// Counts a request of `peer`, whose connection may not be kept here though it stands; false if
  /// there were more than `most` within this second, of it or of those that share its count.
  bool serves(Instant now, PeerHandle peer, unsigned most);

  /// Connections that are up.
  [[nodiscard]] std::size_t up_count() const { return up_count_; }

  /// The connection to close, if more than `links_max` are up; `keep(peer)` is 0 for one that must
  /// not be closed now, and grows with its value otherwise: 1 to 3.
  template <class Keep>
  [[nodiscard]] std::optional<PeerHandle> surplus(Instant now, std::size_t links_max,
                                                  Keep keep) const {
    if (up_count_ <= links_max) return std::nullopt;
    const bool far_too_many = up_count_ > hard_factor * links_max;
    const Link* least = nullptr;
    int least_value = 0;
    for (const Link& link : links_) {
      int value = keep(link.peer);
      if (!link.up || (!far_too_many && (value == 0 || now - link.used_at < left_alone))) continue;
      if (value == 0) value = in_use;
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
    std::uint16_t count = 0;
    Instant since{};
  };
  struct Link {
    PeerHandle peer = no_peer;
    bool up = false;
    std::uint16_t asked = 0;  // since asked_since, a second at most
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
