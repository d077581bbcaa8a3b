#include "nat/nat_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(NatErrc::malformed_profile), "the NAT profile is malformed",
     "update the older of the two nodes"},
    {int(NatErrc::unknown_profile_version), "the NAT profile is of an unknown version",
     "update this node"},
    {int(NatErrc::no_servers), "no STUN server is known for this address family",
     "name one, or connect to a public node"},
    {int(NatErrc::too_many_servers), "too many STUN servers were given", "give at most 8"},
    {int(NatErrc::malformed_punch_message), "the peer's word on hole punching is malformed",
     "update the older of the two nodes"},
    {int(NatErrc::unknown_punch_version), "the peer's word on hole punching is of another version",
     "update the older of the two nodes"},
    {int(NatErrc::too_many_punches), "holes are being punched to too many peers at once",
     "the connection stays relayed; it is tried again later"},
    {int(NatErrc::punch_too_soon), "punching to this peer failed a short while ago",
     "the connection stays relayed; it is tried again later"},
    {int(NatErrc::unusable_external), "the peer's external address is none to send to",
     "check what STUN servers and relays tell the peer"},
};

constinit const HintedCategory category("quicmesh.nat", texts);

}  // namespace

std::error_code make_error_code(NatErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
