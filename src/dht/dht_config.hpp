// What a DHT node can be told, and the bounds of what it keeps. The defaults need no operator.
//
// What is meant to make lookups faster has a switch, so that its worth can be measured alone. Plain
// Kademlia's lookups of nodes: `adaptive`, `tiers`, `near_buckets` and `express` off; 20 and 3 are
// Kademlia's own. What guards against attacks stays on: the limits of diversity groups, and
// regions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quicmesh/time.hpp"

namespace quicmesh::dht {

struct Config {
  /// Contacts a bucket, and peers that hold a value; where adaptation begins (S1.21).
  std::uint8_t k = 20;
  /// Requests of one lookup under way at a time; where adaptation begins.
  std::uint8_t alpha = 3;

  // Ingredients.

  /// k and alpha follow the evidence.
  bool adaptive = true;
  /// Lookups begin among the peers of fast tiers.
  bool tiers = true;
  /// Half of each bucket is kept by nearness in RTT.
  bool near_buckets = true;
  /// Connections are kept to where they help most, and queries go over them from hop to hop before
  /// a lookup begins.
  bool express = true;

  /// What the nearest have no room for goes to nodes farther from its key, and who looks for it
  /// goes there, too (of provider records).
  bool sloppy = true;

  /// Ways that share no node, of lookups whose answer somebody on the way could hide: of values.
  /// In [1, 8]; 1 switches it off.
  std::uint8_t disjoint_paths = 4;

  /// Serves others from the start; see `DhtCore::set_server`.
  bool server = true;

  /// Warm connections that the DHT keeps.
  std::size_t links_server = 64;
  std::size_t links_client = 16;

  /// A bucket that no lookup has touched for so long is looked up; +-20 %.
  Duration refresh_interval = 15min;
  /// A lookup ends by then, with what it has.
  Duration lookup_deadline = 10s;

  /// Requests that the node opens connections for, at most (TD11); twice as many may go at once. Of
  /// those over connections that stand it sends eight times as many.
  std::uint32_t requests_a_second = 200;
  /// Express queries of others that it passes on at most.
  std::uint32_t forwards_a_second = 200;

  /// A node is found when somebody names it together with its endpoint record. False where the
  /// book has no records, as in simulations: then the name does.
  bool records_needed = true;
};

/// Where adaptation stays.
inline constexpr std::uint8_t k_min = 10;
inline constexpr std::uint8_t k_max = 40;
inline constexpr std::uint8_t alpha_min = 2;
inline constexpr std::uint8_t alpha_max = 10;

}  // namespace quicmesh::dht
