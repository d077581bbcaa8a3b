#include "quic/quic_errc.hpp"

#include "base/error.hpp"

namespace quicmesh {
namespace {

constexpr ErrorText texts[] = {
    {int(QuicErrc::handshake_timeout), "no answer to the handshake",
     "check the address and port, that the peer runs, and that UDP is not blocked between you"},
    {int(QuicErrc::wrong_peer), "the node that answered has another NodeId than the one dialled",
     "the address belongs to another node, or someone answers in its place: check the NodeId"},
    {int(QuicErrc::no_certificate), "the peer presented no certificate",
     "every node must present its own self-signed Ed25519 certificate"},
    {int(QuicErrc::bad_certificate), "the peer's certificate is not one self-signed Ed25519 key",
     "RSA, ECDSA and certificate chains are not accepted: let the peer use its node identity"},
    {int(QuicErrc::refused_by_peer), "the peer refused our certificate",
     "the peer's reason is in its log and in the close reason"},
    {int(QuicErrc::protocol_not_offered), "no common application protocol (ALPN)",
     "one of the two speaks another version: update the older one"},
    {int(QuicErrc::tls_failure), "the TLS handshake failed", "the alert is in the close reason"},
    {int(QuicErrc::version_negotiation), "no common QUIC version",
     "one of the two speaks another version: update the older one"},
    {int(QuicErrc::too_many_connections), "the limit of connections is reached",
     "close some, or raise max_connections"},
    {int(QuicErrc::idle_timeout), "nothing was heard from the peer until the idle time-out",
     "the peer has gone or the network between you is down: dial again"},
    {int(QuicErrc::reset_by_peer), "the peer does not know this connection any more",
     "it was probably restarted: dial again"},
    {int(QuicErrc::closed_by_peer), "the peer closed the connection", "its reason follows"},
    {int(QuicErrc::closed_locally), "the connection was closed on this side", "dial again"},
    {int(QuicErrc::duplicate_connection), "both nodes dialled; the other connection was kept",
     "nothing to do: traffic goes over the connection that was kept"},
    {int(QuicErrc::protocol_violation), "the peer broke the protocol",
     "update the older of the two; if it persists, report it"},
    {int(QuicErrc::budget_exceeded), "the peer made this connection use more memory than allowed",
     "read faster, or raise the connection budget"},
    {int(QuicErrc::unknown_connection), "there is no such connection", "dial first"},
    {int(QuicErrc::internal), "the QUIC library reported an internal error", "report it"},
    {int(QuicErrc::would_block), "the send buffer is full", "wait for the stream to be writable"},
    {int(QuicErrc::stream_limit), "the peer allows no more streams now",
     "close streams, or wait until the peer allows more"},
    {int(QuicErrc::unknown_stream), "there is no such stream", "it may have been closed"},
    {int(QuicErrc::stream_closed), "the stream is already finished in this direction",
     "open a new stream"},
    {int(QuicErrc::stream_reset), "the peer abandoned the stream", "open a new stream"},
    {int(QuicErrc::stream_refused), "the peer does not speak the stream's protocol",
     "check the protocol's name and version on both sides"},
    {int(QuicErrc::datagram_too_large), "the datagram does not fit into one packet of this path",
     "send less than max_datagram_size(), or use a stream"},
    {int(QuicErrc::datagrams_unsupported), "the peer accepts no datagrams", "use a stream"},
    {int(QuicErrc::only_dialler_migrates), "only the side that dialled can migrate the connection",
     "send the dialler a hint instead"},
    {int(QuicErrc::migration_not_possible_yet), "the connection cannot migrate now",
     "wait until it is confirmed and a spare connection id has arrived"},
    {int(QuicErrc::key_update_not_possible_yet), "the previous key update is not confirmed",
     "try again after a round trip"},
};

constinit const HintedCategory category("quicmesh.quic", texts);

}  // namespace

std::error_code make_error_code(QuicErrc code) {
  return {static_cast<int>(code), category};
}

}  // namespace quicmesh
