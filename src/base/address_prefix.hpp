// Which addresses may well be one person's: what bounds are counted by.
//
// Of IPv6 a /64 is one host, which has all of it (RFC 4291 s2.5.1); a network is a /24 of IPv4, the
// least that is routed by itself, and a /48 of IPv6, what a site is given (RFC 6177).
#pragma once

#include <cstddef>

#include "quicmesh/socket_address.hpp"

namespace quicmesh {

/// The first bytes of `ip`, so many of its family; the others are zero.
[[nodiscard]] IpAddress prefix_of(const IpAddress& ip, std::size_t v4_bytes, std::size_t v6_bytes);

/// The host that has `ip`: an IPv4 address, or a /64.
[[nodiscard]] IpAddress host_of(const IpAddress& ip);

/// The network that `ip` is of: a /24, or a /48.
[[nodiscard]] IpAddress network_of(const IpAddress& ip);

}  // namespace quicmesh
