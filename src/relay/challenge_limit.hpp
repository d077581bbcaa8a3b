// How many challenges a relay sends, in all and to one network: it must be of no use for
// reflection. Every challenge is smaller than the frame that it answers anyway.
//
// Networks (a /24 of IPv4, a /48 of IPv6) share a fixed table by a hash under a secret, so that
// nobody can choose a network whose share is that of a victim; two in one place get less together.
#pragma once

#include <array>
#include <cstdint>

#include "base/address_prefix.hpp"
#include "base/hash.hpp"
#include "relay/relay_rate.hpp"

namespace quicmesh {

class ChallengeLimit {
 public:
  static constexpr std::size_t networks_max = 1024;
  static constexpr Duration network_interval = 50ms;
  static constexpr unsigned network_burst = 10;
  static constexpr Duration total_interval = 1ms;
  static constexpr unsigned total_burst = 200;

  explicit ChallengeLimit(std::uint64_t secret) : secret_(secret) {}

  bool allow(Instant now, const IpAddress& to) {
    const std::uint64_t network = std::hash<IpAddress>{}(network_of(to));
    RelayRate& rate = networks_[hash_combine(secret_, network) % networks_max];
    // The network's own limit first: who exceeds it takes nothing from the others.
    return rate.allow(now, network_interval, network_burst) &&
           total_.allow(now, total_interval, total_burst);
  }

 private:
  std::uint64_t secret_;
  RelayRate total_;
  std::array<RelayRate, networks_max> networks_;
};

}  // namespace quicmesh
