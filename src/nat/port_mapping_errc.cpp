#include "nat/port_mapping_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(PortMappingErrc::no_gateway), "this machine has no default gateway",
     "nothing, if it is on the internet itself or on a network of its own"},
    {int(PortMappingErrc::no_answer), "the gateway does not answer port mapping requests",
     "switch on UPnP or NAT-PMP in the router, or forward the UDP port there by hand"},
    {int(PortMappingErrc::refused), "the gateway refuses to map the port",
     "look at the router's UPnP permissions, or forward the UDP port there by hand"},
    {int(PortMappingErrc::not_authorized), "the gateway does not let this machine map ports",
     "switch on UPnP or NAT-PMP in the router, or forward the UDP port there by hand"},
    {int(PortMappingErrc::out_of_resources), "the gateway has no room for another mapping",
     "restart the router, or delete mappings that nobody uses"},
    {int(PortMappingErrc::double_nat), "the gateway's own address is not public: a second NAT",
     "map the port on the outer router as well, put the inner one in bridge mode, or ask the "
     "provider for a public address"},
    {int(PortMappingErrc::useless_mapping), "the gateway granted a mapping that nobody can use",
     "forward the UDP port in the router by hand"},
    {int(PortMappingErrc::malformed_answer), "the gateway's answer makes no sense",
     "update the router's firmware, or forward the UDP port there by hand"},
    {int(PortMappingErrc::answer_too_large), "the gateway's answer is too large",
     "update the router's firmware, or forward the UDP port there by hand"},
    {int(PortMappingErrc::foreign_address), "the gateway names another machine to talk to",
     "find out which machine answers for the router on this network"},
    {int(PortMappingErrc::interrupted), "asking the gateway was interrupted",
     "nothing: the node is closing"},
};

constinit const HintedCategory category("quicmesh.port_mapping", texts);

}  // namespace

std::error_code make_error_code(PortMappingErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
