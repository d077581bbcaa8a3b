// The sockets of one node: those it listens on, and those that its core asks for and gives back
// while it runs (NAT discovery takes seven, a birthday attack on a NAT 256).
//
// A SocketId is an index. One that was given back is not used again before all others were, so that
// a path that some core still holds does not mean another socket all of a sudden.
#pragma once

#include <optional>
#include <vector>

#include "io/udp_socket.hpp"

namespace quicmesh::io {

class SocketTable {
 public:
  static constexpr std::size_t sockets_max = 1024;  // open at a time
  static constexpr std::size_t ids_max = 4096;

  /// `listening` get the ids from 0 on.
  explicit SocketTable(std::vector<UdpSocket> listening);

  /// Any port of the address that the first listening socket of `family` is bound to: who binds a
  /// node to one uplink wants nothing to leave by another. Fails with IoErrc::too_many_sockets,
  /// with address_family_not_supported if the node listens on addresses of the other family alone,
  /// or as UdpSocket::open.
  Result<SocketId> open(IpFamily family);
  /// Nothing happens if there is no such socket, or if it is one of `listening`.
  void close(SocketId id);

  /// Null if it is not open.
  [[nodiscard]] UdpSocket* find(SocketId id) {
    const auto index = static_cast<std::size_t>(id);
    return index < sockets_.size() && sockets_[index] ? &*sockets_[index] : nullptr;
  }

  /// Where sockets of `family` that go out are to be bound: nothing if nowhere.
  [[nodiscard]] std::optional<IpAddress> outgoing_address(IpFamily family) const;

  /// In order of id; those opened after the last call of `take_opened` are still to be watched.
  [[nodiscard]] std::vector<SocketId> ids() const;
  [[nodiscard]] std::vector<SocketId> take_opened();
  [[nodiscard]] std::size_t open_count() const { return open_; }

  /// Of all sockets, also of those that are closed.
  [[nodiscard]] UdpCounters counters() const;

 private:
  std::vector<std::optional<UdpSocket>> sockets_;
  std::size_t listening_;
  std::size_t next_;
  std::size_t open_;
  std::vector<SocketId> opened_;
  UdpCounters closed_;  // sums of those that were
};

}  // namespace quicmesh::io
