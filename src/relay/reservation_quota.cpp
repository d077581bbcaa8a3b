#include "relay/reservation_quota.hpp"

#include "base/address_prefix.hpp"

namespace quicmesh {
namespace {

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

bool ReservationQuota::counts(const IpAddress& ip) const {
  return scope_of(ip, rules_) == AddressScope::public_internet;
}

bool ReservationQuota::reserve(const IpAddress& ip) {
  if (!counts(ip)) return true;
  if (count_at(ips_, host_of(ip)) >= per_ip_max_) {
    ++refused_by_ip_;
    return false;
  }
  if (count_at(networks_, network_of(ip)) >= per_network_max_) {
    ++refused_by_network_;
    return false;
  }
  add(ip);
  return true;
}

void ReservationQuota::add(const IpAddress& ip) {
  ++ips_[host_of(ip)];
  ++networks_[network_of(ip)];
}

void ReservationQuota::release(const IpAddress& ip) {
  if (!counts(ip)) return;
  subtract(ips_, host_of(ip));
  subtract(networks_, network_of(ip));
}

void ReservationQuota::move(const IpAddress& from, const IpAddress& to) {
  release(from);
  if (counts(to)) add(to);
}

}  // namespace quicmesh
