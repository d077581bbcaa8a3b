// Connection: a peer and a protocol to speak with it. A cheap handle, copied freely; all handles to
// one peer share one QUIC connection.
//
// Datagrams of a protocol form a flow. The flow is named to the peer by the first `send_datagram`;
// there the handler given to Node::handle_datagrams gets a Connection for its side of it. The flow
// ends when the last copy of the handle that opened it is dropped, or with the connection.
// Datagrams may be lost, doubled by nobody, and come in any order.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/stream.hpp"
#include "quicmesh/task.hpp"

namespace quicmesh {

namespace io {
struct ConnectionState;
}

class Connection {
 public:
  /// Received datagrams that wait to be read; the oldest goes first.
  static constexpr std::size_t datagrams_max = 256;

  /// An empty handle: every operation fails with IoErrc::empty_handle.
  Connection() = default;

  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }

  /// Waits while the peer allows no further streams. Cancelled, a stream opened meanwhile is reset.
  Task<Stream> open_stream();

  /// Sends at most `max_datagram_size` bytes; QuicErrc::datagram_too_large beyond. The bytes are
  /// copied before the call returns. Not acknowledged.
  Task<void> send_datagram(ByteView data);
  /// The next datagram of this flow; fails with QuicErrc::stream_closed when the flow is over.
  /// Safe to cancel.
  Task<Bytes> receive_datagram();
  /// In bytes, for the path in use; 0 without a connection.
  Task<std::size_t> max_datagram_size();

  /// Ends the connection to the peer, for all its handles and streams, at once: what was not
  /// acknowledged is lost (see Stream::flushed). `reason` is told to the peer.
  Task<void> close(std::string reason = "goodbye");

  [[nodiscard]] NodeId peer() const;
  [[nodiscard]] std::string protocol() const;

  /// For the library itself.
  explicit Connection(std::shared_ptr<io::ConnectionState> state);

 private:
  std::shared_ptr<io::ConnectionState> state_;  // shared by the copies and pending operations
};

}  // namespace quicmesh
