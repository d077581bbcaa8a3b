// A UDP socket with QUIC connections on it; see endpoint.hpp. This file holds set-up, the table of
// connections and the turn; endpoint_packets.cpp holds reading and writing of packets.
#include "bare/endpoint.hpp"

#include <gnutls/crypto.h>
#include <ngtcp2/ngtcp2_crypto_gnutls.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "bare/callbacks.hpp"
#include "common/measure.hpp"

namespace bench {

namespace {

constexpr const char* alpn = "yardstick/1";
constexpr std::uint64_t idle_timeout_ns = 120 * ns_per_s;
constexpr std::uint64_t handshake_timeout_ns = 10 * ns_per_s;
constexpr std::uint64_t initial_rtt_ns = 100 * ns_per_ms;
constexpr std::size_t initial_dcid_bytes = 18;

ngtcp2_path path_between(const sockaddr_in& local, const sockaddr_in& remote) {
  const auto address = [](const sockaddr_in& from) {
    return ngtcp2_addr{reinterpret_cast<ngtcp2_sockaddr*>(const_cast<sockaddr_in*>(&from)),
                       sizeof from};
  };
  return {address(local), address(remote), nullptr};
}

/// `now` is the time of the packet or call that makes the connection: ngtcp2 aborts if time is
/// ever seen to go backwards, so a clock read after the packet's would end the process.
ngtcp2_settings make_settings(const Tuning& tuning, std::uint64_t now) {
  ngtcp2_settings settings;
  ngtcp2_settings_default(&settings);
  settings.initial_ts = now;
  settings.cc_algo = tuning.congestion_control;
  settings.initial_rtt = initial_rtt_ns;
  settings.max_tx_udp_payload_size = tuning.udp_payload_bytes;
  settings.max_window = tuning.max_window_bytes;
  settings.max_stream_window = tuning.max_window_bytes;
  settings.ack_thresh = tuning.ack_thresh;
  settings.handshake_timeout = handshake_timeout_ns;
  // Loopback carries any size: one probe instead of the built-in ladder, which ends at 1444.
  settings.no_pmtud = tuning.udp_payload_bytes <= NGTCP2_MAX_UDP_PAYLOAD_SIZE;
  settings.pmtud_probes = settings.no_pmtud ? nullptr : &tuning.udp_payload_bytes;
  settings.pmtud_probeslen = settings.no_pmtud ? 0 : 1;
  return settings;
}

ngtcp2_transport_params make_parameters(const Tuning& tuning) {
  ngtcp2_transport_params parameters;
  ngtcp2_transport_params_default(&parameters);
  parameters.initial_max_streams_uni = 16;
  parameters.initial_max_streams_bidi = 16;
  parameters.initial_max_stream_data_uni = tuning.initial_window_bytes;
  parameters.initial_max_stream_data_bidi_local = tuning.initial_window_bytes;
  parameters.initial_max_stream_data_bidi_remote = tuning.initial_window_bytes;
  parameters.initial_max_data = tuning.initial_window_bytes;
  parameters.max_idle_timeout = idle_timeout_ns;
  parameters.active_connection_id_limit = tuning.connection_ids;
  parameters.max_ack_delay = tuning.max_ack_delay_ms * ns_per_ms;
  return parameters;
}

ngtcp2_cid random_id(std::size_t bytes) {
  ngtcp2_cid id{};
  id.datalen = bytes;
  gnutls_rnd(GNUTLS_RND_NONCE, id.data, bytes);
  return id;
}

SocketOptions socket_options(const Tuning& tuning, std::uint16_t port) {
  return {port, tuning.gso, tuning.gro, tuning.socket_buffer_bytes};
}

}  // namespace

Endpoint::Endpoint(Role role, const Tuning& tuning, Application& application, std::uint16_t port)
    : role_(role),
      tuning_(tuning),
      application_(application),
      socket_(socket_options(tuning, port)),
      credentials_(tuning.certificate, verify_peer),
      priority_(tuning.cipher, tuning.certificate),
      send_buffer_(max_train_bytes + tuning.udp_payload_bytes),
      receive_buffer_(1 << 16) {
  gnutls_rnd(GNUTLS_RND_KEY, reset_secret_.data(), reset_secret_.size());
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  epoll_event interest{};
  interest.events = EPOLLIN;
  if (epoll_ < 0 || epoll_ctl(epoll_, EPOLL_CTL_ADD, socket_.fd(), &interest) != 0) {
    fail("cannot set up epoll");
  }
}

Endpoint::~Endpoint() {
  connections_.clear();
  ::close(epoll_);
}

void Endpoint::start_tls(Connection& connection) {
  unsigned flags = GNUTLS_NO_END_OF_EARLY_DATA;
  flags |= connection.is_server ? GNUTLS_SERVER | GNUTLS_NO_AUTO_SEND_TICKET : GNUTLS_CLIENT;
  if (tuning_.certificate == CertificateKind::raw_public_key) flags |= GNUTLS_ENABLE_RAWPK;
  check_gnutls(gnutls_init(&connection.tls, flags), "session");
  const int configured = connection.is_server
                             ? ngtcp2_crypto_gnutls_configure_server_session(connection.tls)
                             : ngtcp2_crypto_gnutls_configure_client_session(connection.tls);
  if (configured != 0) fail("cannot configure the TLS session for QUIC");
  check_gnutls(gnutls_priority_set(connection.tls, priority_.handle()), "priority");
  gnutls_session_set_ptr(connection.tls, &connection.reference);
  check_gnutls(
      gnutls_credentials_set(connection.tls, GNUTLS_CRD_CERTIFICATE, credentials_.handle()),
      "credentials");
  const std::string_view protocol = alpn;
  gnutls_datum_t name{reinterpret_cast<unsigned char*>(const_cast<char*>(protocol.data())),
                      static_cast<unsigned>(protocol.size())};
  check_gnutls(gnutls_alpn_set_protocols(connection.tls, &name, 1, GNUTLS_ALPN_MANDATORY), "alpn");
  if (connection.is_server) {
    gnutls_certificate_server_set_request(connection.tls, GNUTLS_CERT_REQUIRE);
  }
}

Connection& Endpoint::adopt(std::unique_ptr<Connection> connection) {
  Connection& reference = *connection;
  ngtcp2_conn_set_tls_native_handle(reference.quic, reference.tls);
  connections_.emplace(&reference, std::move(connection));
  application_.on_created(reference);
  return reference;
}

Connection& Endpoint::connect(std::uint16_t port) {
  auto connection = std::make_unique<Connection>(*this, false);
  connection->created_ns = now_ns();
  start_tls(*connection);
  const ngtcp2_settings settings = make_settings(tuning_, connection->created_ns);
  const ngtcp2_transport_params parameters = make_parameters(tuning_);
  const ngtcp2_cid destination = random_id(initial_dcid_bytes);
  const ngtcp2_cid source = random_id(connection_id_bytes);
  const sockaddr_in remote = loopback_address(port);
  const ngtcp2_path path = path_between(socket_.local(), remote);
  if (ngtcp2_conn_client_new(&connection->quic, &destination, &source, &path, NGTCP2_PROTO_VER_V1,
                             &quic_callbacks(), &settings, &parameters, nullptr,
                             connection.get()) != 0) {
    fail("cannot make a client connection");
  }
  register_id(*connection, connection_id_key(source.data));
  Connection& adopted = adopt(std::move(connection));
  flush(adopted);
  return adopted;
}

void Endpoint::accept(const ngtcp2_pkt_hd& header, const ngtcp2_path& path, std::uint64_t now) {
  auto connection = std::make_unique<Connection>(*this, true);
  connection->created_ns = now;
  start_tls(*connection);
  const ngtcp2_settings settings = make_settings(tuning_, now);
  ngtcp2_transport_params parameters = make_parameters(tuning_);
  parameters.original_dcid_present = 1;
  parameters.original_dcid = header.dcid;
  const ngtcp2_cid source = random_id(connection_id_bytes);
  if (ngtcp2_conn_server_new(&connection->quic, &header.scid, &source, &path, header.version,
                             &quic_callbacks(), &settings, &parameters, nullptr,
                             connection.get()) != 0) {
    fail("cannot make a server connection");
  }
  register_id(*connection, connection_id_key(source.data));
  // Until the client has seen our id, it goes on writing to the one it made up.
  register_id(*connection, connection_id_key(header.dcid.data));
  adopt(std::move(connection));
}

void Endpoint::register_id(Connection& connection, ConnectionId id) {
  by_id_[id] = &connection;
  connection.ids.push_back(id);
}

void Endpoint::forget_id(Connection& connection, ConnectionId id) {
  by_id_.erase(id);
  std::erase(connection.ids, id);
}

void Endpoint::open_stream(Connection& connection, bool bidirectional) {
  const auto open = bidirectional ? ngtcp2_conn_open_bidi_stream : ngtcp2_conn_open_uni_stream;
  if (open(connection.quic, &connection.out.id, nullptr) != 0) fail("cannot open a stream");
}

void Endpoint::mark_dirty(Connection& connection) {
  if (connection.dirty || connection.dead) return;
  connection.dirty = true;
  dirty_.push_back(&connection);
}

void Endpoint::mark_dead(Connection& connection) {
  if (connection.dead) return;
  connection.dead = true;
  dead_.push_back(&connection);
  timers_.erase({connection.timer_ns, &connection});
  application_.on_closed(connection);
}

void Endpoint::rearm(Connection& connection) {
  const std::uint64_t expiry = ngtcp2_conn_get_expiry(connection.quic);
  if (expiry == connection.timer_ns) return;
  timers_.erase({connection.timer_ns, &connection});
  connection.timer_ns = expiry;
  if (expiry != UINT64_MAX) timers_.emplace(expiry, &connection);
}

void Endpoint::run_timers() {
  const std::uint64_t now = now_ns();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Connection& connection = *timers_.begin()->second;
    timers_.erase(timers_.begin());
    connection.timer_ns = UINT64_MAX;
    const int result = ngtcp2_conn_handle_expiry(connection.quic, now);
    if (result != 0) {
      fail_connection(connection, result);
    } else {
      flush(connection);
    }
  }
}

