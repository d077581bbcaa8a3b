// See local_addresses.hpp.
#include "io/local_addresses.hpp"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>

#include "io/sockaddr.hpp"

namespace quicmesh::io {

std::vector<IpAddress> local_addresses(IpFamily family) {
  std::vector<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || (one->ifa_flags & IFF_UP) == 0) continue;
    const auto address = from_kernel(one->ifa_addr);
    if (!address || address->ip.family() != family) continue;
    const AddressScope scope = address->ip.scope();
    if (scope == AddressScope::link_local || scope == AddressScope::unusable) continue;
    addresses.push_back(address->ip);
  }
  ::freeifaddrs(list);
  // The enumerators of AddressScope go from near to far.
  std::ranges::stable_sort(
      addresses, [](const IpAddress& a, const IpAddress& b) { return a.scope() > b.scope(); });
  return addresses;
}

}  // namespace quicmesh::io
