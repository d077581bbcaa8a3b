// The box between a home and the internet: translates, filters, and counts what it dropped.
//
// The NAT is the simulator's (sim/nat.hpp): one table for UDP with the behaviour asked for, one for
// TCP (endpoint-independent mapping, filtered by address and port: enough for a client), one for
// ICMP echo, whose identifier stands for the port (RFC 5508). Errors of ICMP are translated with
// the packet that caused them (RFC 5508 s4.2). Without an external address it only routes and
// filters.
//
// A "sloppy" gateway takes new datagrams on its outer side for itself, as a Linux box without a
// drop rule does. Its connection tracking then holds (remote, external endpoint), so that the
// host's own datagram to that remote cannot leave from that endpoint any more and gets a port of
// its own; the remote's datagrams go on to the gateway itself, where nobody listens. A pair is
// forgotten `clash_lifetime` after its last datagram.
//
// Packets to the inner network that arrive from it are dropped: there is nobody at that address.
// IPv6 is routed, never translated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/rng.hpp"
#include "ip_packet.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"
#include "sim/nat.hpp"

namespace quicmesh::natlab {

enum class Side : std::uint8_t { inner, outer };

enum class GatewayDrop : std::uint8_t {
  fragment,
  time_to_live,
  denied,
  udp_blocked,
  tcp_blocked,
  unknown_protocol,
  stray,  // to an address of the inner network, or from inside of none of it
  unmapped,
  filtered,
  hairpin_refused,
  clashed,  // taken by the sloppy gateway for itself
};
inline constexpr std::size_t gateway_drops = 11;
[[nodiscard]] std::string_view name_of(GatewayDrop cause);

/// `address`/`bits`; IPv4.
struct Network {
  IpAddress address;
  unsigned bits = 0;

  static std::optional<Network> parse(std::string_view text);
  [[nodiscard]] bool contains(const IpAddress& other) const;
};

struct GatewayConfig {
  sim::NatConfig udp;
  std::vector<IpAddress> external;  // none: no NAT
  std::optional<Network> inner;     // what must not come back from inside
  bool sloppy = false;
  bool blocks_udp = false;
  std::vector<std::uint16_t> tcp_ports;  // the only ones that TCP may go to; none: all
};

class Gateway {
 public:
  static constexpr std::size_t clashes_max = 4096;  // beyond, new pairs are not noted
  static constexpr std::size_t denied_max = 64;
  static constexpr Duration clash_lifetime = 30s;  // nf_conntrack_udp_timeout

  /// `config.udp` and `config.external` have passed `sim::Nat::check`, if there is an address.
  Gateway(GatewayConfig config, Rng rng);

  /// Rewrites the packet and says to which side it goes on, or why it does not.
  std::expected<Side, GatewayDrop> pass(Instant now, Side from, IpPacket& packet);

  /// Forgets all mappings; later ports bear no relation to the earlier ones.
  void rebind();

  /// Packets to and from `remote` vanish; false if too many are denied already.
  bool deny(const IpAddress& remote);
  void allow(const IpAddress& remote);
  void allow_all() { denied_.clear(); }

  [[nodiscard]] std::uint64_t dropped(GatewayDrop cause) const {
    return dropped_[static_cast<std::size_t>(cause)];
  }
  [[nodiscard]] std::size_t udp_mappings() const { return nats_ ? nats_->udp.mappings() : 0; }
  [[nodiscard]] bool translates() const { return nats_.has_value(); }

 private:
  using Verdict = std::expected<Side, GatewayDrop>;
  struct Nats {
    sim::Nat udp;
    sim::Nat tcp;
    sim::Nat echo;
    sim::Nat clashed;  // ports of flows whose own one the gateway took
  };
  struct Pair {
    SocketAddress external;
    SocketAddress remote;
    bool operator==(const Pair&) const = default;
  };
  struct PairHash {
    std::size_t operator()(const Pair& pair) const noexcept;
  };

  Verdict judge(Instant now, Side from, IpPacket& packet);
  Verdict outbound(Instant now, IpPacket& packet);
  Verdict inbound(Instant now, IpPacket& packet);
  Verdict inbound_error(Instant now, IpPacket& packet);
  Verdict hairpin(Instant now, sim::Nat& nat, IpPacket& packet);
  [[nodiscard]] std::optional<GatewayDrop> forbidden(Side from, const IpPacket& packet) const;
  sim::Nat* nat_of(PacketKind kind);
  [[nodiscard]] bool clashes(Instant now, const Pair& pair) const;
  void note_clash(Instant now, const Pair& pair);

  GatewayConfig config_;
  std::optional<Nats> nats_;
  std::unordered_map<Pair, Instant, PairHash> clashes_;  // until when
  std::vector<IpAddress> denied_;
  std::array<std::uint64_t, gateway_drops> dropped_{};
};

}  // namespace quicmesh::natlab
