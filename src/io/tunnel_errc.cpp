#include "io/tunnel_errc.hpp"

#include <cerrno>

#include "base/error.hpp"
#include "io/system_error.hpp"

namespace quicmesh::io {
namespace {

constexpr ErrorText texts[] = {
    {int(TunnelErrc::refused), "nobody listens on the relay's TCP port",
     "start the relay with --relay-tls, or name its TCP port"},
    {int(TunnelErrc::unreachable), "the network has no way to the relay's TCP port",
     "look at the routes and at the firewall"},
    {int(TunnelErrc::no_answer), "the relay's TCP port did not complete a handshake in time",
     "look for a firewall that drops TCP to this port; 443 is open where the web is"},
    {int(TunnelErrc::tls_failed), "what answered on the relay's TCP port does not speak TLS 1.3",
     "check that the port is the one of --relay-tls"},
    {int(TunnelErrc::not_a_relay), "what answered on the relay's TCP port is another TLS server",
     "check that the port is the one of --relay-tls"},
    {int(TunnelErrc::bad_frame), "the other end of the tunnel sent what is no frame",
     "update the older of the two nodes"},
    {int(TunnelErrc::idle), "nothing came through the tunnel for a minute",
     "nothing to do: it is opened again when it is needed"},
    {int(TunnelErrc::stalled), "the other end of the tunnel has stopped to read",
     "nothing to do: it is opened again when it is needed"},
    {int(TunnelErrc::ended), "the other end closed the tunnel",
     "nothing to do: it is opened again when it is needed"},
    {int(TunnelErrc::connection_lost), "the tunnel's TCP connection broke",
     "nothing to do: it is opened again when it is needed"},
    {int(TunnelErrc::evicted), "the relay needed the place for a newer connection",
     "nothing to do: it is opened again when it is needed"},
    {int(TunnelErrc::too_many), "this node has too many tunnels",
     "close connections that are not needed"},
    {int(TunnelErrc::unproved), "no client of the relay proved itself through the tunnel",
     "nothing to do: only connections of nodes keep a tunnel"},
};

constinit const HintedCategory category("quicmesh.tunnel", texts);

}  // namespace

std::error_code make_error_code(TunnelErrc code) {
  return {static_cast<int>(code), category};
}

std::error_code tunnel_error_of_errno(int error_number) {
  switch (error_number) {
    case ECONNREFUSED:
      return TunnelErrc::refused;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EACCES:
    case EPERM:
      return TunnelErrc::unreachable;
    case ETIMEDOUT:
      return TunnelErrc::no_answer;
    case EMFILE:
    case ENFILE:
      return socket_error(error_number);
    default:
      return TunnelErrc::connection_lost;
  }
}

}  // namespace quicmesh::io
