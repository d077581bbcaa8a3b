// tls_handshake: how many mutual Ed25519 TLS 1.3 handshakes one core does with GnuTLS alone.
//
// Both ends live in one process and exchange records through memory, so no packet, no socket and no
// QUIC is in the figure: it is the floor below which an authenticated connection cannot cost.
// Each handshake is complete when both ends are done and both have extracted the other's key.
//
//   tls_handshake [--seconds N] [--cpu N] [--raw-keys]
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "common/arguments.hpp"
#include "common/child.hpp"
#include "common/credentials.hpp"
#include "common/json_line.hpp"
#include "common/measure.hpp"

namespace {

using namespace bench;

/// One end: what it has sent lies in `outbox` until the other end reads it.
struct End {
  gnutls_session_t session = nullptr;
  End* other = nullptr;
  std::vector<std::uint8_t> outbox;
  std::size_t taken = 0;  // bytes of outbox the other end has read
  bool done = false;
  PublicKey peer_key{};
  bool peer_known = false;
};

int verify(gnutls_session_t session) {
  auto& end = *static_cast<End*>(gnutls_session_get_ptr(session));
  end.peer_known = extract_peer_key(session, end.peer_key);
  return end.peer_known ? 0 : GNUTLS_E_CERTIFICATE_ERROR;
}

ssize_t push(gnutls_transport_ptr_t pointer, const void* data, std::size_t size) {
  auto& end = *static_cast<End*>(pointer);
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  end.outbox.insert(end.outbox.end(), bytes, bytes + size);
  return static_cast<ssize_t>(size);
}

ssize_t pull(gnutls_transport_ptr_t pointer, void* data, std::size_t size) {
  auto& end = *static_cast<End*>(pointer);
  End& from = *end.other;
  const std::size_t available = std::min(size, from.outbox.size() - from.taken);
  if (available == 0) {
    gnutls_transport_set_errno(end.session, EAGAIN);
    return -1;
  }
  std::memcpy(data, from.outbox.data() + from.taken, available);
  from.taken += available;
  return static_cast<ssize_t>(available);
}

int pull_timeout(gnutls_transport_ptr_t pointer, unsigned) {
  const End& from = *static_cast<End*>(pointer)->other;
  return from.outbox.size() > from.taken ? 1 : 0;
}

void open_end(End& end, unsigned role, const Credentials& credentials, const Priority& priority) {
  unsigned flags = role | GNUTLS_NONBLOCK;
  if (role == GNUTLS_SERVER) flags |= GNUTLS_NO_AUTO_SEND_TICKET;
  if (credentials.kind() == CertificateKind::raw_public_key) flags |= GNUTLS_ENABLE_RAWPK;
  check_gnutls(gnutls_init(&end.session, flags), "session");
  check_gnutls(gnutls_priority_set(end.session, priority.handle()), "priority");
  check_gnutls(gnutls_credentials_set(end.session, GNUTLS_CRD_CERTIFICATE, credentials.handle()),
               "credentials");
  gnutls_session_set_ptr(end.session, &end);
  gnutls_transport_set_ptr(end.session, &end);
  gnutls_transport_set_push_function(end.session, push);
  gnutls_transport_set_pull_function(end.session, pull);
  gnutls_transport_set_pull_timeout_function(end.session, pull_timeout);
  if (role == GNUTLS_SERVER)
    gnutls_certificate_server_set_request(end.session, GNUTLS_CERT_REQUIRE);
}

void step(End& end) {
  if (end.done) return;
  const int result = gnutls_handshake(end.session);
  if (result == GNUTLS_E_SUCCESS) {
    end.done = true;
  } else if (gnutls_error_is_fatal(result) != 0) {
    fail(std::string("handshake: ") + gnutls_strerror(result));
  }
}

void handshake(const Credentials& client_credentials, const Credentials& server_credentials,
               const Priority& priority) {
  End client;
  End server;
  client.other = &server;
  server.other = &client;
  open_end(client, GNUTLS_CLIENT, client_credentials, priority);
  open_end(server, GNUTLS_SERVER, server_credentials, priority);
  constexpr int rounds_max = 16;
  for (int round = 0; round < rounds_max && !(client.done && server.done); ++round) {
    step(client);
    step(server);
  }
  if (!client.done || !server.done || !client.peer_known || !server.peer_known) {
    fail("a handshake did not complete on both ends");
  }
  gnutls_deinit(client.session);
  gnutls_deinit(server.session);
}

}  // namespace

int main(int argc, char** argv) {
  const Arguments arguments(argc, argv);
  const std::uint64_t seconds = std::clamp<std::uint64_t>(arguments.number("seconds", 2), 1, 60);
  const auto cpu = static_cast<int>(arguments.number("cpu", 0));
  const auto kind =
      arguments.flag("raw-keys") ? CertificateKind::raw_public_key : CertificateKind::x509;
  arguments.reject_unknown();
  limit_run_time(static_cast<unsigned>(seconds + 10));
  pin_to_cpu(cpu);
  const Credentials client(kind, verify);
  const Credentials server(kind, verify);
  const Priority priority("AES-128-GCM", kind);
  handshake(client, server, priority);  // loads and initialises what is loaded once
  std::uint64_t count = 0;
  Stopwatch watch;
  watch.start();
  const std::uint64_t end = now_ns() + seconds * ns_per_s;
  while (now_ns() < end) {
    handshake(client, server, priority);
    ++count;
  }
  watch.stop();
  const auto handshakes = static_cast<double>(count);
  JsonLine line;
  line.text("bench", "tls_handshake")
      .text("certificate", kind == CertificateKind::x509 ? "x509" : "raw");
  line.integer("handshakes", count).number("seconds", watch.wall_s());
  line.number("handshakes_s", handshakes / watch.wall_s());
  line.number("cpu_s", watch.cpu_s());
  line.number("handshakes_per_cpu_s", handshakes / watch.cpu_s());
  line.number("us_per_handshake", watch.cpu_s() * 1e6 / handshakes).print();
  return 0;
}
