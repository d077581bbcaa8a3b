// See tunnel_set.hpp.
#include "io/tunnel_set.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>

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

constexpr Duration unproved_burst_time{TunnelSet::unproved_burst * Duration::period::den /
                                       TunnelSet::unproved_bytes_per_second};

bool watch(int epoll, int operation, int descriptor, std::uint64_t tag, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return ::epoll_ctl(epoll, operation, descriptor, &event) == 0;
}

/// Readable is also what the other end has closed without a word.
bool has_a_byte(int descriptor) {
  char byte = 0;
  return ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 1;
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
  if (!watch(epoll_.get(), EPOLL_CTL_ADD, listener->descriptor(), tag, EPOLLIN)) {
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
  tunnel.watched = socket.wants_write() ? EPOLLIN | EPOLLOUT : EPOLLIN;
  if (!watch(epoll_.get(), EPOLL_CTL_ADD, socket.descriptor(), std::to_underlying(id),
             tunnel.watched)) {
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
      unproved_.splice(unproved_.end(), half_open_, tunnel.place);
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
  rewatch(*found);
  return true;
}

void TunnelSet::rewatch(Tunnels::value_type& one) {
  Tunnel& tunnel = one.second;
  std::uint32_t wanted = 0;
  if (!tunnel.paused) wanted |= EPOLLIN;
  if (tunnel.socket->wants_write()) wanted |= EPOLLOUT;
  if (wanted == tunnel.watched) return;
  tunnel.watched = wanted;
  (void)watch(epoll_.get(), EPOLL_CTL_MOD, tunnel.socket->descriptor(),
              std::to_underlying(one.first), wanted);
}

void TunnelSet::count_end(const Tunnel& tunnel) {
  const std::error_code error = tunnel.socket->error();
  if (!tunnel.open && !tunnel.request) ++counters_.handshakes_failed;
  if (error == TunnelErrc::bad_frame) ++counters_.closed_bad_frame;
  if (error == TunnelErrc::idle) ++counters_.closed_idle;
  if (error == TunnelErrc::stalled) ++counters_.closed_stalled;
  if (error == TunnelErrc::unproved) ++counters_.closed_unproved;
}

void TunnelSet::remove(Tunnels::iterator found) {
  const Tunnel& tunnel = found->second;
  counters_.datagrams += tunnel.socket->counters();
  if (tunnel.request) {
    --own_;
  } else {
    if (!tunnel.proved) (tunnel.open ? unproved_ : half_open_).erase(tunnel.place);
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
  using Verdict = TunnelAdmission::Verdict;
  const IpAddress source = accepted.remote.ip;
  auto verdict = admission_.admit(source);
  if (verdict == Verdict::refused) return;
  if (verdict != Verdict::admitted && evict(verdict)) verdict = admission_.admit(source);
  if (verdict != Verdict::admitted) return admission_.refuse();
  Tunnel tunnel;
  tunnel.socket = TunnelSocket::adopt(now, *acceptor_tls_, std::move(accepted.descriptor),
                                      accepted.remote, budget_);
  if (!tunnel.socket) return admission_.on_closed(source, false);
  const auto added = add(now, std::move(tunnel));
  added->second.place = half_open_.insert(half_open_.end(), added->first);
  (void)settle(added);
}

bool TunnelSet::evict(TunnelAdmission::Verdict verdict) {
  SocketId chosen{};
  if (verdict == TunnelAdmission::Verdict::full && !unproved_.empty()) {
    chosen = unproved_.front();
  } else if (!half_open_.empty()) {
    chosen = half_open_to_evict();
  } else {
    return false;
  }
  const auto found = tunnels_.find(chosen);
  ++counters_.evicted;
  found->second.socket->close(TunnelErrc::evicted);
  (void)settle(found);
  return true;
}

// First those that have said nothing, then those of the network with the most, then the oldest.
SocketId TunnelSet::half_open_to_evict() const {
  std::pair<bool, std::size_t> most{false, 0};
  SocketId chosen = half_open_.front();
  for (const SocketId id : half_open_) {
    const Tunnel& tunnel = tunnels_.at(id);
    const std::pair one{!tunnel.charged,
                        admission_.half_open_of_network(tunnel.socket->remote().ip)};
    if (one <= most) continue;
    most = one;
    chosen = id;
  }
  return chosen;
}

bool TunnelSet::look_at_taken(Instant now, Tunnels::iterator found, std::uint32_t events) {
  Tunnel& tunnel = found->second;
  if (!tunnel.charged && (events & EPOLLIN) != 0 && has_a_byte(tunnel.socket->descriptor())) {
    tunnel.charged = true;
    if (!admission_.begin_handshake(now, tunnel.socket->remote().ip)) {
      remove(found);
      return false;
    }
  }
  if (tunnel.paused && (events & (EPOLLERR | EPOLLHUP)) != 0) {
    // It would be reported for ever.
    tunnel.socket->close(TunnelErrc::connection_lost);
    return settle(found);
  }
  return true;
}

void TunnelSet::handle_ready(Instant now) {
  turn_cost_ = 0;
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
    Tunnel& tunnel = found->second;
    if (!tunnel.request && !look_at_taken(now, found, event.events)) continue;
    const bool was_open = tunnel.open;
    tunnel.socket->handle_ready(now);
    if (!settle(found)) continue;
    if (tunnel.open && !was_open && !tunnel.request) {
      tunnel.keep_until = now + proof_patience;
      sweep_at_ = std::min(sweep_at_, now + proof_interval);
    }
    if (!tunnel.open || tunnel.queued || tunnel.paused ||
        (event.events & ~std::uint32_t{EPOLLOUT}) == 0)
      continue;
    tunnel.queued = true;
    readable_.push_back(id);
  }
}

std::optional<TunnelSet::Arrival> TunnelSet::receive(Instant now, MutableByteView buffer) {
  while (!readable_.empty()) {
    if (turn_cost_ >= cost_per_turn) {
      ++counters_.turns_cut;
      return std::nullopt;
    }
    const SocketId id = readable_.front();
    readable_.pop_front();
    const auto found = tunnels_.find(id);
    if (found == tunnels_.end() || !found->second.queued) continue;
    Tunnel& tunnel = found->second;
    tunnel.queued = false;
    TunnelSocket& socket = *tunnel.socket;
    const std::uint64_t read_before = socket.bytes_read();
    const auto train = socket.receive(now, buffer);
    auto cost = static_cast<std::size_t>(socket.bytes_read() - read_before);
    if (train) {
      const std::size_t datagrams = (train->size + train->segment_size - 1) / train->segment_size;
      cost = std::max(train->size, datagrams * datagram_cost);
    }
    charge(now, tunnel, std::max(cost, receive_cost));
    const NetworkPath path = path_of(*found);
    const bool there = settle(found);
    if (!train) continue;
    // What TLS holds back is reported anew; a frame that has been taken out of it is not.
    if (there && !tunnel.paused) {
      tunnel.queued = true;
      readable_.push_back(id);
    }
    return Arrival{path, *train};
  }
  return std::nullopt;
}

void TunnelSet::charge(Instant now, Tunnel& tunnel, std::size_t cost) {
  turn_cost_ += cost;
  if (tunnel.request || tunnel.proved) return;
  const Duration takes{static_cast<Duration::rep>(cost) * Duration::period::den /
                       static_cast<Duration::rep>(unproved_bytes_per_second)};
  tunnel.allowance_full_at = std::max(tunnel.allowance_full_at, now) + takes;
  if (tunnel.allowance_full_at <= now + unproved_burst_time) return;
  tunnel.paused = true;
  ++counters_.paused;
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

void TunnelSet::set_proved(Instant now, Tunnels::value_type& one, bool proved) {
  Tunnel& tunnel = one.second;
  if (proved) tunnel.keep_until = now + TunnelSocket::idle_patience;
  if (proved == tunnel.proved) return;
  tunnel.proved = proved;
  if (proved) {
    unproved_.erase(tunnel.place);
    tunnel.socket->on_proved();
  } else {
    tunnel.place = unproved_.insert(unproved_.end(), one.first);
  }
}

void TunnelSet::handle_timeout(Instant now, std::span<const SocketId> live) {
  if (!sweep_due(now)) return;
  Instant next = never;
  for (auto tunnel = tunnels_.begin(); tunnel != tunnels_.end();) {
    const auto one = tunnel++;
    Tunnel& state = one->second;
    if (!state.request && state.open) {
      set_proved(now, *one, std::ranges::binary_search(live, one->first));
      if (state.keep_until <= now) state.socket->close(TunnelErrc::unproved);
      if (state.paused && (state.proved || state.allowance_full_at <= now + unproved_burst_time)) {
        state.paused = false;
        // A frame may be there that nothing else will bring out.
        if (!state.queued) readable_.push_back(one->first);
        state.queued = true;
      }
      next = std::min(next, state.keep_until);
    }
    state.socket->handle_timeout(now);
    if (settle(one)) next = std::min(next, state.socket->deadline());
  }
  const Duration longest = unproved_.empty() ? sweep_max : proof_interval;
  sweep_at_ = std::clamp(next, now + std::min(sweep_min, longest), now + longest);
}

}  // namespace quicmesh::io
