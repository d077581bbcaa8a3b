// UDP packets over IPv4 whose source address is somebody else's; needs CAP_NET_RAW.
#pragma once

#include "io/file_descriptor.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::abuser {

class SpoofingSocket {
 public:
  SpoofingSocket();

  /// Both addresses are IPv4. The UDP checksum is left out, which IPv4 allows.
  void send(const SocketAddress& from, const SocketAddress& to, ByteView payload);

  [[nodiscard]] std::uint64_t packets() const { return packets_; }
  /// Of payload.
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }

 private:
  io::FileDescriptor descriptor_;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace quicmesh::abuser
