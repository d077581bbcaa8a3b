// See port_mapper.hpp.
#include "io/port_mapper.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "crypto/system_rng.hpp"
#include "io/event_loop.hpp"
#include "io/sockaddr.hpp"
#include "nat/port_mapping_errc.hpp"

namespace quicmesh::io {
namespace {

constexpr std::uint16_t announcement_port = 5350;  // RFC 6886 s3.2.1

void signal(const FileDescriptor& event) {
  const std::uint64_t one = 1;
  (void)::write(event.get(), &one, sizeof one);  // a full counter is readable as well
}

void drain(const FileDescriptor& event) {
  std::uint64_t count = 0;
  (void)::read(event.get(), &count, sizeof count);
}

/// Gateways announce themselves to 224.0.0.1, where everybody is a member.
FileDescriptor listen_for_announcements() {
  FileDescriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) return {};
  const int on = 1;
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const KernelAddress any = to_kernel({IpAddress::any(IpFamily::v4), announcement_port});
  // Somebody who does not share the port may have it; then regular checks must do.
  if (::bind(socket.get(), any.data(), any.size) != 0) return {};
  return socket;
}

/// Whether one of the datagrams that wait is of `gateway`.
bool was_announced(const FileDescriptor& socket, const IpAddress& gateway) {
  constexpr int looked_at_max = 16;
  bool announced = false;
  for (int i = 0; i < looked_at_max; ++i) {
    std::array<std::uint8_t, 64> buffer;
    sockaddr_storage from{};
    socklen_t size = sizeof from;
    if (::recvfrom(socket.get(), buffer.data(), buffer.size(), 0,
                   reinterpret_cast<sockaddr*>(&from), &size) < 0) {
      break;
    }
    const auto source = from_kernel(reinterpret_cast<const sockaddr*>(&from));
    announced |= source && source->ip == gateway;
  }
  return announced;
}

}  // namespace

PortMapper::PortMapper(Options options, News news)
    : options_(std::move(options)), news_(std::move(news)) {}

#ifdef QUICMESH_PORT_MAPPING
std::unique_ptr<PortMapper> PortMapper::start(Options options, News news) {
  auto mapper = std::unique_ptr<PortMapper>(new PortMapper(std::move(options), std::move(news)));
  mapper->workers_[0].make = make_nat_pmp;
  mapper->workers_[1].make = make_upnp_igd;
  if (!mapper->prepare()) return nullptr;
  return mapper;
}
#else
std::unique_ptr<PortMapper> PortMapper::start(Options, News) {
  return nullptr;
}
#endif

bool PortMapper::prepare() {
  stopping_ = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stopping_) return false;
  workers_[0].protocol = PortMappingProtocol::nat_pmp;
  workers_[0].announcements = listen_for_announcements();
  workers_[1].protocol = PortMappingProtocol::upnp_igd;
  for (Worker& worker : workers_) {
    worker.poked = FileDescriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!worker.poked) return false;
  }
  try {
    for (Worker& worker : workers_)
      worker.thread = std::thread([this, &worker] { run(worker); });
  } catch (const std::system_error&) {
    return false;  // the destructor ends those that run
  }
  return true;
}

PortMapper::~PortMapper() {
  stop();
  for (Worker& worker : workers_) {
    if (worker.thread.joinable()) worker.thread.join();
  }
}

void PortMapper::check_now() {
  for (const Worker& worker : workers_)
    signal(worker.poked);
}

void PortMapper::stop() {
  {
    const std::scoped_lock lock(mutex_);
    stopped_ = true;
  }
  if (stopping_) signal(stopping_);
}

std::vector<std::uint16_t> PortMapper::ports_of(const DefaultGateway& gateway) const {
  std::vector<std::uint16_t> ports;
  for (const SocketAddress& socket : options_.sockets) {
    if (socket.ip.family() != IpFamily::v4) continue;
    if (!socket.ip.is_unspecified() && socket.ip != gateway.self) continue;
    if (std::ranges::find(ports, socket.port) == ports.end()) ports.push_back(socket.port);
  }
  return ports;
}

void PortMapper::run(Worker& worker) {
  (void)::prctl(PR_SET_NAME, "quicmesh-map", 0UL, 0UL, 0UL);
  for (;;) {
    Instant until = EventLoop::now() + gateway_interval;
    if (follow_gateway(worker)) {
      const Instant now = EventLoop::now();
      const auto step = worker.keeper->next(now);
      const auto* wait = std::get_if<PortMappingKeeper::Wait>(&step);
      // The gateway of the network is looked at now and then as well.
      until = wait == nullptr ? now : std::min(wait->until, now + gateway_interval);
      if (wait == nullptr) take_step(worker);
    }
    if (!rest(worker, until)) break;
  }
  say_farewell(worker);
}

