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
#include <utility>
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

  /// The connections to close, the first one first, until seven eighths of `links_max` are left;
  /// `keep(peer)` is 0 for one that must not be closed now, `held`, and grows with its value
  /// otherwise: 1 or 2.
  template <class Keep>
  [[nodiscard]] std::vector<PeerHandle> surplus(Instant now, std::size_t links_max,
                                                Keep keep) const {
    const std::size_t far_too_many = hard_factor * links_max;
    const std::size_t no_room = std::max(far_too_many, links_max + lookup_room);
    std::vector<Surplus> least;
    for (std::size_t i = 0; i < links_.size(); ++i) {
      const Link& link = links_[i];
      if (!link.up) continue;
      Surplus one{.value = keep(peers_[i]), .used_at = link.used_at, .peer = peers_[i]};
      one.kept_below = links_max - links_max / 8;
      if (one.value == 0 || now - link.used_at < left_alone) one.kept_below = far_too_many;
      if (one.value == held) one.kept_below = no_room;
      if (one.value <= 0) {
        one.value = in_use;
      } else if (one.value > 1 && link.wanted) {
        one.value = of_the_wanted;
      }
      if (up_count_ > one.kept_below) least.push_back(one);
    }
    std::ranges::stable_sort(least, {},
                             [](const Surplus& one) { return std::pair(one.value, one.used_at); });
    std::vector<PeerHandle> surplus;
    for (const Surplus& one : least)
      if (up_count_ - surplus.size() > one.kept_below) surplus.push_back(one.peer);
    return surplus;
  }

  template <class Visit>
  void for_each(Visit visit) const {
    for (const PeerHandle peer : peers_)
      visit(peer);
  }
  template <class Visit>
  void for_each_up(Visit visit) const {
    for (std::size_t i = 0; i < links_.size(); ++i)
      if (links_[i].up) visit(peers_[i]);
  }
  [[nodiscard]] std::size_t memory() const {
    return peers_.capacity() * sizeof(PeerHandle) + links_.capacity() * sizeof(Link) +
           others_.capacity() * sizeof(Asked);
  }

 private:
  /// Requests of a second at most.
  struct Asked {
    std::uint8_t count = 0;
    Instant since{};
  };
  struct Link {
    bool up : 1 = false;
    bool wanted : 1 = false;
    std::uint8_t asked = 0;  // since asked_since, a second at most
    CompactRtt rtt;
    Instant asked_since{};
    Instant used_at{};
  };
  struct Surplus {
    int value = 0;
    Instant used_at{};
    std::size_t kept_below = 0;  // connections
    PeerHandle peer = no_peer;
  };
  static constexpr Duration counted_for = 1s;
  static constexpr std::size_t none = ~std::size_t{0};

  [[nodiscard]] const Link* find(PeerHandle peer) const;
  [[nodiscard]] Link* find(PeerHandle peer);
  [[nodiscard]] std::size_t index(PeerHandle peer) const;
  Link& get(PeerHandle peer);
  [[nodiscard]] Asked& others_of(PeerHandle peer);

  // In the order in which they were first asked for. Each message asks for one, and a link is six
  // times as large as a handle.
  std::vector<PeerHandle> peers_;
  std::vector<Link> links_;  // of each of `peers_`
  std::size_t up_count_ = 0;
  std::vector<Asked> others_;  // empty until one asks who has no link here
};

}  // namespace quicmesh::dht
