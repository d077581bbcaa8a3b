// A NAT for UDP in the terms of RFC 4787: mapping x filtering behaviour, port allocation, lifetime,
// hairpinning. It only translates; where it stands is the network's business (a CGNAT is a NAT
// whose outside is the inside of another).
//
// Outbound: the mapping of (inner endpoint, what the mapping behaviour says of the destination) is
// found or made; the destination gets a permission there. Inbound: the mapping of the external
// endpoint must exist and, unless filtering is endpoint-independent, hold a permission that matches
// the source. A mapping lives `lifetime` after the last outbound datagram (RFC 4787 REQ-6), after
// any inbound one too if `refresh` says so; a permission lives as long after the last datagram sent
// to it.
//
// External addresses form a pool with "paired" behaviour (REQ-2): an inner host always gets the
// same one. A port is never shared by two mappings of an address ("no port overloading", REQ-3).
// Hairpinning (REQ-9a): a datagram from inside to an external endpoint comes back in with the
// *external* source address and port of its sender.
//
// A forwarded port (`forward`, as a gateway does it for UPnP-IGD or NAT-PMP) is open to everybody;
// what is answered there leaves by it. All else that its host sends is translated as ever.
//
// Bounds: `mappings_max` a NAT, `permissions_max` a mapping; in both the one that would expire
// first goes, and is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/rng.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh::sim {

/// RFC 4787 s4.1 for mapping, s5 for filtering: on how much of the far end the behaviour depends.
enum class NatDependence : std::uint8_t {
  endpoint_independent,
  address_dependent,
  address_and_port_dependent,
};

/// How the external port of a new mapping is chosen (RFC 4787 s4.2).
enum class PortAllocation : std::uint8_t {
  preserving,  // the inner port, else the next free one
  sequential,  // the last one plus `port_delta`, else the next free one
  random,
};

enum class NatRefresh : std::uint8_t { outbound, both_ways };
enum class Hairpin : std::uint8_t { off, on };

struct NatConfig {
  NatDependence mapping = NatDependence::endpoint_independent;
  NatDependence filtering = NatDependence::address_and_port_dependent;
  PortAllocation ports = PortAllocation::random;
  std::uint16_t port_delta = 1;
  Duration lifetime = 120s;  // RFC 4787 REQ-5: at least two minutes; real ones go down to 30 s
  NatRefresh refresh = NatRefresh::outbound;
  Hairpin hairpin = Hairpin::off;
  std::size_t mappings_max = 16'384;
};

/// The names of RFC 3489 s5, which RFC 4787 replaced but people still use: "full cone" (S1.33),
/// "restricted cone" (S1.34), "port-restricted cone" (S1.35), "symmetric" (S1.36: any mapping that
/// depends on the destination).
[[nodiscard]] std::string_view classic_name(NatDependence mapping, NatDependence filtering);

struct NatCounters {
  std::uint64_t mappings_made = 0;
  std::uint64_t mappings_expired = 0;
  std::uint64_t mappings_evicted = 0;     // table full
  std::uint64_t permissions_evicted = 0;  // a mapping's permissions full
  std::uint64_t unmapped = 0;             // inbound to a port that no mapping has
  std::uint64_t filtered = 0;             // inbound from a source without permission
  std::uint64_t hairpin_refused = 0;
};

/// Inbound: where a datagram goes inside, or why it does not.
enum class NatDrop : std::uint8_t { unmapped, filtered, hairpin_refused };

class Nat {
 public:
  static constexpr std::size_t permissions_max = 1024;  // birthday probing sends to ~500 ports
  static constexpr std::uint16_t first_port = 1024;
  static constexpr std::size_t ports_per_address = 65'536 - first_port;

  /// `SimErrc::bad_nat` if a figure is out of range.
  static Result<void> check(const NatConfig& config,
                            const std::vector<IpAddress>& external_addresses);

