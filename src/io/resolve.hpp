// Names to addresses: getaddrinfo on a thread of its own, so that a slow name server stops nobody.
//
// The thread is Asio's: its resolver keeps one for each execution context and runs one query after
// another there.
#pragma once

#include <vector>

#include "quicmesh/node_address.hpp"
#include "quicmesh/task.hpp"

namespace quicmesh::io {

/// The addresses of `host`, IPv6 and IPv4 in the resolver's order (RFC 6724), at most
/// `NodeAddress::addresses_max`; at once if it is an IP address. Fails with name_not_found or
/// name_service_failed. Safe to cancel.
Task<std::vector<SocketAddress>> resolve(HostPort host);

}  // namespace quicmesh::io
