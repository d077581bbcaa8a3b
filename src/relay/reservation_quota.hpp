// How many clients of a relay come from one IP address and one network.
//
// Counted are public addresses only: a LAN behind its own relay, or a test on loopback, has no
// quota but the total. Of IPv6 a /64 counts as one address, since one host has all of it; the
// network is a /24 of IPv4 and a /48 of IPv6. There are at most as many entries as reservations.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <functional>

#include "base/laboratory_address.hpp"

namespace quicmesh {

class ReservationQuota {
 public:
  ReservationQuota(std::size_t per_ip_max, std::size_t per_network_max, AddressRules rules)
      : per_ip_max_(per_ip_max), per_network_max_(per_network_max), rules_(rules) {}

  /// False, and counted as such, if a quota is used up.
  bool reserve(const IpAddress& ip);
  void release(const IpAddress& ip);
  /// A client is now at `to`: it keeps its reservation, whatever that adds up to there.
  void move(const IpAddress& from, const IpAddress& to);

  [[nodiscard]] std::size_t ips() const { return ips_.size(); }
  [[nodiscard]] std::size_t networks() const { return networks_.size(); }
  [[nodiscard]] std::uint64_t refused_by_ip() const { return refused_by_ip_; }
  [[nodiscard]] std::uint64_t refused_by_network() const { return refused_by_network_; }

 private:
  using Counts = boost::unordered_flat_map<IpAddress, std::uint32_t, std::hash<IpAddress>>;
  void add(const IpAddress& ip);
  [[nodiscard]] bool counts(const IpAddress& ip) const;

  std::size_t per_ip_max_;
  std::size_t per_network_max_;
  AddressRules rules_;
  Counts ips_;
  Counts networks_;
  std::uint64_t refused_by_ip_ = 0;
  std::uint64_t refused_by_network_ = 0;
};

}  // namespace quicmesh