  /// The arguments have passed `check`.
  Nat(const NatConfig& config, std::vector<IpAddress> external_addresses, Rng rng);

  /// The external source of a datagram from `inner` to `destination`; makes or refreshes the
  /// mapping.
  SocketAddress translate_outbound(Instant now, const SocketAddress& inner,
                                   const SocketAddress& destination);

  /// The inner destination of a datagram from `source` to our `external` endpoint.
  std::expected<SocketAddress, NatDrop> translate_inbound(Instant now,
                                                          const SocketAddress& external,
                                                          const SocketAddress& source);

  struct Hairpinned {
    SocketAddress source;       // external, as REQ-9a wants
    SocketAddress destination;  // inner
  };
  /// A datagram from inside to one of our own external endpoints.
  std::expected<Hairpinned, NatDrop> hairpin(Instant now, const SocketAddress& inner,
                                             const SocketAddress& external);

  /// Forwards `external`, of one of the external addresses, to `inner` until it forgets.
  void forward(const SocketAddress& external, const SocketAddress& inner);

  /// Forgets everything, as a reboot does; later ports bear no relation to the earlier ones.
  void rebind();

  /// Takes other external addresses, which have passed `check`, and forgets everything.
  void renumber(std::vector<IpAddress> external_addresses);

  [[nodiscard]] bool owns(const IpAddress& address) const;
  [[nodiscard]] const std::vector<IpAddress>& external_addresses() const { return external_; }
  [[nodiscard]] const NatConfig& config() const { return config_; }
  [[nodiscard]] const NatCounters& counters() const { return counters_; }
  [[nodiscard]] std::size_t mappings() const { return by_external_.size(); }

 private:
  static constexpr std::uint32_t no_mapping = ~std::uint32_t{0};

  struct MappingKey {
    SocketAddress inner;
    SocketAddress destination;  // as far as the mapping behaviour looks at it
    bool operator==(const MappingKey&) const = default;
  };
  struct MappingKeyHash {
    std::size_t operator()(const MappingKey& key) const noexcept;
  };
  struct Permission {
    SocketAddress remote;  // as far as the filtering behaviour looks at it
    Instant expires;
  };
  struct Mapping {
    MappingKey key;
    SocketAddress external;
    Instant expires;
    std::vector<Permission> permissions;
    std::uint32_t earlier = no_mapping;  // neighbours in order of expiry
    std::uint32_t later = no_mapping;
  };

  [[nodiscard]] static SocketAddress as_seen(NatDependence dependence, const SocketAddress& remote);
  std::uint32_t find_or_make(Instant now, const SocketAddress& inner,
                             const SocketAddress& destination);
  void expire(Instant now);
  void refresh(Instant now, std::uint32_t index);
  void permit(Instant now, Mapping& mapping, const SocketAddress& destination);
  [[nodiscard]] bool permits(Instant now, const Mapping& mapping,
                             const SocketAddress& source) const;
  [[nodiscard]] SocketAddress allocate(const SocketAddress& inner);
  void link_last(std::uint32_t index);
  void unlink(std::uint32_t index);
  void forget(std::uint32_t index);

  NatConfig config_;
  std::vector<IpAddress> external_;
  Rng rng_;
  std::uint16_t last_port_;
  std::vector<Mapping> mappings_;
  std::vector<std::uint32_t> free_;
  std::unordered_map<MappingKey, std::uint32_t, MappingKeyHash> by_key_;
  std::unordered_map<SocketAddress, std::uint32_t> by_external_;
  std::unordered_map<SocketAddress, SocketAddress> forwarded_;                 // external to inner
  std::unordered_map<MappingKey, SocketAddress, MappingKeyHash> answered_by_;  // who came so, where
  std::uint32_t first_to_expire_ = no_mapping;
  std::uint32_t last_to_expire_ = no_mapping;
  NatCounters counters_;
};

}  // namespace quicmesh::sim
