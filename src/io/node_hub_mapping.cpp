// The part of a hub that has ports mapped by the gateway: news of a PortMapper's threads go to the
// core, and to the user as events; see node_hub.hpp.
#include <algorithm>
#include <utility>

#include "io/node_hub.hpp"
#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {

void NodeHub::map_ports(AddressRules rules) {
  PortMapper::Options options;
  options.rules = rules;
  for (const SocketInfo& socket : sockets_) {
    const bool reachable = socket.local.ip.family() == IpFamily::v4 &&
                           socket.local.ip.scope() != AddressScope::loopback;
    if (reachable) options.sockets.push_back(socket.local);
  }
  if (options.sockets.empty()) return;
  auto tell = [weak = weak_from_this()](const PortMappingNews& news) {
    const auto hub = weak.lock();
    if (!hub) return;
    // The command lives no longer than the hub, which runs it.
    hub->command([at = hub.get(), news](Instant now, HostedNode& node) {
      MappedAddresses mapped{.protocols = news.protocols,
                             .gateway_external = news.gateway_external,
                             .error = news.verdict};
      for (const PortMapping& mapping : news.mappings)
        mapped.addresses.push_back(mapping.external);
      node.core().set_mapped_addresses(now, std::move(mapped));
      at->take_mappings(news);
    });
  };
  std::shared_ptr<PortMapper> mapper = PortMapper::start(std::move(options), std::move(tell));
  const std::scoped_lock lock(mutex_);
  port_mapper_ = std::move(mapper);
}

void NodeHub::stop_mapping() {
  std::shared_ptr<PortMapper> mapper;
  {
    const std::scoped_lock lock(mutex_);
    mapper = port_mapper_;
  }
  if (mapper) mapper->stop();
}

void NodeHub::take_mappings(const PortMappingNews& news) {
  const PortMappingNews before = std::exchange(mappings_, news);
  const std::scoped_lock lock(mutex_);
  for (const PortMapping& mapping : news.mappings) {
    if (std::ranges::find(before.mappings, mapping) != before.mappings.end()) continue;
    report(event::PortMapped{mapping.protocol, mapping.external, mapping.internal_port,
                             mapping.lifetime});
  }
  // A machine without a gateway misses nothing.
  const bool failed = news.verdict && news.verdict != PortMappingErrc::no_gateway;
  if (failed && news.verdict != before.verdict) {
    report(event::PortMappingFailed{news.verdict, news.gateway_external});
  }
}

}  // namespace quicmesh::io
