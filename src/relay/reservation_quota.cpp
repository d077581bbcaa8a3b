#include "relay/reservation_quota.hpp"

#include <algorithm>

namespace quicmesh {
namespace {

IpAddress masked(const IpAddress& ip, std::size_t bytes_kept) {
  auto bytes = ip.bytes();
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(bytes_kept), bytes.end(), std::uint8_t{0});
  if (ip.family() == IpFamily::v6) return IpAddress::v6(bytes);
  return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

IpAddress host_of(const IpAddress& ip) {
  return ip.family() == IpFamily::v6 ? masked(ip, 8) : ip;
}

template <class Counts>
std::size_t count_at(const Counts& counts, const IpAddress& key) {
  const auto found = counts.find(key);
  return found == counts.end() ? 0 : found->second;
}

template <class Counts>
void subtract(Counts& counts, const IpAddress& key) {
  const auto found = counts.find(key);
  if (found == counts.end()) return;
  if (--found->second == 0) counts.erase(found);
}

}  // namespace

IpAddress relay_network_of(const IpAddress& ip) {
  return masked(ip, ip.family() == IpFamily::v4 ? 3 : 6);
}

bool ReservationQuota::counts(const IpAddress& ip) const {
  return scope_of(ip, rules_) == AddressScope::public_internet;
}

bool ReservationQuota::reserve(const IpAddress& ip) {
  if (!counts(ip)) return true;
  if (count_at(ips_, host_of(ip)) >= per_ip_max_) {
    ++refused_by_ip_;
    return false;
  }
  if (count_at(networks_, relay_network_of(ip)) >= per_network_max_) {
    ++refused_by_network_;
    return false;
  }
  add(ip);
  return true;
}

void ReservationQuota::add(const IpAddress& ip) {
  ++ips_[host_of(ip)];
  ++networks_[relay_network_of(ip)];
}

void ReservationQuota::release(const IpAddress& ip) {
  if (!counts(ip)) return;
  subtract(ips_, host_of(ip));
  subtract(networks_, relay_network_of(ip));
}

void ReservationQuota::move(const IpAddress& from, const IpAddress& to) {
  release(from);
  if (counts(to)) add(to);
}

}  // namespace quicmesh
