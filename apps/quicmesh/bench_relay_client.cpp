// See bench_relay_client.hpp.
#include "bench_relay_client.hpp"

#include <poll.h>

#include <algorithm>

#include "failure.hpp"
#include "io/event_loop.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t trains_per_turn = 64;
constexpr Duration undriven_max = 5s;  // of those that stand, while others dial
constexpr Duration longest_sleep = 5ms;
constexpr Duration start_limit = 60s;

}  // namespace

Measured<std::unique_ptr<BenchRelayClient>> BenchRelayClient::start(const NodeAddress& relay) {
  const auto remote = relay.addresses.empty() ? std::nullopt : relay.addresses.front().literal();
  if (!remote) return std::unexpected("the relay has no address");
  auto socket = io::UdpSocket::open({IpAddress::loopback(remote->ip.family()), 0});
  if (!socket) return std::unexpected(describe(socket.error()));
  auto client = std::unique_ptr<BenchRelayClient>(
      new BenchRelayClient(Keypair::generate(), std::move(*socket)));
  BenchRelayClient& self = *client;
  auto core = Connectivity::create(QuicConfig{}, self.identity_, self.secure_rng_,
                                   Rng(self.secure_rng_.next_u64()));
  if (!core) return std::unexpected(describe(core.error()));
  self.connectivity_ = std::move(*core);
  self.path_ = {SocketId{0}, IpAddress::any(remote->ip.family()), *remote};
  const auto dialled =
      self.connectivity_->connect(io::EventLoop::now(), relay.id, std::span(&self.path_, 1));
  if (!dialled) return std::unexpected(describe(dialled.error()));
  return client;
}

void BenchRelayClient::turn(MutableByteView buffer) {
  for (std::size_t i = 0; i < trains_per_turn; ++i) {
    const auto train = socket_.receive(buffer);
    if (!train) break;
    const NetworkPath path{SocketId{0}, path_.local, train->remote};
    for (std::size_t at = 0; at < train->size; at += train->segment_size) {
      const MutableByteView datagram =
          buffer.subspan(at, std::min(train->segment_size, train->size - at));
      if (is_relay_frame_type(datagram[0])) continue;  // late ones of a measurement
      connectivity_->handle_datagram(io::EventLoop::now(), path, train->ecn, datagram);
    }
  }
  const Instant now = io::EventLoop::now();
  if (connectivity_->poll_timeout() <= now) connectivity_->handle_timeout(now);
  for (std::size_t i = 0; i < trains_per_turn; ++i) {
    const auto train = connectivity_->poll_transmit(now, buffer);
    if (!train) break;
    std::size_t offset = 0;
    (void)socket_.send(*train, buffer, offset);  // a full socket is a loss, which QUIC repairs
  }
  while (auto event = connectivity_->poll_event())
    on_event(now, *event);
}

void BenchRelayClient::on_event(Instant now, PathEvent& event) {
  if (const auto* connected = std::get_if<PeerConnected>(&event)) {
    const StreamHeader header{StreamKind::stream, std::string(relay_protocol)};
    const auto stream = connectivity_->open_stream(now, connected->peer, header, true);
    if (!stream) {
      error_ = describe(stream.error());
      return;
    }
    control_ = *stream;
    tell(RelayRegister{});
  } else if (const auto* data = std::get_if<PeerStreamData>(&event)) {
    connectivity_->credit(data->stream, data->data.size());
    inbox_.append(data->data);
    while (const auto message = inbox_.next())
      on_message(*message);
  } else if (const auto* unreachable = std::get_if<PeerUnreachable>(&event)) {
    error_ = "the relay was not reached: " + describe(unreachable->error);
  } else if (const auto* gone = std::get_if<PeerDisconnected>(&event)) {
    error_ = "the relay has gone: " + describe(gone->error);
  }
}

void BenchRelayClient::on_message(const RelayMessage& message) {
  if (std::holds_alternative<RelayRegistered>(message)) {
    registered_ = true;
  } else if (const auto* session = std::get_if<RelaySession>(&message)) {
    sessions_.push_back({session->session, session->peer, session->role});
  } else if (const auto* refused = std::get_if<RelayRefused>(&message)) {
    error_ =
        "the relay refuses, for reason " + std::to_string(static_cast<unsigned>(refused->reason));
  }
}

void BenchRelayClient::tell(const RelayMessage& message) {
  Bytes bytes = encode_relay_message(message);
  const auto written = connectivity_->write(control_, bytes, false);
  if (!written) error_ = describe(written.error());
}

void BenchRelayClient::ask_for(const NodeId& peer) {
  tell(RelayConnect{peer});
}

void BenchRelayClient::leave(MutableByteView buffer) {
  connectivity_->disconnect_all(io::EventLoop::now(), CloseCode::goodbye, "measured");
  turn(buffer);
}

Measured<void> drive(BenchRelayClients& clients, const std::function<bool()>& done,
                     Duration limit) {
  Bytes buffer(std::max(transmit_buffer_size, io::UdpSocket::receive_buffer_size));
  const Instant end = io::EventLoop::now() + limit;
  std::vector<pollfd> wanted;
  for (;;) {
    wanted.clear();
    for (const auto& client : clients) {
      client->turn(buffer);
      if (!client->error().empty()) return std::unexpected(client->error());
      wanted.push_back({client->descriptor(), POLLIN, 0});
    }
    if (done()) return {};
    if (io::EventLoop::now() >= end) return std::unexpected("the relay did not answer in time");
    const timespec sleep{0, longest_sleep.count()};
    (void)::ppoll(wanted.data(), wanted.size(), &sleep, nullptr);
  }
}

Measured<BenchRelayClients> start_relay_clients(const NodeAddress& relay, std::size_t count,
                                                std::size_t together) {
  BenchRelayClients clients;
  Instant driven_at = io::EventLoop::now();
  while (clients.size() < count) {
    if (io::EventLoop::now() - driven_at > undriven_max) {
      driven_at = io::EventLoop::now();
      if (const auto kept = drive(clients, [] { return true; }, start_limit); !kept) {
        return std::unexpected(kept.error());
      }
    }
    BenchRelayClients dialling;
    for (std::size_t i = 0; i < together && clients.size() + dialling.size() < count; ++i) {
      auto client = BenchRelayClient::start(relay);
      if (!client) return std::unexpected(client.error());
      dialling.push_back(std::move(*client));
    }
    const auto all_registered = [&] {
      return std::ranges::all_of(dialling, [](const auto& one) { return one->registered(); });
    };
    if (const auto driven = drive(dialling, all_registered, start_limit); !driven) {
      return std::unexpected(driven.error());
    }
    std::ranges::move(dialling, std::back_inserter(clients));
  }
  return clients;
}

Measured<void> open_sessions(BenchRelayClients& clients, const std::vector<ClientPair>& pairs) {
  std::size_t wanted = 2 * pairs.size();
  for (const auto& client : clients)
    wanted += client->sessions().size();
  for (const ClientPair& pair : pairs)
    clients[pair.initiator]->ask_for(clients[pair.responder]->id());
  const auto all_open = [&] {
    std::size_t open = 0;
    for (const auto& client : clients)
      open += client->sessions().size();
    return open >= wanted;
  };
  return drive(clients, all_open, start_limit);
}

void leave_relay(BenchRelayClients& clients) {
  Bytes buffer(std::max(transmit_buffer_size, io::UdpSocket::receive_buffer_size));
  for (const auto& client : clients)
    client->leave(buffer);
  clients.clear();
}

}  // namespace quicmesh::cli
