// The datagrams under way. A slot keeps its buffer when it is free, so that a steady flow allocates
// nothing; a packet's address is stable while it is held, because a core decrypts in place while
// its answers are already being sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/network_path.hpp"
#include "quicmesh/bytes.hpp"
#include "sim/ids.hpp"

namespace quicmesh::sim {

enum class PacketHandle : std::uint32_t {};

struct Packet {
  SocketAddress source;
  SocketAddress destination;
  AttachmentId origin = no_attachment;  // through which it came into the realm where it is now
  Ecn ecn = Ecn::not_ect;
  Bytes payload;
};

class PacketPool {
 public:
  PacketHandle acquire() {
    ++held_;
    if (free_.empty()) {
      packets_.emplace_back();
      return PacketHandle{static_cast<std::uint32_t>(packets_.size() - 1)};
    }
    const PacketHandle handle = free_.back();
    free_.pop_back();
    return handle;
  }

  void release(PacketHandle handle) {
    --held_;
    free_.push_back(handle);
  }

  Packet& operator[](PacketHandle handle) { return packets_[static_cast<std::size_t>(handle)]; }
  [[nodiscard]] std::size_t held() const { return held_; }

 private:
  std::deque<Packet> packets_;
  std::vector<PacketHandle> free_;
  std::size_t held_ = 0;
};

}  // namespace quicmesh::sim
