// A TUN device in a network namespace: what the kernel routes into it is read here, packet by
// packet, and what is written here arrives in that namespace. The device ends with this object.
#pragma once

#include <optional>
#include <string>

#include "quicmesh/bytes.hpp"
#include "quicmesh/result.hpp"

namespace quicmesh::natlab {

class TunDevice {
 public:
  /// Makes the device `name` in the namespace of `ip netns` called `netns`, brings it up with
  /// `mtu` bytes and room for `queue_packets` that are not read yet. Moves the calling thread into
  /// that namespace.
  static Result<TunDevice> make(const std::string& netns, const std::string& name, int mtu,
                                int queue_packets);

  TunDevice(TunDevice&& other) noexcept;
  TunDevice& operator=(TunDevice&&) = delete;
  ~TunDevice();

  [[nodiscard]] int descriptor() const { return descriptor_; }

  /// The next packet in `buffer`; nothing if none waits or the device is down.
  std::optional<ByteView> read(MutableByteView buffer);
  /// A packet that the kernel does not take (the device is down) is gone.
  bool write(ByteView packet);

 private:
  explicit TunDevice(int descriptor) : descriptor_(descriptor) {}

  int descriptor_;
};

}  // namespace quicmesh::natlab
