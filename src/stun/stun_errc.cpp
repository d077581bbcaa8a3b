#include "stun/stun_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(StunErrc::malformed_message), "the datagram is no STUN message",
     "check that a STUN server listens at that address"},
    {int(StunErrc::malformed_attribute), "an attribute of the STUN message is malformed",
     "use another STUN server"},
    {int(StunErrc::missing_attribute), "the STUN message lacks the attribute",
     "use a STUN server that speaks RFC 8489"},
    {int(StunErrc::wrong_fingerprint), "the fingerprint of the STUN message is wrong",
     "something on the way changes packets; try another network"},
    {int(StunErrc::message_too_long), "the STUN message does not fit its buffer",
     "leave attributes out"},
    {int(StunErrc::too_many_transactions), "too many STUN requests are under way",
     "wait for some to end"},
    {int(StunErrc::no_answer), "the STUN server did not answer",
     "check the address; UDP may be blocked on this network"},
    {int(StunErrc::change_request_ignored), "the STUN server answered from the address asked",
     "use a STUN server with two addresses (RFC 5780)"},
    {int(StunErrc::forbidden_digest), "this system forbids the digest that the server asks for",
     "use a server that offers SHA-256"},
};

constinit const HintedCategory category("quicmesh.stun", texts);

}  // namespace

std::error_code make_error_code(StunErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
