// What the gateway of this network has said and granted (io/port_mapper.hpp): a driver tells its
// core.
#pragma once

#include <optional>
#include <system_error>
#include <vector>

#include "nat/nat_profile.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh {

struct MappedAddresses {
  std::vector<SocketAddress> addresses;  // forwarded to this node
  PortMappingProtocols protocols;        // that the gateway answers to
  /// The gateway's own address outside; not public behind a second NAT.
  std::optional<IpAddress> gateway_external;
  std::error_code error;  // why nothing is forwarded; empty while that is not known

  auto operator<=>(const MappedAddresses&) const = default;
};

}  // namespace quicmesh
