// `natlab_router`: the driver of the router core. One thread polls two TUN devices, the standard
// input and a signal, with real-time priority where that is allowed: under load a line of 10 ms is
// otherwise one of 30.
//
// Its first line on stdout is {"event":"ready","realtime":...}; then it answers what it is asked
// (control.hpp). SIGUSR1 drops all mappings. It ends with its standard input.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "control.hpp"
#include "router.hpp"
#include "router_options.hpp"
#include "tun_device.hpp"

namespace quicmesh::natlab {
namespace {

constexpr int device_mtu = 1500;
constexpr int device_queue_packets = 4096;
constexpr std::size_t packet_max = 65'536;
constexpr int burst_packets = 64;  // read from one side before the other has its turn
constexpr std::size_t control_line_max = 4096;

Instant now() {
  return Instant{std::chrono::steady_clock::now().time_since_epoch()};
}

bool become_realtime() {
  ::prctl(PR_SET_TIMERSLACK, 1UL);
  const sched_param priority{.sched_priority = 1};
  return ::sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
}

int watch_rebind_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR1);
  ::sigprocmask(SIG_BLOCK, &signals, nullptr);
  return ::signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

/// Obeys the whole lines of the standard input; false at its end.
bool read_control(Router& router, std::string& pending) {
  std::array<char, 1024> chunk{};
  const ssize_t size = ::read(STDIN_FILENO, chunk.data(), chunk.size());
  if (size <= 0) return false;
  pending.append(chunk.data(), static_cast<std::size_t>(size));
  for (std::size_t end = 0; (end = pending.find('\n')) != std::string::npos;) {
    const std::string answer = obey(router, now(), std::string_view(pending).substr(0, end));
    pending.erase(0, end + 1);
    fmt::print("{}\n", answer);
    std::fflush(stdout);
  }
  return pending.size() <= control_line_max;
}

void take_packets(Router& router, Side from, TunDevice& device) {
  static std::array<std::uint8_t, packet_max> buffer;
  for (int i = 0; i < burst_packets; ++i) {
    const auto packet = device.read(buffer);
    if (!packet) return;
    router.handle_packet(now(), from, *packet);
  }
}

void send_due(Router& router, TunDevice& inner, TunDevice& outer) {
  while (auto next = router.poll_packet(now())) {
    (void)(next->to == Side::inner ? inner : outer).write(next->packet);
    router.recycle(std::move(next->packet));
  }
}

timespec until(Instant when) {
  const Duration wait = std::max(Duration{}, std::min(when - now(), Duration{1h}));
  return {.tv_sec = wait / 1s, .tv_nsec = (wait % 1s).count()};
}

void run(Router& router, TunDevice& inner, TunDevice& outer, int rebind_signal) {
  std::array<pollfd, 4> watched = {
      pollfd{STDIN_FILENO, POLLIN, 0}, pollfd{rebind_signal, POLLIN, 0},
      pollfd{inner.descriptor(), POLLIN, 0}, pollfd{outer.descriptor(), POLLIN, 0}};
  std::string pending;
  while (true) {
    const Instant next = router.poll_timeout();
    const timespec wait = next == never ? timespec{3600, 0} : until(next);
    (void)::ppoll(watched.data(), watched.size(), &wait, nullptr);  // a signal only wakes it
    if (watched[1].revents != 0) {
      signalfd_siginfo ignored{};
      while (::read(rebind_signal, &ignored, sizeof ignored) > 0)
        router.rebind();
    }
    if (watched[0].revents != 0 && !read_control(router, pending)) return;
    // Its namespace is gone, and with it the device.
    if (((watched[2].revents | watched[3].revents) & (POLLERR | POLLHUP | POLLNVAL)) != 0) return;
    take_packets(router, Side::inner, inner);
    take_packets(router, Side::outer, outer);
    send_due(router, inner, outer);
  }
}

int start(const RouterOptions& options) {
  auto inner =
      TunDevice::make(options.inner.netns, options.inner.device, device_mtu, device_queue_packets);
  auto outer = inner ? TunDevice::make(options.outer.netns, options.outer.device, device_mtu,
                                       device_queue_packets)
                     : failure(inner.error());
  if (!outer) {
    fmt::print(stderr, "natlab_router: cannot make its TUN devices: {}\n", outer.error().message());
    return 1;
  }
  Router router(options.router, Rng(options.seed));
  const int rebind_signal = watch_rebind_signal();
  fmt::print("{{\"event\":\"ready\",\"realtime\":{}}}\n", become_realtime());
  std::fflush(stdout);
  run(router, *inner, *outer, rebind_signal);
  return 0;
}

}  // namespace
}  // namespace quicmesh::natlab

int main(int argc, char** argv) {
  const auto options = quicmesh::natlab::parse_options(argc, argv);
  return options ? quicmesh::natlab::start(*options) : options.error();
}
