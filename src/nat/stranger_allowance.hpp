// How many packets go to an IP address that has never answered, over all peers (THREATS TQ10).
//
// Peers name addresses, and this node sends packets there: one that names a victim must not gain
// anything by it. Ten packets of at most 63 bytes are all that such an address gets, whoever named
// it and however often, until it has had an hour's rest: by then a NAT that let nothing in may do
// so. What comes from there is answered apart from those, packet for packet and forty times: a peer
// can write any source, but gains only as many packets as it sends. An address that answered with
// an authenticated frame is no stranger. Where a relay attests that the peer is there, guesses at
// its ports go further: two punches' worth, since relay and peer may be one.
//
// Bound: two generations of `addresses_max / 2` addresses. When the younger is full, the elder is
// forgotten, and what is still used moves over. So whoever names many addresses takes no stranger's
// place; to have a victim forgotten takes a thousand times as many handshakes as it gives packets.
// All O(1).
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstddef>
#include <cstdint>

#include "quicmesh/socket_address.hpp"
#include "quicmesh/time.hpp"

namespace quicmesh {

class StrangerAllowance {
 public:
  static constexpr unsigned packets_max = 10;
  static constexpr unsigned kept_for_punches = 5;     // of those: ordinary probes take no more,
  static constexpr unsigned kept_from_forwarded = 3;  // but two, to a port said to be forwarded
  static constexpr unsigned replies_max = 40;         // to packets that came from there
  static constexpr unsigned guesses_max = 4096;       // to an address that a relay attests
  static constexpr std::size_t addresses_max = 16'384;
  static constexpr Duration forgotten_after = 1h;

  /// Takes leave for one packet to `ip`; false if there is none.
  bool take(Instant now, const IpAddress& ip);
  /// The same for one packet for one that came from `ip`.
  bool take_reply(Instant now, const IpAddress& ip);
  /// The same for one guess at a port of an attested address.
  bool take_guess(Instant now, const IpAddress& ip);
  /// Packets that `ip` may still get.
  [[nodiscard]] unsigned left(Instant now, const IpAddress& ip) const;
  /// An authenticated frame came from `ip`.
  void answered(const IpAddress& ip);

  [[nodiscard]] std::uint64_t refused() const { return refused_; }
  [[nodiscard]] std::size_t addresses() const { return young_.size() + old_.size(); }

 private:
  struct Entry {
    unsigned sent = 0;
    unsigned replied = 0;
    unsigned guessed = 0;
    bool answered = false;
    Instant last{};
  };
  using Generation = boost::unordered_flat_map<IpAddress, Entry, std::hash<IpAddress>>;

  bool take_of(Instant now, const IpAddress& ip, unsigned Entry::* count, unsigned count_max);
  Entry& entry_of(Instant now, const IpAddress& ip);
  [[nodiscard]] const Entry* find(const IpAddress& ip) const;

  Generation young_;
  Generation old_;
  std::uint64_t refused_ = 0;
};

}  // namespace quicmesh