void Endpoint::flush_dirty() {
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    dirty_[i]->dirty = false;
    flush(*dirty_[i]);
  }
  dirty_.clear();
}

void Endpoint::reap() {
  for (Connection* connection : dead_) {
    for (const ConnectionId id : connection->ids)
      by_id_.erase(id);
    connections_.erase(connection);
  }
  dead_.clear();
}

void Endpoint::turn(std::uint64_t max_wait_ns) {
  std::uint64_t wait = max_wait_ns;
  if (!timers_.empty()) {
    const std::uint64_t now = now_ns();
    const std::uint64_t expiry = timers_.begin()->first;
    wait = std::min(wait, expiry > now ? expiry - now : 0);
  }
  if (!dirty_.empty()) wait = 0;
  const timespec timeout{static_cast<std::time_t>(wait / ns_per_s),
                         static_cast<long>(wait % ns_per_s)};
  epoll_event event;
  // Nanoseconds, since pacing asks for waits far below epoll_wait's millisecond.
  if (epoll_pwait2(epoll_, &event, 1, &timeout, nullptr) > 0) read_socket();
  flush_dirty();
  run_timers();
  reap();
}

void Endpoint::close(Connection& connection) {
  if (connection.dead) return;
  ngtcp2_ccerr error;
  ngtcp2_ccerr_default(&error);
  ngtcp2_pkt_info info{};
  const auto size =
      ngtcp2_conn_write_connection_close(connection.quic, nullptr, &info, send_buffer_.data(),
                                         NGTCP2_MAX_UDP_PAYLOAD_SIZE, &error, now_ns());
  if (size > 0) {
    const ngtcp2_path* path = ngtcp2_conn_get_path(connection.quic);
    send_train(static_cast<std::size_t>(size), static_cast<std::size_t>(size),
               *reinterpret_cast<const sockaddr_in*>(path->remote.addr));
  }
  mark_dead(connection);
}

}  // namespace bench
