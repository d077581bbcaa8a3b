// What one relay gives, in all and to one client. The reservations per node, address
// and network are libp2p's circuit relay v2.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/laboratory_address.hpp"
#include "quicmesh/time.hpp"
#include "stun/prefix_limiter.hpp"

namespace quicmesh {

/// What the operator of a relay may change.
struct RelayLimits {
  std::size_t clients = 20'000;  // control connections, registered or not
  std::size_t reservations = 16'000;
  std::size_t reservations_per_ip = 8;
  std::size_t reservations_per_network = 32;  // a /24 or /48
  std::size_t sessions = 65'536;
  std::size_t sessions_per_client = 64;
  std::uint64_t client_bytes_per_s = 12'500'000;  // 100 Mbit/s
  std::uint64_t total_bytes_per_s = 125'000'000;  // 1 Gbit/s
  /// Which addresses are public, and so have a quota.
  AddressRules address_rules = AddressRules::internet;
};

/// What is the same at every relay.
struct RelayRules {
  static constexpr Duration register_within = 10s;  // else the control connection is closed
  static constexpr Duration session_idle_max = 60s;
  static constexpr Duration session_young = 5s;  // gives way to no other

  static constexpr Duration client_burst = 50ms;                    // of its share, and at least
  static constexpr std::uint64_t client_burst_min_bytes = 131'072;  // two GSO trains

  static constexpr Duration message_interval = 20ms;
  static constexpr unsigned message_burst = 100;
  static constexpr Duration connect_interval = 250ms;
  static constexpr unsigned connect_burst = 32;
  static constexpr Duration signal_sent_interval = 100ms;
  static constexpr unsigned signal_sent_burst = 32;
  static constexpr Duration signal_received_interval = 25ms;
  static constexpr unsigned signal_received_burst = 64;

  static constexpr std::size_t signal_backlog_max_bytes = 65'536;    // unsent, then signals go
  static constexpr std::size_t control_backlog_max_bytes = 262'144;  // then the client goes
  static constexpr unsigned busy_percent = 95;  // no new reservations and sessions above
  static constexpr std::size_t challenges_queued_max = 64;  // newest refused

  // A discovery asks for up to twelve packets.
  static constexpr PrefixLimits stand_in_limits{
      .per_second = 20, .burst = 120, .total_per_second = 2000, .total_burst = 4000};
};

}  // namespace quicmesh
