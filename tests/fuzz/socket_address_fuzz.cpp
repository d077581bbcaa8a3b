// Any text through the address parsers: what is accepted prints to a text that means the same, has
// a scope, and is never an IPv4-mapped IPv6 address.
#include <algorithm>
#include <array>

#include "base/assert.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/socket_address.hpp"

using namespace quicmesh;

namespace {

void check(const IpAddress& ip) {
  constexpr std::array<std::uint8_t, 12> mapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  QM_ASSERT(IpAddress::parse(ip.to_string()) == ip);
  QM_ASSERT(ip.family() == IpFamily::v4 ||
            !std::equal(mapped.begin(), mapped.end(), ip.bytes().begin()));
  (void)ip.scope();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  if (const auto ip = IpAddress::parse(text)) {
    check(*ip);
  }
  if (const auto address = SocketAddress::parse(text)) {
    QM_ASSERT(SocketAddress::parse(address->to_string()) == *address);
  }
  if (size == 16) {
    std::array<std::uint8_t, 16> bytes{};
    std::copy_n(data, size, bytes.begin());
    check(IpAddress::v6(bytes));
  }
  return 0;
}
