#include "turn/turn_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(TurnErrc::no_answer), "the TURN server does not answer",
     "check its address and port, and that it listens on UDP"},
    {int(TurnErrc::wrong_credentials), "the TURN server refuses the user name or the password",
     "check both; time-limited credentials may be over"},
    {int(TurnErrc::refused), "the TURN server refuses the request",
     "look at the server's log; it may forbid UDP relaying"},
    {int(TurnErrc::quota_reached), "the user has all the allocations that the TURN server allows",
     "end other clients of that user, or raise user-quota on the server"},
    {int(TurnErrc::no_capacity), "the TURN server has no relay port left", "use another server"},
    {int(TurnErrc::forbidden_peer), "the TURN server does not relay to that peer",
     "look at allowed-peer-ip and denied-peer-ip in its configuration"},
    {int(TurnErrc::allocation_lost), "the TURN server has lost the allocation",
     "nothing: another one is asked for"},
    {int(TurnErrc::malformed_answer), "the TURN server's answer makes no sense",
     "check that a TURN server listens at that address"},
    {int(TurnErrc::redirected), "the TURN server sends us to another one",
     "name that other server; redirections are not followed"},
    {int(TurnErrc::bid_down), "somebody on the way weakens the TURN server's authentication",
     "try another network"},
    {int(TurnErrc::too_many_peers), "the TURN allocation has no room for another peer",
     "disconnect from some peers"},
    {int(TurnErrc::no_channel_data), "the datagram is no ChannelData message",
     "check that a TURN server listens at that address"},
};

constinit const HintedCategory category("quicmesh.turn", texts);

}  // namespace

std::error_code make_error_code(TurnErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
