// See host.hpp for the drive rule and the socket rules.
#include "sim/host.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "sim/sim_errc.hpp"

namespace quicmesh::sim {
namespace {

constexpr std::uint16_t first_ephemeral_port = 49'152;
constexpr std::uint64_t ephemeral_ports = 65'536 - first_ephemeral_port;

}  // namespace

Host::Host(HostContext context, HostId id, Rng rng) : context_(context), id_(id), rng_(rng) {}

bool Host::is_bound(const SocketAddress& local) const {
  return std::any_of(sockets_.begin(), sockets_.end(),
                     [&](const Socket& socket) { return socket.open && socket.local == local; });
}

Result<std::uint16_t> Host::free_port(const IpAddress& ip) {
  const std::uint64_t start = rng_.below(ephemeral_ports);
  for (std::uint64_t step = 0; step < ephemeral_ports; ++step) {
    const auto port =
        static_cast<std::uint16_t>(first_ephemeral_port + (start + step) % ephemeral_ports);
    if (!is_bound({ip, port})) return port;
  }
  return failure(SimErrc::port_in_use);
}

Result<SocketId> Host::open_socket(const SocketAddress& local) {
  if (!local.ip.is_unspecified() && !context_.network.own_interface(id_, local.ip)) {
    return failure(SimErrc::address_not_local);
  }
  SocketAddress bound = local;
  if (bound.port == 0) {
    const auto port = free_port(bound.ip);
    if (!port) return failure(port.error());
    bound.port = *port;
  } else if (is_bound(bound)) {
    return failure(SimErrc::port_in_use);
  }
  auto slot = std::find_if(sockets_.begin(), sockets_.end(),
                           [](const Socket& socket) { return !socket.open; });
  if (slot == sockets_.end()) {
    if (sockets_.size() >= sockets_max) return failure(SimErrc::too_many_sockets);
    slot = sockets_.insert(sockets_.end(), Socket{});
  }
  *slot = {.local = bound, .open = true};
  return SocketId{static_cast<std::uint16_t>(slot - sockets_.begin())};
}

void Host::close_socket(SocketId socket) {
  const auto index = static_cast<std::size_t>(socket);
  if (index < sockets_.size()) sockets_[index].open = false;
}

std::optional<SocketAddress> Host::socket_address(SocketId socket) const {
  const auto index = static_cast<std::size_t>(socket);
  if (index >= sockets_.size() || !sockets_[index].open) return std::nullopt;
  return sockets_[index].local;
}

std::size_t Host::open_sockets() const {
  return static_cast<std::size_t>(std::ranges::count(sockets_, true, &Socket::open));
}

std::optional<SocketId> Host::find_socket(const SocketAddress& destination) const {
  std::optional<SocketId> any;
  for (std::size_t i = 0; i < sockets_.size(); ++i) {
    const Socket& socket = sockets_[i];
    if (!socket.open || socket.local.port != destination.port) continue;
    const SocketId id{static_cast<std::uint16_t>(i)};
    if (socket.local.ip == destination.ip) return id;
    if (socket.local.ip == IpAddress::any(destination.ip.family())) any = id;
  }
  return any;
}

void Host::start(std::unique_ptr<Program> program) {
  QM_ASSERT(program_ == nullptr && program != nullptr);
  program_ = std::move(program);
  drive();
}

void Host::stop() {
  QM_ASSERT(!driving_);
  program_.reset();
  sockets_.clear();
  deadline_ = never;
}

void Host::complain(std::string what) {
  if (!context_.complaint) context_.complaint = "host " + name() + " " + std::move(what);
}

void Host::drive() {
  if (driving_ || program_ == nullptr) return;
  driving_ = true;
  bool again = true;
  while (again) {
    again = drain_transmits();
    const bool events = drain_events();
    const bool sockets = serve_socket_requests();
    again = (events || sockets) && again;
  }
  driving_ = false;
  arm();
}

/// False when the program would go on for ever.
bool Host::drain_transmits() {
  std::size_t count = 0;
  while (const auto transmit = program_->poll_transmit(context_.now, context_.buffer)) {
    send(*transmit);
    if (++count == transmits_per_turn_max) {
      complain("transmits without end in one turn");
      return false;
    }
  }
  return true;
}

/// True if there were events: their sinks may have given the core something to do.
bool Host::drain_events() {
  bool any = false;
  const auto record = [this](std::string_view text) {
    context_.trace.core_event(context_.now, id_, name(), text);
  };
  while (program_->pass_on_event(context_.now, record))
    any = true;
  return any;
}

bool Host::serve_socket_requests() {
  bool any = false;
  while (const auto request = program_->poll_socket_request()) {
    any = true;
    if (const auto* close = std::get_if<CloseSocket>(&*request)) {
      close_socket(close->socket);
      continue;
    }
    const auto& open = std::get<OpenSocket>(*request);
    if (const auto socket = open_socket({IpAddress::any(open.family), 0})) {
      program_->handle_socket_opened(context_.now, open.id, *socket, *socket_address(*socket));
    } else {
      program_->handle_socket_failed(context_.now, open.id);
    }
  }
  return any;
}

void Host::send(const Transmit& transmit) {
  QM_ASSERT(transmit.segment_size > 0 && transmit.size <= context_.buffer.size());
  const auto bound = socket_address(transmit.path.socket);
  // A core may answer on a socket that its driver has just closed; a real sendmsg fails too.
  if (!bound) return;
  SocketAddress source = *bound;
  if (source.ip.is_unspecified()) source.ip = transmit.path.local;
  const ByteView train = context_.buffer.first(transmit.size);
  for (std::size_t offset = 0; offset < train.size(); offset += transmit.segment_size) {
    const std::size_t size = std::min(transmit.segment_size, train.size() - offset);
    context_.network.send(context_.now, id_, source, transmit.path.remote, transmit.ecn,
                          train.subspan(offset, size));
  }
}

void Host::arm() {
  deadline_ = program_->poll_timeout();
  if (deadline_ == never || deadline_ >= armed_at_) return;
  armed_at_ = std::max(deadline_, context_.now);
  context_.queue.push(std::min(armed_at_, SimulationQueue::latest),
                      {EventKind::host_wake_up, static_cast<std::uint32_t>(id_), 0});
}

void Host::handle_packet(PacketHandle handle) {
  Packet& packet = context_.network.packet(handle);
  if (program_ == nullptr)
    return context_.network.drop(context_.now, handle, DropCause::no_program);
  const auto socket = find_socket(packet.destination);
  if (!socket) return context_.network.drop(context_.now, handle, DropCause::no_socket);
  const NetworkPath path{
      .socket = *socket, .local = packet.destination.ip, .remote = packet.source};
  program_->handle_datagram(context_.now, path, packet.ecn, packet.payload);
  context_.network.release(handle);
  drive();
}

void Host::handle_wake_up() {
  if (context_.now != armed_at_) return;  // an earlier one was planned after it
  armed_at_ = never;
  if (program_ == nullptr) return;
  if (deadline_ > context_.now) return arm();
  if (context_.now != last_wake_up_) wake_ups_at_this_instant_ = 0;
  last_wake_up_ = context_.now;
  if (++wake_ups_at_this_instant_ > wake_ups_at_one_instant_max) {
    return complain("has a deadline that is never in the future");
  }
  program_->handle_timeout(context_.now);
  drive();
}

}  // namespace quicmesh::sim
