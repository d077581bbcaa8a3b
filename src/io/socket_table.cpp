// See socket_table.hpp.
#include "io/socket_table.hpp"

#include <utility>

#include "quicmesh/io_errc.hpp"

namespace quicmesh::io {
namespace {

void add_counters(UdpCounters& sum, const UdpCounters& one) {
  sum.receive_calls += one.receive_calls;
  sum.datagrams_received += one.datagrams_received;
  sum.bytes_received += one.bytes_received;
  sum.datagrams_truncated += one.datagrams_truncated;
  sum.send_calls += one.send_calls;
  sum.datagrams_sent += one.datagrams_sent;
  sum.bytes_sent += one.bytes_sent;
  sum.refused_gso += one.refused_gso;
  sum.too_large += one.too_large;
  sum.failed += one.failed;
  sum.delayed += one.delayed;
}

SocketId id_of(std::size_t index) {
  return SocketId{static_cast<std::uint16_t>(index)};
}

}  // namespace

SocketTable::SocketTable(std::vector<UdpSocket> listening)
    : listening_(listening.size()), next_(listening.size()), open_(listening.size()) {
  for (UdpSocket& socket : listening) {
    opened_.push_back(id_of(sockets_.size()));
    sockets_.emplace_back(std::move(socket));
  }
}

Result<SocketId> SocketTable::open(IpFamily family) {
  if (open_ >= sockets_max) return failure(IoErrc::too_many_sockets);
  const auto address = outgoing_address(family);
  if (!address) return failure(std::make_error_code(std::errc::address_family_not_supported));
  auto socket = UdpSocket::open({*address, 0});
  if (!socket) return failure(socket.error());
  while (next_ < sockets_.size() && sockets_[next_])
    next_ = next_ + 1 == ids_max ? listening_ : next_ + 1;
  if (next_ == sockets_.size()) sockets_.emplace_back();
  sockets_[next_].emplace(std::move(*socket));
  const SocketId id = id_of(next_);
  next_ = next_ + 1 == ids_max ? listening_ : next_ + 1;
  ++open_;
  opened_.push_back(id);
  return id;
}

std::optional<IpAddress> SocketTable::outgoing_address(IpFamily family) const {
  bool anywhere = listening_ == 0;
  std::optional<IpAddress> loopback;  // from where nobody else is reached: if there is no other
  for (std::size_t i = 0; i < listening_; ++i) {
    const IpAddress& ip = sockets_[i]->local().ip;
    anywhere = anywhere || ip.is_unspecified();
    if (ip.family() != family) continue;
    if (ip.scope() != AddressScope::loopback) return ip;
    loopback = ip;
  }
  if (loopback) return loopback;
  if (anywhere) return IpAddress::any(family);
  return std::nullopt;
}

void SocketTable::close(SocketId id) {
  const auto index = static_cast<std::size_t>(id);
  const UdpSocket* socket = find(id);
  if (socket == nullptr || index < listening_) return;
  add_counters(closed_, socket->counters());
  sockets_[index].reset();
  --open_;
  std::erase(opened_, id);
}

std::vector<SocketId> SocketTable::ids() const {
  std::vector<SocketId> ids;
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    if (sockets_[i]) ids.push_back(id_of(i));
  }
  return ids;
}

std::vector<SocketId> SocketTable::take_opened() {
  return std::exchange(opened_, {});
}

UdpCounters SocketTable::counters() const {
  UdpCounters sum = closed_;
  for (const std::optional<UdpSocket>& socket : sockets_) {
    if (socket) add_counters(sum, socket->counters());
  }
  return sum;
}

}  // namespace quicmesh::io
