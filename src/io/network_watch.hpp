// NetworkWatch: notices that the machine's network has changed.
//
// It listens to the kernel's notices (netlink_news.hpp) on a socket that the network thread sleeps
// on. A doubtful notice counts if the addresses of the interfaces that are up and running, or the
// way to the internet (interface, gateway and source address towards one address of each family),
// are not what they were.
//
// A container or a sandbox may forbid netlink. Then nothing is noticed, and a program that knows
// better says so by Node::network_changed.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/file_descriptor.hpp"
#include "io/netlink_news.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

/// The way that packets to one address take. Empty if there is none.
struct Route {
  unsigned interface_index = 0;
  std::optional<IpAddress> gateway;
  std::optional<IpAddress> source;

  bool operator==(const Route&) const = default;
};

/// What a node depends on, as far as the machine knows it.
struct NetworkState {
  std::vector<std::pair<std::string, IpAddress>> addresses;  // by interface, in order
  std::array<Route, 2> internet;                             // IPv4, IPv6

  bool operator==(const NetworkState&) const = default;
};

/// Fails with the error of the socket; parts that the kernel does not tell are left out.
Result<NetworkState> read_network_state();

class NetworkWatch {
 public:
  static Result<std::unique_ptr<NetworkWatch>> open();

  /// To be watched for reading.
  [[nodiscard]] int descriptor() const { return socket_.get(); }
  /// Takes all notices that have come.
  void receive(Instant now);
  /// True if the network has changed since the last time that it was.
  bool poll(Instant now);
  [[nodiscard]] Instant deadline() const { return news_.deadline(); }

 private:
  explicit NetworkWatch(FileDescriptor socket) : socket_(std::move(socket)) {}

  FileDescriptor socket_;
  NetlinkNews news_;
  NetworkState state_;
};

}  // namespace quicmesh::io
