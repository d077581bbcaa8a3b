// The addresses of this machine's interfaces.
#pragma once

#include <vector>

#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

/// Those of interfaces that are up and running (a cable is in), of `family`: public ones first,
/// then private, then loopback. Link-local ones are left out: they mean nothing without their
/// interface.
std::vector<IpAddress> local_addresses(IpFamily family);

/// All of them, link-local ones too.
std::vector<IpAddress> all_local_addresses();

}  // namespace quicmesh::io
