// See patience.hpp.
#include "io/patience.hpp"

#include <poll.h>

#include <algorithm>
#include <array>

#include "io/event_loop.hpp"

namespace quicmesh::io {

Patience Patience::at_most(Duration time) const {
  return {std::min(until, EventLoop::now() + time), interrupt};
}

Waited wait_for(int descriptor, short events, const Patience& patience) {
  for (;;) {
    const Duration left = patience.until - EventLoop::now();
    if (left <= Duration{}) return Waited::late;
    const auto milliseconds =
        std::chrono::ceil<std::chrono::milliseconds>(std::min<Duration>(left, 1h));
    // poll(2) ignores negative descriptors.
    std::array<pollfd, 2> watched{{{patience.interrupt, POLLIN, 0}, {descriptor, events, 0}}};
    const int count =
        ::poll(watched.data(), watched.size(), static_cast<int>(milliseconds.count()));
    if (count <= 0) continue;  // EINTR, or the time is over
    if (watched[0].revents != 0) return Waited::interrupted;
    if (watched[1].revents != 0) return Waited::ready;
  }
}

}  // namespace quicmesh::io