bool PortMapper::rest(Worker& worker, Instant until) {
  for (;;) {
    const Duration left = std::max<Duration>(until - EventLoop::now(), Duration{});
    const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left);
    std::array<pollfd, 3> watched{{{stopping_.get(), POLLIN, 0},
                                   {worker.poked.get(), POLLIN, 0},
                                   {worker.announcements.get(), POLLIN, 0}}};
    const int count =
        ::poll(watched.data(), watched.size(), static_cast<int>(milliseconds.count()));
    if (count < 0) continue;  // EINTR
    if (watched[0].revents != 0) return false;
    if (count == 0) return true;
    const Instant now = EventLoop::now();
    const bool poked = watched[1].revents != 0;
    if (poked) drain(worker.poked);
    // Without a gateway they are read all the same, or the wait would not wait.
    const IpAddress router = worker.gateway ? worker.gateway->router : IpAddress();
    const bool heard = watched[2].revents != 0 && was_announced(worker.announcements, router);
    const bool announced = heard && now - worker.announced >= announcement_pause;
    if (announced) worker.announced = now;
    if (!poked && !announced) {
      if (until <= now) return true;
      continue;
    }
    if (worker.keeper && announced) worker.keeper->on_announcement(now);
    if (worker.keeper && poked) worker.keeper->check_now(now);
    return true;
  }
}

bool PortMapper::follow_gateway(Worker& worker) {
  const auto found = find_default_gateway();
  // A machine on the internet itself needs no mapping.
  const bool wanted =
      found && scope_of(found->self, options_.rules) != AddressScope::public_internet;
  if (!wanted) {
    worker.gateway.reset();
    worker.talk.reset();
    worker.keeper.reset();
    report(worker, found ? std::error_code{} : PortMappingErrc::no_gateway);
    return false;
  }
  if (worker.gateway != found) {
    SystemRng seed;
    worker.gateway = found;
    worker.talk = worker.make(*found);
    worker.keeper =
        std::make_unique<PortMappingKeeper>(ports_of(*found), options_.rules, Rng(seed.next_u64()));
    report(worker);
  }
  return true;
}

void PortMapper::take_step(Worker& worker) {
  const Patience patience{EventLoop::now() + step_patience, stopping_.get()};
  const auto step = worker.keeper->next(EventLoop::now());
  if (std::holds_alternative<PortMappingKeeper::AskStatus>(step)) {
    const auto held = worker.keeper->held();
    const auto status = worker.talk->status(held, patience);
    worker.keeper->on_status(EventLoop::now(), status);
  } else if (const auto* wanted = std::get_if<PortMappingKeeper::AskMapping>(&step)) {
    const auto mapping = worker.talk->map(*wanted, patience);
    worker.keeper->on_mapping(EventLoop::now(), wanted->internal_port, mapping);
  }
  report(worker);
}

void PortMapper::say_farewell(Worker& worker) {
  if (!worker.keeper) return;
  const Patience patience{EventLoop::now() + farewell_patience, -1};
  for (const HeldMapping& mapping : worker.keeper->held())
    worker.talk->unmap(mapping, patience);
}

void PortMapper::report(const Worker& worker, std::error_code without_gateway) {
  Outcome outcome;
  outcome.verdict = without_gateway;
  if (worker.keeper) {
    outcome.external = worker.keeper->external();
    outcome.verdict = worker.keeper->verdict();
    for (const HeldMapping& held : worker.keeper->held()) {
      outcome.mappings.push_back({worker.protocol,
                                  held.internal_port,
                                  {*outcome.external, held.external_port},
                                  held.lifetime});
    }
  }
  const std::scoped_lock lock(mutex_);
  outcomes_[static_cast<std::size_t>(&worker - workers_.data())] = std::move(outcome);
  PortMappingNews news = merged();
  if (stopped_ || news == told_) return;
  told_ = std::move(news);
  news_(told_);
}

PortMappingNews PortMapper::merged() const {
  PortMappingNews news;
  bool all_failed = true;
  for (const Outcome& outcome : outcomes_) {
    for (const PortMapping& mapping : outcome.mappings) {
      const bool known = std::ranges::any_of(news.mappings, [&](const PortMapping& one) {
        return one.internal_port == mapping.internal_port;
      });
      if (!known) news.mappings.push_back(mapping);
    }
    if (!news.gateway_external) news.gateway_external = outcome.external;
    all_failed = all_failed && outcome.verdict && outcome.mappings.empty();
    // A gateway that answered has more to say than one that did not.
    if (!news.verdict || news.verdict == PortMappingErrc::no_answer) {
      news.verdict = outcome.verdict;
    }
  }
  news.protocols.nat_pmp = outcomes_[0].external.has_value();
  news.protocols.upnp_igd = outcomes_[1].external.has_value();
  if (!all_failed) news.verdict.clear();
  return news;
}

}  // namespace quicmesh::io
