// How many answers a network may draw from a server that answers anybody: a token bucket for each
// /24 (IPv4) or /48 (IPv6), and one over all, so that a forged source cannot make the server flood
// its victim.
//
// A bucket is the one number of the generic cell rate algorithm (ITU-T I.371, "theoretical arrival
// time"): when the bucket will be full again. Taking c tokens moves it by c / rate; what would move
// it further than burst / rate ahead of now is refused.
//
// The table is 4-way set-associative, of fixed size, under a secret hash, so that nobody can aim at
// a bucket. In a full set the bucket nearest to full goes: one that is full already loses nothing,
// another is counted. An attacker with more prefixes than the table holds is stopped by the bucket
// over all.
#pragma once

#include <cstdint>
#include <vector>

#include "base/rng.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

struct PrefixLimits {
  unsigned per_second = 200;           // of one prefix
  unsigned burst = 1000;               // NAT discovery takes up to 40 in its first second
  unsigned total_per_second = 10'000;  // of all
  unsigned total_burst = 20'000;
  std::size_t prefixes_max = 1024;  // a multiple of 4
};

struct PrefixLimiterCounters {
  std::uint64_t refused_prefix = 0;
  std::uint64_t refused_total = 0;
  std::uint64_t evicted = 0;  // buckets that were not full yet
};

class PrefixLimiter {
 public:
  PrefixLimiter(const PrefixLimits& limits, SecureRng& rng);

  /// Takes `tokens`, at least 1, of the prefix of `address`; false if there are not enough, and
  /// then none are taken.
  [[nodiscard]] bool take(Instant now, const IpAddress& address, unsigned tokens = 1);

  [[nodiscard]] const PrefixLimiterCounters& counters() const { return counters_; }

 private:
  static constexpr std::size_t ways = 4;

  struct Bucket {
    IpAddress prefix;
    Instant full_at{};
    bool used = false;
  };
  [[nodiscard]] Bucket& bucket_of(Instant now, const IpAddress& address);

  PrefixLimits limits_;
  std::uint64_t secret_;
  std::vector<Bucket> buckets_;  // empty until first used
  Bucket total_;
  PrefixLimiterCounters counters_;
};

}  // namespace quicmesh
