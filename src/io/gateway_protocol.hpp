// One protocol's talk with one gateway: NAT-PMP or UPnP-IGD. Blocking; for a worker thread.
#pragma once

#include <memory>
#include <span>

#include "io/default_gateway.hpp"
#include "io/patience.hpp"
#include "nat/port_mapping_keeper.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::io {

class GatewayProtocol {
 public:
  virtual ~GatewayProtocol() = default;

  /// The gateway's external address, and whether it still has what is `held`.
  virtual Result<GatewayStatus> status(std::span<const HeldMapping> held,
                                       const Patience& patience) = 0;
  /// Maps a UDP port, or renews its mapping. The gateway may choose another external port.
  virtual Result<GrantedMapping> map(const PortMappingKeeper::AskMapping& wanted,
                                     const Patience& patience) = 0;
  virtual void unmap(const HeldMapping& mapping, const Patience& patience) = 0;
};

/// Errors of all of them: the codes of PortMappingErrc.
std::unique_ptr<GatewayProtocol> make_nat_pmp(const DefaultGateway& gateway);
std::unique_ptr<GatewayProtocol> make_upnp_igd(const DefaultGateway& gateway);

}  // namespace quicmesh::io
