// How long a packet takes between two peers of the peer-level simulation.
//
//     RTT(a, b) = RTT(site of a, site of b) x detour(a, b) + access(a) + access(b)
//
// Sites are metropolitan areas on a sphere, or the rows of a file of measured round trips. Peers
// are spread over the built-in sites roughly as the servers of the IPFS DHT are over countries
// (Trautwein et al. 2022, "Design and evaluation of IPFS": US 28.5 %, China 24.2 %, France 8.3 %,
// Taiwan 7.2 %, South Korea 6.7 %). Between sites a round trip takes 20.6 us for each kilometre of
// the great circle: twice the distance, times 2.1 for cables that bend and routes that detour, at
// the speed of light in fibre (Bozkurt et al. 2018, "Dissecting latency in the internet's fiber
// infrastructure", s1); within a site 2 ms. The detour of a pair, 0.85 to 1.15, comes from a hash
// of both: so the triangle inequality fails at times, as on the internet.
//
// Access delay is drawn by kind of access: 30 % data centre 0.1-1 ms, 30 % fibre 1-5, 25 % cable
// 5-15, 10 % DSL 10-30, 5 % mobile 20-60 (our assumption, of the order that Bajpai et al. 2017,
// "Dissecting last-mile latency characteristics", measured). A file's round trips are between end
// points, so its peers have no access delay unless it is asked for.
//
// A matrix is made once, from floating point, and rounded to 10 us; all that follows is whole
// numbers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/rng.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::sim {

/// Where a peer is attached.
struct PeerPlace {
  /// In every metropolitan area at once: what an attacker with many machines looks like.
  static constexpr std::uint16_t everywhere = 0xffff;

  std::uint16_t site = 0;
  std::uint16_t access_10us = 0;  // its own share of every round trip
};

class LatencyModel {
 public:
  static constexpr std::size_t sites_max = 4096;

  /// The built-in sites.
  static LatencyModel cities();

  /// A square matrix of round trips in milliseconds, row by row; numbers are parted by white space
  /// or commas, `#` begins a comment. Round trips of both directions are averaged; a negative
  /// number is one that was not measured, and counts as the median of its row. All sites are
  /// equally likely. Errors, as text: no square of at least two rows, a word that is no number,
  /// more than `sites_max` rows, an RTT over a minute, a row without a measurement.
  static std::expected<LatencyModel, std::string> from_text(std::string_view text);

  /// A site by its share of the peers, and an access delay (none for a model from a file).
  [[nodiscard]] PeerPlace draw_place(Rng& rng) const;

  [[nodiscard]] std::size_t sites() const { return relays_.size(); }
  [[nodiscard]] Duration site_rtt(std::size_t a, std::size_t b) const {
    return Duration(10us) * std::int64_t{site_rtt_10us(a, b)};
  }

  /// Between two peers of these numbers and places; symmetric.
  [[nodiscard]] Duration rtt(std::uint32_t a, PeerPlace at, std::uint32_t b, PeerPlace bt) const;

  /// From `at` by way of the home relay of `behind` to `behind`. A quarter of the sites have
  /// relays; one's home relay is the nearest.
  [[nodiscard]] Duration relayed_rtt(PeerPlace at, PeerPlace behind) const;

 private:
  LatencyModel(std::vector<std::uint32_t> rtts, std::vector<std::uint32_t> weights,
               bool with_access);

  [[nodiscard]] std::uint32_t site_rtt_10us(std::size_t a, std::size_t b) const {
    if (a == PeerPlace::everywhere || b == PeerPlace::everywhere) return 0;
    return rtts_[a * sites() + b];
  }

  std::vector<std::uint32_t> rtts_;     // in 10 us
  std::vector<std::uint32_t> weights_;  // summed up
  std::vector<std::uint16_t> relays_;   // by site
  bool with_access_;
};

}  // namespace quicmesh::sim
