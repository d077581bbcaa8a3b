#include "quic/endpoint.hpp"

#include <algorithm>
#include <utility>

#include "crypto/blake3.hpp"
#include "quic/connection.hpp"
#include "quic/connection_callbacks.hpp"
#include "quic/quic_errc.hpp"
#include "quic/tls.hpp"

namespace quicmesh {
namespace {

constexpr std::size_t initial_size_min = 1200;  // RFC 9000 s14.1

ConnectionHandle make_handle(std::uint32_t slot, std::uint32_t generation) {
  return ConnectionHandle{std::uint64_t{generation} << 32 | slot};
}

std::uint32_t slot_of(ConnectionHandle handle) {
  return static_cast<std::uint32_t>(handle);
}

std::uint32_t generation_of(ConnectionHandle handle) {
  return static_cast<std::uint32_t>(std::to_underlying(handle) >> 32);
}

}  // namespace

Result<std::unique_ptr<QuicEndpoint>> QuicEndpoint::create(QuicConfig config,
                                                           const Keypair& identity,
                                                           SecureRng& rng) {
  return create(std::move(config), identity, rng, TlsOptions{});
}

Result<std::unique_ptr<QuicEndpoint>> QuicEndpoint::create(QuicConfig config,
                                                           const Keypair& identity, SecureRng& rng,
                                                           const TlsOptions& options) {
  auto tls = TlsContext::create(identity, options);
  if (!tls) return failure(tls.error());
  (*tls)->set_verify(verify_peer_certificate);
  auto endpoint = std::unique_ptr<QuicEndpoint>(new QuicEndpoint);
  endpoint->tls_ = std::move(*tls);
  endpoint->shared_ = std::make_unique<QuicShared>(std::move(config), *endpoint->tls_, rng);
  // From the identity, so that a restarted node can reset the connections of its former life.
  endpoint->shared_->reset_secret =
      blake3_derive_key("quicmesh 2026 stateless reset tokens", identity.seed());
  return endpoint;
}

QuicEndpoint::~QuicEndpoint() = default;

QuicConnection* QuicEndpoint::find(ConnectionHandle handle) const {
  const std::uint32_t slot = slot_of(handle);
  if (slot >= slots_.size() || slots_[slot].generation != generation_of(handle)) return nullptr;
  return slots_[slot].connection.get();
}

QuicConnection& QuicEndpoint::add(TlsRole role) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t index = free_slots_.back();
  free_slots_.pop_back();
  Slot& slot = slots_[index];
  ++slot.generation;
  slot.connection =
      std::make_unique<QuicConnection>(*shared_, make_handle(index, slot.generation), role);
  ++connections_;
  return *slot.connection;
}

QuicRoute QuicEndpoint::route(ByteView datagram) const {
  if (datagram.empty()) return {};  // ngtcp2 asserts on it
  ngtcp2_version_cid header;
  const int result =
      ngtcp2_pkt_decode_version_cid(&header, datagram.data(), datagram.size(), connection_id_size);
  if (result == NGTCP2_ERR_VERSION_NEGOTIATION) return {QuicRoute::Kind::version, {}};
  if (result != 0 || header.dcidlen < connection_id_size) return {};
  const ConnectionId id = connection_id_from(ByteView(header.dcid, header.dcidlen));
  std::optional<std::uint32_t> slot = shared_->ids.find(id);
  if (!slot) slot = shared_->ids.find_by_reset_token(datagram);
  if (slot) return {QuicRoute::Kind::connection, make_handle(*slot, slots_[*slot].generation)};
  if (shared_->ids.is_tombstone(id)) return {QuicRoute::Kind::tombstone, {}};
  const bool long_header = (datagram[0] & 0x80) != 0;
  return {long_header ? QuicRoute::Kind::initial : QuicRoute::Kind::unknown, {}};
}

