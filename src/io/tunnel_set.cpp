// See tunnel_set.hpp.
#include "io/tunnel_set.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "io/system_error.hpp"
#include "io/tunnel_errc.hpp"

namespace quicmesh::io {
namespace {

// Tags below this one are SocketIds.
constexpr std::uint64_t first_listener_tag = 0x10000;
constexpr int events_max = 64;

// As for QUIC, but with the compatibility mode that middleboxes need (RFC 8446, appendix D.4).
constexpr const char* tunnel_priorities =
    "NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+AES-128-GCM:+CHACHA20-POLY1305:"
    "-GROUP-ALL:+GROUP-X25519";

Result<std::unique_ptr<TlsContext>> tls_context(const Keypair& identity, TlsRole role) {
  TlsOptions options;
  options.priorities = tunnel_priorities;
  options.present_certificate = role == TlsRole::acceptor;
  return TlsContext::create(identity, options);
}

bool watch(int epoll, int operation, int descriptor, std::uint64_t tag, bool writable) {
  epoll_event event{};
  event.events = writable ? EPOLLIN | EPOLLOUT : EPOLLIN;
  event.data.u64 = tag;
  return ::epoll_ctl(epoll, operation, descriptor, &event) == 0;
}

}  // namespace

Result<std::unique_ptr<TunnelSet>> TunnelSet::create(const Keypair& identity, SecureRng& rng,
                                                     const TunnelLimits& limits) {
  auto set = std::unique_ptr<TunnelSet>(new TunnelSet(identity, rng, limits));
  set->epoll_ = FileDescriptor(::epoll_create1(EPOLL_CLOEXEC));
  if (!set->epoll_) return failure(socket_error(errno));
  return set;
}

TunnelSet::~TunnelSet() {
  for (auto& [id, tunnel] : tunnels_)
    tunnel.socket->close(TunnelErrc::ended);
}

Result<SocketAddress> TunnelSet::listen(const SocketAddress& local) {
  if (!acceptor_tls_) {
    auto tls = tls_context(identity_, TlsRole::acceptor);
    if (!tls) return failure(tls.error());
    acceptor_tls_ = std::move(*tls);
  }
  auto listener = TunnelListener::open(local);
  if (!listener) return failure(listener.error());
  const std::uint64_t tag = first_listener_tag + listeners_.size();
  if (!watch(epoll_.get(), EPOLL_CTL_ADD, listener->descriptor(), tag, false)) {
    return failure(socket_error(errno));
  }
  listeners_.push_back(std::move(*listener));
  return listeners_.back().local();
}

void TunnelSet::open(Instant now, TunnelRequestId request, const SocketAddress& remote) {
  const auto fail = [&](std::error_code error) { events_.push_back(TunnelFailed{request, error}); };
  if (own_ >= own_max) return fail(TunnelErrc::too_many);
  if (!dialler_tls_) {
    auto tls = tls_context(identity_, TlsRole::dialler);
    if (!tls) return fail(tls.error());
    dialler_tls_ = std::move(*tls);
  }
  auto socket = TunnelSocket::connect(now, *dialler_tls_, remote, budget_);
  if (!socket) return fail(socket.error());
  ++own_;
  Tunnel tunnel;
  tunnel.socket = std::move(*socket);
  tunnel.request = request;
  (void)settle(add(now, std::move(tunnel)));
}

void TunnelSet::close(SocketId id) {
  const auto found = tunnels_.find(id);
  if (found == tunnels_.end()) return;
  found->second.socket->close(TunnelErrc::ended);
  remove(found);
}

void TunnelSet::give_up(TunnelRequestId request) {
  const auto found = std::ranges::find_if(
      tunnels_, [&](const auto& one) { return one.second.request == request && !one.second.open; });
  if (found != tunnels_.end()) close(found->first);
}

SocketId TunnelSet::free_id() {
  // There are far more ids than tunnels.
  for (;;) {
    const SocketId id{next_id_};
    next_id_ = id == last_tunnel_socket ? std::to_underlying(first_tunnel_socket)
                                        : static_cast<std::uint16_t>(next_id_ + 1);
    if (!tunnels_.contains(id)) return id;
  }
}

TunnelSet::Tunnels::iterator TunnelSet::add(Instant now, Tunnel tunnel) {
  if (tunnels_.empty()) sweep_at_ = now + sweep_max;
  const SocketId id = free_id();
  TunnelSocket& socket = *tunnel.socket;
  tunnel.watched_for_writing = socket.wants_write();
  if (!watch(epoll_.get(), EPOLL_CTL_ADD, socket.descriptor(), std::to_underlying(id),
             tunnel.watched_for_writing)) {
    socket.close(socket_error(errno));
  }
  return tunnels_.emplace(id, std::move(tunnel)).first;
}

NetworkPath TunnelSet::path_of(const Tunnels::value_type& tunnel) {
  const TunnelSocket& socket = *tunnel.second.socket;
  return {tunnel.first, socket.local(), socket.remote()};
}

bool TunnelSet::settle(Tunnels::iterator found) {
  Tunnel& tunnel = found->second;
  TunnelSocket& socket = *tunnel.socket;
  if (!tunnel.open && socket.state() == TunnelSocket::State::open) {
    tunnel.open = true;
    ++counters_.opened;
    if (tunnel.request) {
      events_.push_back(TunnelOpened{*tunnel.request, path_of(*found)});
    } else {
      half_open_.erase(tunnel.half_open);
      admission_.on_open(socket.remote().ip);
    }
  }
  if (socket.state() == TunnelSocket::State::closed) {
    count_end(tunnel);
    if (tunnel.request && tunnel.open) {
      events_.push_back(TunnelClosed{path_of(*found), socket.error()});
    } else if (tunnel.request) {
      events_.push_back(TunnelFailed{*tunnel.request, socket.error()});
    }
    remove(found);
    return false;
  }
  const bool writable = socket.wants_write();
  if (writable != tunnel.watched_for_writing) {
    tunnel.watched_for_writing = writable;
    (void)watch(epoll_.get(), EPOLL_CTL_MOD, socket.descriptor(), std::to_underlying(found->first),
                writable);
  }
  return true;
}

void TunnelSet::count_end(const Tunnel& tunnel) {
  const std::error_code error = tunnel.socket->error();
  if (!tunnel.open && !tunnel.request) ++counters_.handshakes_failed;
  if (error == TunnelErrc::bad_frame) ++counters_.closed_bad_frame;
  if (error == TunnelErrc::idle) ++counters_.closed_idle;
  if (error == TunnelErrc::stalled) ++counters_.closed_stalled;
}

void TunnelSet::remove(Tunnels::iterator found) {
  const Tunnel& tunnel = found->second;
  counters_.datagrams += tunnel.socket->counters();
  if (tunnel.request) {
    --own_;
  } else {
    if (!tunnel.open) half_open_.erase(tunnel.half_open);
    admission_.on_closed(tunnel.socket->remote().ip, tunnel.open);
  }
  tunnels_.erase(found);
}

TunnelSetCounters TunnelSet::counters() const {
  TunnelSetCounters sum = counters_;
  for (const auto& [id, tunnel] : tunnels_)
    sum.datagrams += tunnel.socket->counters();
  return sum;
}

std::uint64_t TunnelSet::dropped_without_descriptor() const {
  std::uint64_t sum = 0;
  for (const TunnelListener& listener : listeners_)
    sum += listener.dropped();
  return sum;
}

void TunnelSet::accept_waiting(Instant now, TunnelListener& listener) {
  for (std::size_t i = 0; i < accepts_per_turn; ++i) {
    auto accepted = listener.accept();
    if (!accepted) return;
    take(now, std::move(*accepted));
  }
}

void TunnelSet::take(Instant now, TunnelListener::Accepted accepted) {
  const IpAddress source = accepted.remote.ip;
  const auto verdict = admission_.admit(now, source);
  if (verdict == TunnelAdmission::Verdict::refused) return;
  if (verdict == TunnelAdmission::Verdict::admitted_for_oldest) {
    const auto oldest = tunnels_.find(half_open_.front());
    oldest->second.socket->close(TunnelErrc::evicted);
    (void)settle(oldest);
  }
  Tunnel tunnel;
  tunnel.socket = TunnelSocket::adopt(now, *acceptor_tls_, std::move(accepted.descriptor),
                                      accepted.remote, budget_);
  if (!tunnel.socket) return admission_.on_closed(source, false);
  const auto added = add(now, std::move(tunnel));
  added->second.half_open = half_open_.insert(half_open_.end(), added->first);
  (void)settle(added);
}

void TunnelSet::handle_ready(Instant now) {
  readable_.clear();
  trains_of_front_ = 0;
  std::array<epoll_event, events_max> events;
  const int count = ::epoll_wait(epoll_.get(), events.data(), events_max, 0);
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<std::size_t>(i)];
    if (event.data.u64 >= first_listener_tag) {
      accept_waiting(now, listeners_[event.data.u64 - first_listener_tag]);
      continue;
    }
    const SocketId id{static_cast<std::uint16_t>(event.data.u64)};
    const auto found = tunnels_.find(id);
    if (found == tunnels_.end()) continue;  // it made room for another in this turn
    found->second.socket->handle_ready(now);
    if (settle(found) && (event.events & ~std::uint32_t{EPOLLOUT}) != 0) readable_.push_back(id);
  }
}

