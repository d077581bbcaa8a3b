#include "abusive_peer.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/assert.hpp"
#include "io/event_loop.hpp"
#include "io/sockaddr.hpp"

namespace quicmesh::abuser {
namespace {

constexpr std::size_t trains_per_turn = 64;
constexpr Duration longest_sleep = 5ms;

io::UdpSocket open(const IpAddress& local) {
  auto socket = io::UdpSocket::open({local, 0});
  QM_ASSERT(socket.has_value());
  return std::move(*socket);
}

}  // namespace

AbusivePeer::AbusivePeer(const IpAddress& local, const NodeAddress& target)
    : socket_(open(local)),
      target_(target.id),
      buffer_(std::max(transmit_buffer_size, io::UdpSocket::receive_buffer_size)) {
  auto core =
      Connectivity::create(QuicConfig{}, identity_, secure_rng_, Rng(secure_rng_.next_u64()));
  QM_ASSERT(core.has_value());
  connectivity_ = std::move(*core);
  const auto remote = target.addresses.at(0).literal();
  QM_ASSERT(remote.has_value());
  path_ = {SocketId{0}, IpAddress::any(remote->ip.family()), *remote};
  const auto dialled = connectivity_->connect(io::EventLoop::now(), target_, std::span(&path_, 1));
  QM_ASSERT(dialled.has_value());
}

void AbusivePeer::turn() {
  for (std::size_t i = 0; i < trains_per_turn; ++i) {
    const auto train = socket_.receive(buffer_);
    if (!train) break;
    const NetworkPath path{SocketId{0}, path_.local, train->remote};
    for (std::size_t at = 0; at < train->size; at += train->segment_size) {
      const MutableByteView datagram =
          MutableByteView(buffer_).subspan(at, std::min(train->segment_size, train->size - at));
      if (datagram[0] == 0x30 || datagram[0] == 0x31) ++relayed_;
      connectivity_->handle_datagram(io::EventLoop::now(), path, train->ecn, datagram);
    }
  }
  const Instant now = io::EventLoop::now();
  if (connectivity_->poll_timeout() <= now) connectivity_->handle_timeout(now);
  for (std::size_t i = 0; i < trains_per_turn; ++i) {
    const auto train = connectivity_->poll_transmit(now, buffer_);
    if (!train) break;
    std::size_t offset = 0;
    (void)socket_.send(*train, buffer_, offset);  // QUIC repairs what a full socket loses
  }
  while (const auto event = connectivity_->poll_event())
    on_event(*event);
}

void AbusivePeer::on_event(const PathEvent& event) {
  if (std::holds_alternative<PeerConnected>(event)) {
    connected_ = true;
  } else if (std::holds_alternative<PeerDisconnected>(event) ||
             std::holds_alternative<PeerUnreachable>(event)) {
    ended_ = true;
  } else if (const auto* data = std::get_if<PeerStreamData>(&event)) {
    connectivity_->credit(data->stream, data->data.size());
    if (control_ != data->stream) return;
    inbox_.append(data->data);
    while (auto message = inbox_.next())
      heard_.push_back(std::move(*message));
  }
}

void AbusivePeer::say(const std::string& protocol, bool bidirectional, Bytes bytes) {
  const auto stream = connectivity_->open_stream(io::EventLoop::now(), target_,
                                                 {StreamKind::stream, protocol}, bidirectional);
  if (stream) (void)connectivity_->write(*stream, bytes, false);
}

void AbusivePeer::tell_relay(Bytes bytes) {
  if (!control_) {
    const auto stream = connectivity_->open_stream(
        io::EventLoop::now(), target_, {StreamKind::stream, std::string(relay_protocol)}, true);
    if (!stream) return;
    control_ = *stream;
  }
  (void)connectivity_->write(*control_, bytes, false);
}

void AbusivePeer::send_datagram(ByteView bytes) {
  const io::KernelAddress to = io::to_kernel(path_.remote);
  (void)::sendto(socket_.descriptor(), bytes.data(), bytes.size(), 0, to.data(), to.size);
}

std::optional<RelaySession> AbusivePeer::session() const {
  for (const RelayMessage& message : heard_) {
    if (const auto* session = std::get_if<RelaySession>(&message)) return *session;
  }
  return std::nullopt;
}

RelayKey AbusivePeer::relay_key() const {
  RelayKey key;
  QM_ASSERT(control_.has_value());
  const auto exported =
      connectivity_->export_secret(control_->connection, relay_exporter_label, key);
  QM_ASSERT(exported.has_value());
  return key;
}

void AbusivePeer::leave() {
  connectivity_->disconnect_all(io::EventLoop::now(), CloseCode::goodbye, "done");
  turn();
}

bool drive(std::span<AbusivePeer* const> peers, const std::function<bool()>& done, Duration limit) {
  const Instant end = io::EventLoop::now() + limit;
  for (;;) {
    std::vector<pollfd> waiting;
    for (AbusivePeer* peer : peers) {
      peer->turn();
      waiting.push_back({peer->descriptor(), POLLIN, 0});
    }
    if (done()) return true;
    if (io::EventLoop::now() >= end) return false;
    const timespec sleep{0, longest_sleep.count()};
    (void)::ppoll(waiting.data(), waiting.size(), &sleep, nullptr);
  }
}

bool drive(const AbusivePeers& peers, const std::function<bool()>& done, Duration limit) {
  std::vector<AbusivePeer*> all;
  for (const auto& peer : peers)
    all.push_back(peer.get());
  return drive(all, done, limit);
}

}  // namespace quicmesh::abuser
