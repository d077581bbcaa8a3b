// See event_loop.hpp.
#include "io/event_loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>

#include "io/system_error.hpp"

namespace quicmesh::io {

Instant EventLoop::now() {
  timespec time{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &time);
  return Instant(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
}

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  auto loop = std::unique_ptr<EventLoop>(new EventLoop);
  loop->epoll_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!loop->epoll_) return failure(socket_error(errno));
  loop->wake_ = FileDescriptor(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!loop->wake_) return failure(socket_error(errno));
  // Edge-triggered: each write wakes once, and nobody has to read the counter.
  const auto added = loop->watch(loop->wake_.get(), wake_tag, EPOLLIN | EPOLLET);
  if (!added) return failure(added.error());
  return loop;
}

Result<void> EventLoop::add(int descriptor, std::uint64_t tag) {
  return watch(descriptor, tag, EPOLLIN);
}

Result<void> EventLoop::watch(int descriptor, std::uint64_t tag, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0) {
    return failure(system_error(errno));
  }
  return {};
}

void EventLoop::remove(int descriptor) {
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, descriptor, nullptr);
}

void EventLoop::watch_writable(int descriptor, std::uint64_t tag, bool wanted) {
  epoll_event event{};
  event.events = wanted ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = tag;
  (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, descriptor, &event);
}

std::span<const Readiness> EventLoop::poll(Instant deadline) {
  timespec timeout{};
  const timespec* limit = nullptr;
  if (deadline != never) {
    const Duration left =
        deadline == Instant{} ? Duration{} : std::max(Duration{}, deadline - now());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    timeout.tv_sec = seconds.count();
    timeout.tv_nsec = (left - seconds).count();
    limit = &timeout;
  }
  std::array<epoll_event, events_max> events;
  const int count = ::epoll_pwait2(epoll_.get(), events.data(), int{events_max}, limit, nullptr);
  ready_.clear();
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 == wake_tag) continue;
    ready_.push_back({event.data.u64, (event.events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0,
                      (event.events & EPOLLOUT) != 0});
  }
  return ready_;
}

void EventLoop::signal() {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

}  // namespace quicmesh::io
