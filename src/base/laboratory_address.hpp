// The scope of an address on the internet, and in a laboratory that stands for it.
//
// Simulations and network namespaces need "public" addresses that are nobody's: the documentation
// ranges (RFC 5737, RFC 3849), carrier-grade NAT's (RFC 6598) and the benchmarking one (RFC 2544).
// Outside a laboratory they never are public; inside, they count as such.
#pragma once

#include "quicmesh/socket_address.hpp"

namespace quicmesh {

enum class AddressRules : unsigned char { internet, laboratory };

/// True for the ranges named above.
bool is_laboratory_address(const IpAddress& ip);

AddressScope scope_of(const IpAddress& ip, AddressRules rules);

}  // namespace quicmesh
