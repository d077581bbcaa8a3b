// coturn as the yardstick of `bench relay`: a turnserver of Debian's package on loopback, and one
// allocation of it (RFC 8656) whose packets go as ChannelData, the cheapest way TURN has.
//
// The server gets neither users nor a certificate, one relay thread and no settings of the machine.
#pragma once

#include <memory>

#include "bench_load.hpp"
#include "bench_process.hpp"
#include "io/udp_socket.hpp"

namespace quicmesh::cli {

class BenchCoturn {
 public:
  /// Where the program is; empty if it is not installed.
  [[nodiscard]] static std::string program();

  /// Starts the server, allocates, and binds a channel from the client to the peer.
  static Measured<std::unique_ptr<BenchCoturn>> start();
  ~BenchCoturn();
  BenchCoturn(const BenchCoturn&) = delete;
  BenchCoturn& operator=(const BenchCoturn&) = delete;

  [[nodiscard]] pid_t pid() const { return process_->pid(); }
  /// From the client through the server to the peer; `datagram_bytes` is as sent, header included.
  [[nodiscard]] LoadFlow flow(std::size_t datagram_bytes) const;

 private:
  BenchCoturn(io::UdpSocket client, io::UdpSocket peer)
      : client_(std::move(client)), peer_(std::move(peer)) {}

  Measured<void> launch();
  Measured<void> allocate();

  io::UdpSocket client_;
  io::UdpSocket peer_;
  SocketAddress server_;
  std::string folder_;  // its database and its log
  std::unique_ptr<BenchProcess> process_;
};

}  // namespace quicmesh::cli