Result<ConnectionHandle> QuicEndpoint::accept(Instant now, PathLabel label, Ecn ecn,
                                              ByteView initial) {
  ngtcp2_pkt_hd header;
  if (initial.size() < initial_size_min ||
      ngtcp2_accept(&header, initial.data(), initial.size()) != 0) {
    ++shared_->counters.dropped_malformed;
    return failure(QuicErrc::protocol_violation);
  }
  if (connections_ >= shared_->config.max_connections ||
      half_open_ >= shared_->config.max_half_open) {
    ++shared_->counters.refused_full;
    return failure(QuicErrc::too_many_connections);
  }
  QuicConnection& connection = add(TlsRole::acceptor);
  const ConnectionHandle handle = connection.handle();
  ++half_open_;
  if (auto accepted = connection.accept(now, label, header); !accepted) {
    ++shared_->counters.dropped_malformed;
    bury(now, connection);
    release(handle);
    return failure(accepted.error());
  }
  ++shared_->counters.accepted;
  connection.handle_datagram(now, label, ecn, initial);
  settle(now, connection);
  return handle;
}

Result<ConnectionHandle> QuicEndpoint::dial(Instant now, PathLabel label, const NodeId& expected) {
  if (connections_ >= shared_->config.max_connections) {
    ++shared_->counters.refused_full;
    return failure(QuicErrc::too_many_connections);
  }
  QuicConnection& connection = add(TlsRole::dialler);
  const ConnectionHandle handle = connection.handle();
  if (auto dialled = connection.dial(now, label, expected); !dialled) {
    bury(now, connection);
    release(handle);
    return failure(dialled.error());
  }
  ++shared_->counters.dialled;
  settle(now, connection);
  return handle;
}

void QuicEndpoint::handle_datagram(Instant now, ConnectionHandle handle, PathLabel label, Ecn ecn,
                                   ByteView datagram) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr || connection->closed()) return;
  connection->handle_datagram(now, label, ecn, datagram);
  settle(now, *connection);
}

void QuicEndpoint::wake(QuicConnection& connection) {
  if (connection.queued) return;
  connection.queued = true;
  send_queue_.push_back(connection.handle());
}

void QuicEndpoint::settle(Instant now, QuicConnection& connection) {
  if (connection.closed()) return bury(now, connection);
  wake(connection);
  if (connection.role() == TlsRole::acceptor && connection.confirmed() && !connection.counted) {
    connection.counted = true;
    --half_open_;
  }
  // Its deadline is read again when the queue is drained: never a cached one.
}

void QuicEndpoint::bury(Instant now, QuicConnection& connection) {
  const ConnectionHandle handle = connection.handle();
  std::shared_ptr<ClosingReply> reply;  // shared by the tombstones of this connection's ids
  if (Bytes words = connection.take_last_words(); !words.empty()) {
    reply = std::make_shared<ClosingReply>(std::move(words));
  }
  const bool half_open = connection.role() == TlsRole::acceptor && !connection.counted;
  const auto origin = half_open ? ConnectionIds::Origin::junk : ConnectionIds::Origin::genuine;
  for (const ConnectionId id : connection.ids())
    shared_->ids.retire(id, now, reply, origin);
  for (const auto& token : connection.reset_tokens()) {
    shared_->ids.remove_reset_token(token, slot_of(handle));
  }
  if (half_open) --half_open_;
  timers_.erase(slot_of(handle));
  --connections_;
}

void QuicEndpoint::release(ConnectionHandle handle) {
  slots_[slot_of(handle)].connection.reset();
  free_slots_.push_back(slot_of(handle));
}

bool QuicEndpoint::take_answer_token(Instant now) {
  if (now - answer_refill_ >= 1s) {
    answer_tokens_ = answers_per_second;
    answer_refill_ = now;
  }
  if (answer_tokens_ == 0) {
    ++shared_->counters.answers_suppressed;
    return false;
  }
  --answer_tokens_;
  return true;
}