std::optional<TunnelSet::Arrival> TunnelSet::receive(Instant now, MutableByteView buffer) {
  while (!readable_.empty()) {
    const auto found = tunnels_.find(readable_.front());
    if (found != tunnels_.end()) {
      TunnelSocket& socket = *found->second.socket;
      // What TLS holds back is reported anew; a frame that has been taken out of it is not.
      const bool turn_over = trains_of_front_ >= trains_per_turn && !socket.frame_waits();
      const auto train = turn_over ? std::nullopt : socket.receive(now, buffer);
      const NetworkPath path = path_of(*found);
      (void)settle(found);
      if (train) {
        ++trains_of_front_;
        return Arrival{path, *train};
      }
    }
    readable_.pop_front();
    trains_of_front_ = 0;
  }
  return std::nullopt;
}

void TunnelSet::send(Instant now, const Transmit& transmit, ByteView data) {
  const auto found = tunnels_.find(transmit.path.socket);
  if (found == tunnels_.end() || found->second.socket->remote() != transmit.path.remote) {
    ++counters_.strays;
    return;
  }
  found->second.socket->send(now, transmit, data);
  (void)settle(found);
}

std::optional<TunnelEvent> TunnelSet::poll_event() {
  if (events_.empty()) return std::nullopt;
  TunnelEvent event = events_.front();
  events_.pop_front();
  return event;
}

void TunnelSet::handle_timeout(Instant now) {
  if (now < deadline()) return;
  Instant next = never;
  for (auto tunnel = tunnels_.begin(); tunnel != tunnels_.end();) {
    const auto one = tunnel++;
    one->second.socket->handle_timeout(now);
    if (settle(one)) next = std::min(next, one->second.socket->deadline());
  }
  sweep_at_ = std::clamp(next, now + sweep_min, now + sweep_max);
}

}  // namespace quicmesh::io
