#include "base/address_prefix.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace quicmesh {

IpAddress prefix_of(const IpAddress& ip, std::size_t v4_bytes, std::size_t v6_bytes) {
  QM_ASSERT(v4_bytes <= 4 && v6_bytes <= 16);
  auto bytes = ip.bytes();
  const bool v6 = ip.family() == IpFamily::v6;
  const auto kept = static_cast<std::ptrdiff_t>(v6 ? v6_bytes : v4_bytes);
  std::fill(bytes.begin() + kept, bytes.end(), std::uint8_t{0});
  if (v6) return IpAddress::v6(bytes);
  return IpAddress::v4({bytes[0], bytes[1], bytes[2], bytes[3]});
}

IpAddress host_of(const IpAddress& ip) {
  return prefix_of(ip, 4, 8);
}

IpAddress network_of(const IpAddress& ip) {
  return prefix_of(ip, 3, 6);
}

}  // namespace quicmesh