std::size_t QuicEndpoint::stateless_answer(Instant now, ByteView datagram, MutableByteView out) {
  if (datagram.empty()) return 0;
  ngtcp2_version_cid header;
  const int result =
      ngtcp2_pkt_decode_version_cid(&header, datagram.data(), datagram.size(), connection_id_size);
  if (result == NGTCP2_ERR_VERSION_NEGOTIATION) {
    // RFC 9000 s6.1: only for a datagram that could have started a connection.
    if (datagram.size() < initial_size_min || !take_answer_token(now)) return 0;
    std::uint8_t unused = 0;
    shared_->rng.fill(MutableByteView(&unused, 1));
    constexpr std::uint32_t versions[] = {NGTCP2_PROTO_VER_V1};
    const ngtcp2_ssize written = ngtcp2_pkt_write_version_negotiation(
        out.data(), out.size(), unused, header.scid, header.scidlen, header.dcid, header.dcidlen,
        versions, std::size(versions));
    return written > 0 ? static_cast<std::size_t>(written) : 0;
  }
  if (result != 0 || header.dcidlen < connection_id_size) return 0;
  const ConnectionId id = connection_id_from(ByteView(header.dcid, header.dcidlen));
  if (shared_->ids.is_tombstone(id)) {
    ++shared_->counters.dropped_tombstone;
    ClosingReply* reply = shared_->ids.closing_reply(id);
    if (reply == nullptr || reply->packet.size() > datagram.size()) return 0;
    std::ranges::copy(reply->packet, out.begin());
    return reply->packet.size();
  }
  // RFC 9000 s10.3: a reset is shorter than what provoked it, so that two nodes cannot loop.
  constexpr std::size_t reset_min = NGTCP2_MIN_STATELESS_RESET_RANDLEN + reset_token_size + 1;
  if ((datagram[0] & 0x80) != 0 || datagram.size() <= reset_min || !take_answer_token(now)) {
    return 0;
  }
  const ResetToken token =
      shared_->reset_token_of(ByteView(header.dcid, header.dcidlen).first(connection_id_size));
  std::array<std::uint8_t, 24> noise;
  const std::size_t noise_size = std::min(noise.size(), datagram.size() - reset_token_size - 1);
  shared_->rng.fill(MutableByteView(noise).first(noise_size));
  const ngtcp2_ssize written = ngtcp2_pkt_write_stateless_reset(
      out.data(), out.size(), token.data(), noise.data(), noise_size);
  if (written <= 0) return 0;
  ++shared_->counters.resets_sent;
  return static_cast<std::size_t>(written);
}

void QuicEndpoint::handle_timeout(Instant now) {
  shared_->ids.forget_expired(now);
  while (auto due = timers_.pop_due(now)) {
    QuicConnection* connection = slots_[due->handle].connection.get();
    if (connection == nullptr || connection->closed()) continue;
    connection->handle_timeout(now);
    settle(now, *connection);
  }
}

std::optional<QuicTransmit> QuicEndpoint::poll_transmit(Instant now, MutableByteView buffer) {
  while (!send_queue_.empty()) {
    const ConnectionHandle handle = send_queue_.front();
    send_queue_.pop_front();
    QuicConnection* connection = find(handle);
    if (connection == nullptr || connection->closed()) continue;
    const auto train = connection->write_train(now, buffer);
    if (connection->closed()) {
      bury(now, *connection);
    } else if (train) {
      send_queue_.push_back(handle);  // in turn with the others
    } else {
      connection->queued = false;
      timers_.set(slot_of(handle), connection->next_timeout());
    }
    if (train)
      return QuicTransmit{handle, train->label, train->size, train->segment_size, train->ecn};
  }
  return std::nullopt;
}

std::optional<QuicEvent> QuicEndpoint::poll_event() {
  if (shared_->events.empty()) return std::nullopt;
  QuicEvent event = std::move(shared_->events.front());
  shared_->events.pop_front();
  if (const auto* closed = std::get_if<ConnectionClosed>(&event)) release(closed->connection);
  return event;
}

Instant QuicEndpoint::poll_timeout() const {
  return timers_.earliest();
}

