// A relay's TCP socket for tunnels: where a client that gets no UDP through knocks.
//
// Connections are taken at once and judged then (TunnelAdmission): a full backlog would let
// strangers hold the door shut. One that says nothing stays in the kernel for a while
// (TCP_DEFER_ACCEPT), where it costs next to nothing. A process that has no descriptor left closes
// one kept for that, takes the connection with it and drops it; otherwise epoll would report it for
// ever.
#pragma once

#include <optional>

#include "io/file_descriptor.hpp"
#include "quicmesh/result.hpp"
#include "quicmesh/socket_address.hpp"

namespace quicmesh::io {

class TunnelListener {
 public:
  static constexpr int backlog = 1024;
  /// For so long the kernel keeps a connection on which nothing has come; then it is handed over
  /// or dropped, as the system pleases.
  static constexpr int silent_seconds = 10;

  /// Fails with the codes of IoErrc, those for TCP where it has them, or the system's.
  static Result<TunnelListener> open(const SocketAddress& local);

  struct Accepted {
    FileDescriptor descriptor;
    SocketAddress remote;
  };
  /// The next connection that waits; nothing if there is none.
  std::optional<Accepted> accept();

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  [[nodiscard]] const SocketAddress& local() const { return local_; }
  /// Connections dropped because the process had no descriptor left.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }

 private:
  TunnelListener(FileDescriptor descriptor, const SocketAddress& local);

  FileDescriptor descriptor_;
  FileDescriptor reserve_;
  SocketAddress local_;
  std::uint64_t dropped_ = 0;
};

}  // namespace quicmesh::io
