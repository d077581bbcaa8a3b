#include "base/laboratory_address.hpp"

#include <array>

namespace quicmesh {
namespace {

struct Range {
  std::array<std::uint8_t, 4> first;
  std::array<std::uint8_t, 4> last;
};

constexpr std::array<Range, 5> v4_ranges{{
    {{100, 64, 0, 0}, {100, 127, 255, 255}},
    {{192, 0, 2, 0}, {192, 0, 2, 255}},
    {{198, 18, 0, 0}, {198, 19, 255, 255}},
    {{198, 51, 100, 0}, {198, 51, 100, 255}},
    {{203, 0, 113, 0}, {203, 0, 113, 255}},
}};

}  // namespace

bool is_laboratory_address(const IpAddress& ip) {
  if (ip.family() == IpFamily::v6) {
    const auto& b = ip.bytes();
    return b[0] == 0x20 && b[1] == 0x01 && b[2] == 0x0d && b[3] == 0xb8;
  }
  for (const Range& range : v4_ranges) {
    if (ip >= IpAddress::v4(range.first) && ip <= IpAddress::v4(range.last)) return true;
  }
  return false;
}

AddressScope scope_of(const IpAddress& ip, AddressRules rules) {
  if (rules == AddressRules::laboratory && is_laboratory_address(ip)) {
    return AddressScope::public_internet;
  }
  return ip.scope();
}

}  // namespace quicmesh
