// See bench_load.hpp.
#include "bench_load.hpp"

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "io/file_descriptor.hpp"

namespace quicmesh::cli {
namespace {

constexpr std::size_t receives_per_look = 16;
constexpr double lost_after_s = 0.02;  // nothing came for so long: what is under way is lost
constexpr double ping_patience_s = 0.2;
constexpr int ping_warm_up = 100;

double seconds_of(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

/// The sockets where a load arrives. Of many the kernel is asked which have something.
class Arrivals {
 public:
  Arrivals(std::span<const LoadFlow> flows) : mark_(flows.front().mark) {
    for (const LoadFlow& flow : flows)
      sockets_.push_back(flow.at);
    std::ranges::sort(sockets_);
    sockets_.erase(std::ranges::unique(sockets_).begin(), sockets_.end());
    if (sockets_.size() <= few) return;
    epoll_ = io::FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
    for (const int socket : sockets_) {
      epoll_event event{};
      event.events = EPOLLIN;
      event.data.fd = socket;
      (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, socket, &event);
    }
  }

  /// The bytes that wait, up to some trains of each socket.
  std::size_t take() {
    std::size_t bytes = 0;
    if (!epoll_) {
      for (const int socket : sockets_)
        bytes += take_some(socket);
      return bytes;
    }
    std::array<epoll_event, 64> ready{};
    const int count = ::epoll_wait(epoll_.get(), ready.data(), int{ready.size()}, 0);
    for (int i = 0; i < count; ++i)
      bytes += take_some(ready[static_cast<std::size_t>(i)].data.fd);
    return bytes;
  }

 private:
  static constexpr std::size_t few = 4;

  std::size_t take_some(int socket) const {
    std::size_t bytes = 0;
    for (std::size_t i = 0; i < receives_per_look; ++i) {
      const std::size_t size = take_train(socket, mark_);
      if (size == 0) break;
      bytes += size;
    }
    return bytes;
  }

  std::uint8_t mark_;
  std::vector<int> sockets_;
  io::FileDescriptor epoll_;
};

}  // namespace

double monotonic_seconds() {
  timespec time{};
  (void)::clock_gettime(CLOCK_MONOTONIC, &time);
  return seconds_of(time);
}

double cpu_seconds_of(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return seconds_of(time);
}

LoadTrain::LoadTrain(const LoadFlow& flow, const LoadShape& shape)
    : descriptor_(flow.from),
      to_(io::to_kernel(flow.to)),
      segment_(shape.datagram_bytes),
      bytes_(shape.datagram_bytes * shape.segments) {
  for (std::size_t at = 0; at < bytes_.size(); at += segment_)
    std::ranges::copy(flow.header, bytes_.begin() + static_cast<std::ptrdiff_t>(at));
}

bool LoadTrain::send() const {
  io::KernelAddress to = to_;
  iovec vector{const_cast<std::uint8_t*>(bytes_.data()), bytes_.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(std::uint16_t))> control{};
  msghdr message{};
  message.msg_name = to.data();
  message.msg_namelen = to.size;
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (bytes_.size() > segment_) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = IPPROTO_UDP;
    header->cmsg_type = UDP_SEGMENT;
    header->cmsg_len = CMSG_LEN(sizeof(std::uint16_t));
    const auto segment = static_cast<std::uint16_t>(segment_);
    std::memcpy(CMSG_DATA(header), &segment, sizeof segment);
  }
  return ::sendmsg(descriptor_, &message, MSG_DONTWAIT) >= 0;
}

std::size_t take_train(int descriptor, std::uint8_t mark) {
  for (;;) {
    std::array<std::uint8_t, 16> front{};
    const ssize_t size = ::recv(descriptor, front.data(), front.size(), MSG_DONTWAIT | MSG_TRUNC);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (size > 0 && front[0] == mark) return static_cast<std::size_t>(size);
  }
}

LoadResult carry(std::span<const LoadFlow> flows, const LoadShape& shape, double seconds,
                 pid_t forwarder) {
  std::vector<LoadTrain> trains;
  for (const LoadFlow& flow : flows)
    trains.emplace_back(flow, shape);
  Arrivals arrivals(flows);
  while (arrivals.take() > 0) {
  }
  const std::size_t arriving_bytes = shape.datagram_bytes - flows.front().taken_off;
  const std::uint64_t window = shape.window * shape.segments;
  std::uint64_t under_way = 0;  // datagrams
  std::size_t next = 0;
  LoadResult result;
  const double cpu = cpu_seconds_of(forwarder);
  const double begun = monotonic_seconds();
  double heard = begun;
  for (double now = begun; now - begun < seconds; now = monotonic_seconds()) {
    while (under_way + shape.segments <= window && trains[next].send()) {
      under_way += shape.segments;
      result.sent += shape.segments;
      next = next + 1 == trains.size() ? 0 : next + 1;
    }
    const std::uint64_t received = arrivals.take() / arriving_bytes;
    if (received > 0) heard = now;
    if (now - heard > lost_after_s) {
      under_way = 0;
      heard = now;
    }
    under_way -= std::min(under_way, received);
    result.received += received;
  }
  result.seconds = monotonic_seconds() - begun;
  result.forwarder_cpu_s = cpu_seconds_of(forwarder) - cpu;
  return result;
}

PacedLoad::PacedLoad(const LoadFlow& flow, const LoadShape& shape)
    : train_(flow, shape),
      shape_(shape),
      at_(flow.at),
      mark_(flow.mark),
      arriving_bytes_(shape.datagram_bytes - flow.taken_off) {}

void PacedLoad::advance(double now_s) {
  if (begun_s_ < 0) begun_s_ = now_s;
  result_.seconds = now_s - begun_s_;
  const double due = result_.seconds * shape_.datagrams_per_s;
  if (static_cast<double>(result_.sent) < due && train_.send()) result_.sent += shape_.segments;
  for (std::size_t i = 0; i < receives_per_look; ++i) {
    const std::size_t size = take_train(at_, mark_);
    if (size == 0) return;
    result_.received += size / arriving_bytes_;
  }
}

Figure ping_pong(const LoadFlow& there, const LoadFlow& back, std::size_t datagram_bytes,
                 double seconds, const std::function<void(double now_s)>& beside) {
  const LoadShape shape{.datagram_bytes = datagram_bytes};
  const LoadTrain ping(there, shape);
  const LoadTrain pong(back, shape);
  Figure round_trips;
  const auto arrives = [&](const LoadFlow& flow, double until_s) {
    for (double now = monotonic_seconds(); now < until_s; now = monotonic_seconds()) {
      if (take_train(flow.at, flow.mark) > 0) return true;
      if (beside) beside(now);
    }
    return false;
  };
  const double begun = monotonic_seconds();
  double sent = begun;
  for (int i = 0; sent - begun < seconds; ++i) {
    sent = monotonic_seconds();
    if (!ping.send() || !arrives(there, sent + ping_patience_s)) continue;
    if (!pong.send() || !arrives(back, sent + ping_patience_s)) continue;
    if (i >= ping_warm_up) round_trips.add((monotonic_seconds() - sent) * 1e6);
  }
  return round_trips;
}

}  // namespace quicmesh::cli
