// Any text through the node address parser: what is accepted is bounded and comes back from its
// text.
#include "base/assert.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/node_address.hpp"

using namespace quicmesh;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  if (const auto host = HostPort::parse(text)) {
    QM_ASSERT(host->port != 0 && host->host.size() <= 253);
    QM_ASSERT(HostPort::parse(host->to_string()) == *host);
  }
  // The hosts are reached without having to guess a checksum.
  for (const std::string& whole :
       {std::string(text), NodeId{}.to_short_string() + "@" + std::string(text)}) {
    const auto address = NodeAddress::parse(whole);
    if (!address) continue;
    QM_ASSERT(address->addresses.size() <= NodeAddress::addresses_max);
    QM_ASSERT(NodeAddress::parse(address->to_string()) == *address);
  }
  return 0;
}
