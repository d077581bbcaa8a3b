#include "relay/relay_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(RelayErrc::not_here), "the node is not registered at the relay",
     "use a relay that both nodes name, or dial the node by address"},
    {int(RelayErrc::busy), "the relay is at its limit", "wait, or name a second relay"},
    {int(RelayErrc::quota), "a quota of the relay is used up",
     "close sessions that are not needed, or name a relay of your own"},
    {int(RelayErrc::redirect), "the relay is at its limit and named others", "try those"},
    {int(RelayErrc::not_registered), "the relay does not know this node yet",
     "register at the relay first"},
    {int(RelayErrc::slow_down), "the relay was asked too often", "ask again in a second"},
    {int(RelayErrc::closed_by_peer), "the other node closed the relayed session",
     "connect again if it is needed"},
    {int(RelayErrc::peer_gone), "the other node left the relay",
     "wait until it is back, or try another relay"},
    {int(RelayErrc::session_idle), "the relayed session was not used and has expired",
     "connect again when it is needed"},
    {int(RelayErrc::evicted), "the relayed session gave way to a newer one",
     "connect again, or name a relay of your own"},
    {int(RelayErrc::replaced), "the node has registered anew over another connection",
     "check that no two programs run with one key"},
    {int(RelayErrc::relay_lost), "the connection to the relay is lost",
     "nothing to do: it is tried again by itself"},
    {int(RelayErrc::relay_silent), "the relay does not answer any more",
     "nothing to do: it is tried again by itself; name a second relay"},
    {int(RelayErrc::no_relay), "no relay is known", "name one with --relay-via"},
    {int(RelayErrc::no_answer), "the relay did not answer the request", "try again"},
    {int(RelayErrc::too_many), "there are too many relays, nodes or sessions",
     "close some that are not needed"},
    {int(RelayErrc::bad_signal), "a signal must have 1 to 1200 bytes",
     "send less at once, or use a stream"},
    {int(RelayErrc::closed_here), "the relayed session was closed by this node",
     "connect again if it is needed"},
    {int(RelayErrc::out_of_place), "a message came that this side never gets",
     "update the older of the two nodes"},
    {int(RelayErrc::not_reached), "the relay was reached neither by UDP nor by TLS over TCP",
     "see that it runs, and which ports the firewalls let pass; --relay-tls gives it TCP"},
};

constinit const HintedCategory category("quicmesh.relay", texts);

}  // namespace

std::error_code make_error_code(RelayErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
