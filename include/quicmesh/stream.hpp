// Stream: an ordered, reliable flow of bytes to a peer and back, under a protocol's name.
//
// A handle that moves. Dropping it without `finish` resets the stream: the peer sees an error, not
// an end. Dropping it after `finish` loses nothing that was written as long as the node lives;
// `flushed` says when the peer has it.
//
// One coroutine may read while another one writes, on any threads. Two reads at once, or two
// writes, are a mistake: the second one fails with IoErrc::already_waiting.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "quicmesh/bytes.hpp"
#include "quicmesh/node_id.hpp"
#include "quicmesh/task.hpp"

namespace quicmesh {

namespace io {
struct StreamState;
}

class Stream {
 public:
  /// A write waits while as much as this is queued before the connection's own send buffer.
  static constexpr std::size_t write_queue_max = 256u << 10;
  /// And as much as this while all streams to the peer, or all streams of the node, have queued
  /// more than their bounds below: peers that do not read cost patience, not memory.
  static constexpr std::size_t write_queue_min = 4u << 10;
  static constexpr std::size_t write_queue_peer_max = 4u << 20;
  static constexpr std::size_t write_queue_node_max = 64u << 20;

  /// An empty handle: every operation fails with IoErrc::empty_handle.
  Stream() = default;
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&& other) noexcept;
  ~Stream();

  [[nodiscard]] explicit operator bool() const { return state_ != nullptr; }

  /// Queues `data`, waiting while the queue is too long for them. Fails with stream_reset or
  /// stream_refused (the peer does not want it), the connection's error, or stream_finished.
  /// Cancelled, what was not queued yet is not written; up to write_queue_min bytes, that is
  /// nothing or all.
  Task<void> write(Bytes data);
  /// The same for borrowed bytes, which are copied before the call returns.
  Task<void> write(ByteView data);
  Task<void> write(std::string_view text);

  /// Says that nothing follows; the peer reads to the end. Queued data still go out.
  Task<void> finish();
  /// Waits until the peer has acknowledged everything written so far. Safe to cancel.
  Task<void> flushed();

  /// The next bytes as they arrived; empty at the end. Fails with stream_reset, or with the
  /// connection's error after everything that arrived was read. Safe to cancel: nothing is lost.
  Task<Bytes> read();
  /// Exactly `size` bytes; IoErrc::ended_early if there are fewer. Cancelled or failed, what had
  /// arrived is still there to `read`.
  Task<Bytes> read_exactly(std::size_t size);
  /// Everything up to the end, at most `size_max` bytes (BaseErrc::too_long beyond).
  Task<Bytes> read_all(std::size_t size_max);

  /// Ends both directions at once; the peer's reads and writes fail.
  void reset();

  /// Of an empty handle: the zero id, and no name.
  [[nodiscard]] NodeId peer() const;
  [[nodiscard]] std::string protocol() const;

  /// For the library itself.
  explicit Stream(std::shared_ptr<io::StreamState> state);

 private:
  void drop();

  std::shared_ptr<io::StreamState> state_;  // shared with the network thread and pending operations
};

}  // namespace quicmesh
