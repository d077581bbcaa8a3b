// How many packets go to an IP address that has never answered, over all peers (THREATS TQ10).
//
// Peers name addresses, and this node sends packets there: one that names a victim must not gain
// anything by it. Ten packets of at most 63 bytes are all that such an address gets, whoever named
// it and however often, until it has had an hour's rest: by then a NAT that let nothing in may do
// so. An address that answered with an authenticated frame is no stranger.
//
// Bound: `addresses_max` addresses are remembered. What is not known when they are all taken is
// refused, except that entries older than `forgotten_after` make room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

class StrangerAllowance {
 public:
  static constexpr unsigned packets_max = 10;
  static constexpr unsigned kept_for_punches = 5;  // of those: ordinary probes take no more
  static constexpr std::size_t addresses_max = 1024;
  static constexpr Duration forgotten_after = 1h;

  /// Takes leave for one packet to `ip`; false if there is none.
  bool take(Instant now, const IpAddress& ip);
  /// Packets that `ip` may still get.
  [[nodiscard]] unsigned left(Instant now, const IpAddress& ip) const;
  /// An authenticated frame came from `ip`.
  void answered(const IpAddress& ip);

  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Entry {
    unsigned sent = 0;
    bool answered = false;
    Instant last{};
  };
  std::map<IpAddress, Entry> entries_;
  std::uint64_t refused_ = 0;
};

}  // namespace quicmesh
