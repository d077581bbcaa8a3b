// See local_addresses.hpp.
#include "io/local_addresses.hpp"

#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>

#include "io/sockaddr.hpp"

namespace quicmesh::io {

std::vector<IpAddress> all_local_addresses() {
  std::vector<IpAddress> addresses;
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return addresses;
  for (const ifaddrs* one = list; one != nullptr; one = one->ifa_next) {
    const bool works = (one->ifa_flags & IFF_UP) != 0 && (one->ifa_flags & IFF_RUNNING) != 0;
    if (one->ifa_addr == nullptr || !works) continue;
    if (const auto address = from_kernel(one->ifa_addr)) addresses.push_back(address->ip);
  }
  ::freeifaddrs(list);
  return addresses;
}

std::vector<IpAddress> local_addresses(IpFamily family) {
  std::vector<IpAddress> addresses = all_local_addresses();
  std::erase_if(addresses, [&](const IpAddress& ip) {
    const AddressScope scope = ip.scope();
    return ip.family() != family || scope == AddressScope::link_local ||
           scope == AddressScope::unusable;
  });
  // The enumerators of AddressScope go from near to far.
  std::ranges::stable_sort(
      addresses, [](const IpAddress& a, const IpAddress& b) { return a.scope() > b.scope(); });
  return addresses;
}

}  // namespace quicmesh::io
