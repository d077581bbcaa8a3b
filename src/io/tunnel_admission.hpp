// Which TCP connections a relay takes as tunnels: counts of those that stand and those that have
// not shaken hands yet (half-open), in all and from each source, without I/O.
//
// A source is an IPv4 address or a /64 of IPv6, since one host has all of it. When all half-open
// places are taken the oldest one goes, so that those who hold their places silently do not shut
// out who completes a handshake at once; from one source the newest is refused, so that one source
// evicts nobody else. Handshakes cost a signature each, so their rate is bounded too,
// for each network and in all.
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
  std::size_t half_open = 256;             // oldest goes
  std::size_t half_open_of_a_source = 32;  // newest refused
  std::size_t tunnels = 2048;              // newest refused; half-open ones included
  std::size_t tunnels_of_a_source = 256;   // the same; a company behind one NAT is one source
  /// Handshakes from a /24 or /48, and in all: a whole office comes back at once.
  PrefixLimits handshakes{
      .per_second = 20, .burst = 256, .total_per_second = 500, .total_burst = 1000};
};

struct TunnelAdmissionCounters {
  std::uint64_t refused_source = 0;
  std::uint64_t refused_tunnels = 0;
  std::uint64_t refused_rate = 0;
  std::uint64_t evicted = 0;
};

class TunnelAdmission {
 public:
  TunnelAdmission(const TunnelLimits& limits, SecureRng& rng)
      : limits_(limits), handshakes_(limits.handshakes, rng) {}

  enum class Verdict : std::uint8_t { refused, admitted, admitted_for_oldest };

  /// A connection from `source`; if it is admitted it counts as half-open. `admitted_for_oldest`:
  /// the caller closes the oldest half-open one.
  Verdict admit(Instant now, const IpAddress& source);
  void on_open(const IpAddress& source);
  void on_closed(const IpAddress& source, bool was_open);

  [[nodiscard]] std::size_t half_open() const { return half_open_; }
  [[nodiscard]] std::size_t tunnels() const { return tunnels_; }
  [[nodiscard]] std::size_t sources() const { return sources_.size(); }
  [[nodiscard]] const TunnelLimits& limits() const { return limits_; }
  [[nodiscard]] const TunnelAdmissionCounters& counters() const { return counters_; }

 private:
  struct Source {
    std::uint32_t half_open = 0;
    std::uint32_t tunnels = 0;
  };

  TunnelLimits limits_;
  boost::unordered_flat_map<IpAddress, Source, std::hash<IpAddress>> sources_;  // with a tunnel
  std::size_t half_open_ = 0;
  std::size_t tunnels_ = 0;
  PrefixLimiter handshakes_;
  TunnelAdmissionCounters counters_;
};

}  // namespace quicmesh::io