Result<StreamId> QuicEndpoint::open_stream(ConnectionHandle handle, bool bidirectional) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  return connection->open_stream(bidirectional);
}

Result<void> QuicEndpoint::write(ConnectionHandle handle, StreamId stream, Bytes& data, bool end) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  auto written = connection->write(stream, data, end);
  if (written) wake(*connection);
  return written;
}

Result<StreamChunk> QuicEndpoint::read(ConnectionHandle handle, StreamId stream) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  return connection->read(stream);
}

void QuicEndpoint::credit(ConnectionHandle handle, StreamId stream, std::size_t bytes) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return;
  connection->credit(stream, bytes);
  wake(*connection);
}

Result<void> QuicEndpoint::reset_stream(ConnectionHandle handle, StreamId stream, CloseCode code) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  wake(*connection);
  return connection->reset_stream(stream, code);
}

Result<void> QuicEndpoint::stop_stream(ConnectionHandle handle, StreamId stream, CloseCode code) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  wake(*connection);
  return connection->stop_stream(stream, code);
}

Result<void> QuicEndpoint::send_datagram(ConnectionHandle handle, Bytes data) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  wake(*connection);
  return connection->send_datagram(std::move(data));
}

std::size_t QuicEndpoint::max_datagram_size(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? 0 : connection->max_datagram_size();
}

Result<void> QuicEndpoint::migrate(Instant now, ConnectionHandle handle, PathLabel label,
                                   bool immediately) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  auto migrated = connection->migrate(now, label, immediately);
  if (migrated) settle(now, *connection);
  return migrated;
}

Result<void> QuicEndpoint::update_key(Instant now, ConnectionHandle handle) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  wake(*connection);
  return connection->update_key(now);
}

Result<void> QuicEndpoint::export_secret(ConnectionHandle handle, std::string_view label,
                                         MutableByteView out) const {
  const QuicConnection* connection = find(handle);
  if (connection == nullptr) return failure(QuicErrc::unknown_connection);
  return connection->export_secret(label, out);
}

void QuicEndpoint::close(Instant now, ConnectionHandle handle, CloseCode code,
                         std::string_view reason) {
  QuicConnection* connection = find(handle);
  if (connection == nullptr || connection->closed()) return;
  connection->close(now, code, reason);
  settle(now, *connection);
}

const QuicCounters& QuicEndpoint::counters() const {
  return shared_->counters;
}

bool QuicEndpoint::alive(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection != nullptr && !connection->closed();
}

bool QuicEndpoint::is_dialler(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection != nullptr && connection->role() == TlsRole::dialler;
}

bool QuicEndpoint::handshake_completed(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection != nullptr && connection->completed();
}

std::uint64_t QuicEndpoint::payload_received(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? 0 : connection->payload_received();
}

Instant QuicEndpoint::unacknowledged_since(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? never : connection->unacknowledged_since();
}

bool QuicEndpoint::awaits_acknowledgement(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection != nullptr && connection->awaits_acknowledgement();
}

PathLabel QuicEndpoint::current_label(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? PathLabel{} : connection->current_label();
}

QuicPathInfo QuicEndpoint::path_info(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? QuicPathInfo{} : connection->path_info();
}

std::size_t QuicEndpoint::unacknowledged_bytes(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? 0 : connection->unacknowledged_bytes();
}

std::size_t QuicEndpoint::unacknowledged_bytes(ConnectionHandle handle, StreamId stream) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? 0 : connection->unacknowledged_bytes(stream);
}

std::size_t QuicEndpoint::open_streams(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? 0 : connection->open_streams();
}

std::size_t QuicEndpoint::total_memory_used() const {
  std::size_t total = 0;
  for (const Slot& slot : slots_) {
    if (slot.connection != nullptr) total += slot.connection->memory_used();
  }
  return total;
}

std::size_t QuicEndpoint::memory_used(ConnectionHandle handle) const {
  const QuicConnection* connection = find(handle);
  return connection == nullptr ? 0 : connection->memory_used();
}

}  // namespace quicmesh
