// Which TCP connections a relay takes as tunnels: counts of those that stand and those that have
// not shaken hands yet (half-open), in all, from each source and from each network, without I/O.
//
// A source is an IPv4 address or a /64 of IPv6, since one host has all of it; a network is a /24 or
// a /48. From one source or network the newest is refused, so that none evicts anybody else. When
// all places are taken one goes in which no client has proved itself: the caller picks it, by
// `half_open_of_network` and age. Handshakes cost a signature each, so their rate is bounded too,
// for each network and in all. They are charged when the first byte has come, not before: bare TCP
// connections, of which a stranger makes any number, use up nobody's rate.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <functional>

#include "base/rng.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"
#include "stun/prefix_limiter.hpp"

namespace quicmesh::io {

struct TunnelLimits {
  std::size_t half_open = 256;             // one of the fullest network goes
  std::size_t half_open_of_a_source = 32;  // newest refused
  std::size_t tunnels = 2048;              // oldest without a client goes; with half-open ones
  std::size_t tunnels_of_a_source = 256;   // newest refused; a company behind one NAT is a source
  std::size_t tunnels_of_a_network = 512;  // the same
  /// Handshakes from a /24 or /48, and in all: a whole office comes back at once.
  PrefixLimits handshakes{
      .per_second = 20, .burst = 256, .total_per_second = 500, .total_burst = 1000};
};

struct TunnelAdmissionCounters {
  std::uint64_t refused_source = 0;   // or network
  std::uint64_t refused_tunnels = 0;  // all places taken, with clients behind all of them
  std::uint64_t refused_rate = 0;
};

class TunnelAdmission {
 public:
  TunnelAdmission(const TunnelLimits& limits, SecureRng& rng)
      : limits_(limits), handshakes_(limits.handshakes, rng) {}

  /// The last two: the caller makes room, by closing one, and asks again; or calls `refuse`.
  enum class Verdict : std::uint8_t { refused, admitted, half_open_full, full };

  /// A connection from `source`; if it is admitted it counts as half-open.
  Verdict admit(const IpAddress& source);
  void refuse() { ++counters_.refused_tunnels; }
  /// The first byte of its handshake is there: false if there are too many.
  [[nodiscard]] bool begin_handshake(Instant now, const IpAddress& source);
  void on_open(const IpAddress& source);
  void on_closed(const IpAddress& source, bool was_open);

  /// Half-open ones of the network of `source`.
  [[nodiscard]] std::size_t half_open_of_network(const IpAddress& source) const;
  [[nodiscard]] std::size_t half_open() const { return half_open_; }
  [[nodiscard]] std::size_t tunnels() const { return tunnels_; }
  [[nodiscard]] std::size_t sources() const { return sources_.size(); }
  [[nodiscard]] std::size_t networks() const { return networks_.size(); }
  [[nodiscard]] const TunnelLimits& limits() const { return limits_; }
  [[nodiscard]] const TunnelAdmissionCounters& counters() const { return counters_; }

 private:
  struct Count {
    std::uint32_t half_open = 0;
    std::uint32_t tunnels = 0;
  };
  using Counts = boost::unordered_flat_map<IpAddress, Count, std::hash<IpAddress>>;

  static void open_one(Counts& counts, const IpAddress& key);
  static void close_one(Counts& counts, const IpAddress& key);

  TunnelLimits limits_;
  Counts sources_;   // with a tunnel
  Counts networks_;  // the same
  std::size_t half_open_ = 0;
  std::size_t tunnels_ = 0;
  PrefixLimiter handshakes_;
  TunnelAdmissionCounters counters_;
};

}  // namespace quicmesh::io
