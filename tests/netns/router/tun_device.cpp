// See tun_device.hpp.
#include "tun_device.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace quicmesh::natlab {
namespace {

std::unexpected<std::error_code> last_error() {
  return failure(std::error_code(errno, std::generic_category()));
}

ifreq request_for(const std::string& name) {
  ifreq request{};
  std::copy_n(name.data(), std::min<std::size_t>(name.size(), IFNAMSIZ - 1), request.ifr_name);
  return request;
}

bool enter(const std::string& netns) {
  const int handle = ::open(("/var/run/netns/" + netns).c_str(), O_RDONLY | O_CLOEXEC);
  if (handle < 0) return false;
  const bool entered = ::setns(handle, CLONE_NEWNET) == 0;
  ::close(handle);
  return entered;
}

bool bring_up(const std::string& name, int mtu, int queue_packets) {
  const int socket = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (socket < 0) return false;
  ifreq request = request_for(name);
  request.ifr_mtu = mtu;
  bool done = ::ioctl(socket, SIOCSIFMTU, &request) == 0;
  request = request_for(name);
  request.ifr_qlen = queue_packets;
  done = done && ::ioctl(socket, SIOCSIFTXQLEN, &request) == 0;
  request = request_for(name);
  request.ifr_flags = IFF_UP;
  done = done && ::ioctl(socket, SIOCSIFFLAGS, &request) == 0;
  ::close(socket);
  return done;
}

}  // namespace

Result<TunDevice> TunDevice::make(const std::string& netns, const std::string& name, int mtu,
                                  int queue_packets) {
  if (!enter(netns)) return last_error();
  const int descriptor = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return last_error();
  TunDevice device(descriptor);
  // Without offloads: the kernel cuts segmentation trains and fills checksums in before.
  ifreq request = request_for(name);
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  if (::ioctl(descriptor, TUNSETIFF, &request) < 0) return last_error();
  if (!bring_up(name, mtu, queue_packets)) return last_error();
  return device;
}

TunDevice::TunDevice(TunDevice&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

TunDevice::~TunDevice() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

std::optional<ByteView> TunDevice::read(MutableByteView buffer) {
  const ssize_t size = ::read(descriptor_, buffer.data(), buffer.size());
  if (size <= 0) return std::nullopt;
  return buffer.first(static_cast<std::size_t>(size));
}

bool TunDevice::write(ByteView packet) {
  return ::write(descriptor_, packet.data(), packet.size()) == static_cast<ssize_t>(packet.size());
}

}  // namespace quicmesh::natlab
