// What the simulator plans: sixteen bytes that name the thing that happens, no closure.
#pragma once

#include <cstdint>

#include "sim/event_queue.hpp"

namespace quicmesh::sim {

enum class EventKind : std::uint32_t {
  packet_at_core,        // target: RealmId, data: PacketHandle
  packet_at_attachment,  // target: AttachmentId, data: PacketHandle
  host_wake_up,          // target: HostId, data: unused
  action,                // target: index of the planned action
};

struct Event {
  EventKind kind;
  std::uint32_t target;
  std::uint64_t data;
};

using SimulationQueue = EventQueue<Event>;

}  // namespace quicmesh::sim
