// The states behind the public handles: what the user's side and the network thread share.
//
// Bytes come in as the chunks the core gave, and are moved from list to list:
//   core -> `arrived` (under the mutex) -> `reading` (the reader's own) -> the user,
// a whole list at a time, so that most reads take no lock. They go out as
//   the user -> `queued` (under the mutex) -> `unsent` (the network thread's own) -> core.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/bounded_queue.hpp"
#include "io/chunk_list.hpp"
#include "io/streak.hpp"
#include "io/wait_slot.hpp"
#include "path/path_event.hpp"
#include "quicmesh/bytes.hpp"
#include "quicmesh/connection.hpp"
#include "quicmesh/node_id.hpp"

namespace quicmesh::io {

class NodeHub;

struct StreamState : std::enable_shared_from_this<StreamState> {
  std::shared_ptr<NodeHub> hub;  // shared: a handle may outlive its Node
  NodeId peer;
  std::string protocol;
  StreamKey key;

  // Guarded by the hub's mutex.
  ChunkList arrived;
  bool end_arrived = false;
  std::error_code read_error;
  ChunkList queued;
  std::size_t queued_bytes = 0;  // in `queued` and `unsent`, charged to the hub's WriteBudget
  std::error_code write_error;
  bool finish_wanted = false;
  bool reset_wanted = false;
  bool stop_wanted = false;
  std::size_t credit = 0;  // consumed by the user, and not yet told to the core
  bool dirty = false;      // in the hub's list for the network thread
  bool dropped = false;    // no handle is left
  bool over = false;       // the core has forgotten it
  WaitSlot reader;
  WaitSlot writer;
  std::vector<std::shared_ptr<Reply>> flushers;  // shared with the coroutines

  // The reader's own, and the writer's.
  std::atomic<bool> reader_busy{false};
  std::atomic<bool> writer_busy{false};
  ChunkList reading;
  std::size_t consumed = 0;        // of `reading`, not yet in `credit`
  std::size_t credited_early = 0;  // in `credit` already, and then put back unread
  Streak reads;
  Streak writes;

  // The network thread's own.
  ChunkList unsent;
  bool finish_given = false;  // to the core
  bool broken = false;        // the core takes nothing more
};

/// A datagram flow, of either side.
struct FlowState {
  explicit FlowState(std::size_t capacity) : arrived(capacity), queued(capacity) {}

  std::shared_ptr<NodeHub> hub;
  NodeId peer;
  std::string protocol;

  // Guarded by the hub's mutex.
  BoundedQueue<Bytes, DropPolicy::drop_oldest> arrived;
  BoundedQueue<Bytes, DropPolicy::drop_oldest> queued;
  std::error_code error;  // why it is over
  bool dirty = false;
  bool dropped = false;
  WaitSlot reader;

  // The reader's own.
  std::atomic<bool> reader_busy{false};
  Streak reads;

  // The network thread's own.
  std::optional<StreamKey> key;
  bool opening = false;
  /// The peer knows the flow. Datagrams wait for that: they overtake the stream that names it.
  bool ready = false;
};

struct ConnectionState {
  std::shared_ptr<NodeHub> hub;
  NodeId peer;
  std::string protocol;
  std::shared_ptr<FlowState> flow;  // guarded by the hub's mutex; null until needed

  ~ConnectionState();
};

}  // namespace quicmesh::io
