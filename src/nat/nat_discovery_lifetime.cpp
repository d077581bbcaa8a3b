#include "nat/nat_discovery_lifetime.hpp"

#include <algorithm>

#include "stun/stun_writer.hpp"

namespace quicmesh {

void NatLifetime::start(const SocketAddress& server) {
  server_ = server;
  stage_ = Stage::opening;
  waiting_for_ = sockets_.size();
  for (std::size_t i = 0; i < sockets_.size(); ++i)
    events_.emplace_back(OpenSocket{static_cast<SocketRequestId>(i), server.ip.family()});
}

void NatLifetime::handle_socket_opened(Instant now, SocketRequestId id, SocketId socket,
                                       const SocketAddress& local) {
  const auto index = static_cast<std::size_t>(id);
  if (stage_ != Stage::opening || index >= sockets_.size() || sockets_[index].id) {
    events_.emplace_back(CloseSocket{socket});
    return;
  }
  sockets_[index].id = socket;
  sockets_[index].local = local;
  if (--waiting_for_ > 0) return;
  stage_ = Stage::running;
  for (std::size_t i = 0; i < times.size(); ++i)
    sockets_[i].request = ask(now, sockets_[i], std::nullopt);
}

void NatLifetime::handle_socket_failed(Instant, SocketRequestId) {
  // With fewer sockets the times would have gaps: rather another day.
  if (stage_ == Stage::opening) finish();
}

std::optional<TransactionId> NatLifetime::ask(Instant now, const Socket& from,
                                              std::optional<std::uint16_t> response_port) {
  StunRequest request;
  request.id = client_.new_id();
  request.path = {*from.id, from.local.ip, server_};
  request.schedule = Retransmission::discovery(200ms);
  std::array<std::uint8_t, 64> buffer{};
  StunWriter writer(buffer, StunClass::request, StunMethod::binding, request.id);
  if (response_port) writer.add_u16(StunAttribute::response_port, *response_port);
  writer.add_fingerprint();
  request.message = to_bytes(writer.written());
  const TransactionId id = request.id;
  if (!client_.start(now, std::move(request))) return std::nullopt;
  return id;
}

bool NatLifetime::handle_datagram(Instant now, const NetworkPath& path, Ecn ecn,
                                  ByteView datagram) {
  const auto socket = std::ranges::find(sockets_, path.socket, &Socket::id);
  if (socket == sockets_.end()) return false;
  if (stage_ != Stage::running) return true;
  const auto message = StunMessage::parse(datagram);
  const bool answer_to_other = message && path.remote == server_ && socket->external &&
                               socket->request && message->message_class() == StunClass::success &&
                               message->transaction_id() == *socket->request;
  if (answer_to_other) {
    client_.cancel(*socket->request);
    socket->request.reset();
    socket->alive = Finding::yes;
  } else if (client_.handle_datagram(now, path, ecn, datagram)) {
    drain_client(now);
  }
  step(now);
  return true;
}

void NatLifetime::drain_client(Instant now) {
  while (const auto event = client_.poll_event()) {
    const TransactionId id = std::visit([](const auto& each) { return each.id; }, *event);
    const auto socket = std::ranges::find(sockets_, id, &Socket::request);
    if (socket == sockets_.end()) continue;
    socket->request.reset();
    const auto* answered = std::get_if<StunAnswered>(&*event);
    if (!socket->external && answered != nullptr) {
      socket->external = StunMessage::parse(answered->message)->mapped_address();
      const auto index = static_cast<std::size_t>(socket - sockets_.begin());
      if (socket->external) socket->test_at = now + times[index];
    } else if (std::holds_alternative<StunFailed>(*event) && socket->external) {
      socket->alive = Finding::no;
    }
  }
}

void NatLifetime::handle_timeout(Instant now) {
  if (stage_ != Stage::running) return;
  client_.handle_timeout(now);
  drain_client(now);
  step(now);
}

void NatLifetime::step(Instant now) {
  for (std::size_t i = 0; i < times.size(); ++i) {
    Socket& socket = sockets_[i];
    if (socket.test_at > now) continue;
    socket.test_at = never;
    socket.request = ask(now, sockets_[asking_socket], socket.external->port);
  }
  const auto resting = std::span(sockets_).first(times.size());
  const bool control_failed =
      resting[0].alive != Finding::yes && !resting[0].request && resting[0].test_at == never;
  const bool expired = std::ranges::find(resting, Finding::no, &Socket::alive) != resting.end();
  const bool over = std::ranges::none_of(
      resting, [](const Socket& s) { return s.request || s.test_at != never; });
  if (control_failed || expired || over) finish();
}

void NatLifetime::finish() {
  NatLifetimeMeasured result;
  if (sockets_[0].alive == Finding::yes) {
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (sockets_[i].alive == Finding::yes) result.survived = times[i];
      if (sockets_[i].alive == Finding::no && !result.expired) result.expired = times[i];
    }
  }
  stage_ = Stage::over;
  for (const Socket& socket : sockets_) {
    if (socket.request) client_.cancel(*socket.request);
    if (socket.id) events_.emplace_back(CloseSocket{*socket.id});
  }
  events_.emplace_back(result);
}

std::optional<NatLifetimeEvent> NatLifetime::poll_event() {
  if (events_.empty()) return std::nullopt;
  const NatLifetimeEvent event = events_.front();
  events_.pop_front();
  return event;
}

Instant NatLifetime::poll_timeout() const {
  if (stage_ != Stage::running) return never;
  Instant earliest = client_.poll_timeout();
  for (const Socket& socket : sockets_)
    earliest = std::min(earliest, socket.test_at);
  return earliest;
}

}  // namespace quicmesh
