// See tunnel_socket.hpp.
#include "io/tunnel_socket.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/sockaddr.hpp"
#include "io/system_error.hpp"
#include "io/tunnel_errc.hpp"

namespace quicmesh::io {
namespace {

void set_option(int descriptor, int level, int option, int value) {
  // Each option improves the service, and none is needed for it.
  (void)::setsockopt(descriptor, level, option, &value, sizeof value);
}

void configure(int descriptor) {
  set_option(descriptor, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(descriptor, IPPROTO_TCP, TCP_NOTSENT_LOWAT, TunnelSocket::kernel_unsent_max);
  // RFC 5482: an end that acknowledges nothing any more is given up as early as one that does not
  // read.
  const auto patience =
      std::chrono::duration_cast<std::chrono::milliseconds>(TunnelSocket::stall_patience).count();
  set_option(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(patience));
}

std::size_t datagrams_in(std::size_t size, std::size_t segment_size) {
  return (size + segment_size - 1) / segment_size;
}

}  // namespace

TunnelCounters& TunnelCounters::operator+=(const TunnelCounters& other) {
  datagrams_received += other.datagrams_received;
  bytes_received += other.bytes_received;
  datagrams_sent += other.datagrams_sent;
  bytes_sent += other.bytes_sent;
  dropped_full += other.dropped_full;
  dropped_closed += other.dropped_closed;
  return *this;
}

Result<std::unique_ptr<TunnelSocket>> TunnelSocket::connect(Instant now, const TlsContext& tls,
                                                            const SocketAddress& remote,
                                                            TunnelBudget& budget) {
  const int domain = remote.ip.family() == IpFamily::v4 ? AF_INET : AF_INET6;
  FileDescriptor descriptor(::socket(domain, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor) return failure(socket_error(errno));
  configure(descriptor.get());
  const KernelAddress to = to_kernel(remote);
  if (::connect(descriptor.get(), to.data(), to.size) != 0 && errno != EINPROGRESS) {
    return failure(tunnel_error_of_errno(errno));
  }
  auto tunnel = std::unique_ptr<TunnelSocket>(
      new TunnelSocket(now, std::move(descriptor), remote, State::connecting, budget));
  tunnel->tls_ = TlsStream::create(tls, TlsRole::dialler, tunnel->descriptor());
  if (!tunnel->tls_) return failure(TunnelErrc::tls_failed);
  return tunnel;
}

std::unique_ptr<TunnelSocket> TunnelSocket::adopt(Instant now, const TlsContext& tls,
                                                  FileDescriptor descriptor,
                                                  const SocketAddress& remote,
                                                  TunnelBudget& budget) {
  configure(descriptor.get());
  set_option(descriptor.get(), SOL_SOCKET, SO_RCVBUF, receive_buffer_unproved);
  auto tunnel = std::unique_ptr<TunnelSocket>(
      new TunnelSocket(now, std::move(descriptor), remote, State::handshaking, budget));
  tunnel->tls_ = TlsStream::create(tls, TlsRole::acceptor, tunnel->descriptor());
  if (!tunnel->tls_) return nullptr;
  return tunnel;
}

TunnelSocket::~TunnelSocket() {
  fail(TunnelErrc::ended);
}

void TunnelSocket::fail(std::error_code error) {
  if (state_ == State::closed) return;
  state_ = State::closed;
  error_ = error;
  pop_queue(queued());
  tls_.reset();
  descriptor_ = {};
}

void TunnelSocket::close(std::error_code reason) {
  if (state_ == State::open) {
    flush(sent_at_);
    if (tls_) tls_->say_goodbye();
  }
  fail(reason);
}

void TunnelSocket::handle_ready(Instant now) {
  if (state_ == State::connecting) on_connected(now);
  if (state_ == State::handshaking) shake_hands(now);
  if (state_ == State::open) flush(now);
}

void TunnelSocket::on_connected(Instant now) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(descriptor(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error != 0) return fail(tunnel_error_of_errno(error));
  // Ready without an error, and not connected: somebody woke us for nothing.
  KernelAddress peer;
  peer.size = sizeof peer.storage;
  if (::getpeername(descriptor(), peer.data(), &peer.size) != 0) return;
  state_ = State::handshaking;
  shake_hands(now);
}

void TunnelSocket::shake_hands(Instant now) {
  switch (tls_->handshake()) {
    case TlsStream::Step::later:
      return;
    case TlsStream::Step::ended:
      return fail(TunnelErrc::ended);
    case TlsStream::Step::failed:
      return fail(tls_->refused_in_words() ? TunnelErrc::not_a_relay : TunnelErrc::tls_failed);
    case TlsStream::Step::done:
      break;
  }
  KernelAddress address;
  address.size = sizeof address.storage;
  if (::getsockname(descriptor(), address.data(), &address.size) == 0) {
    if (const auto local = from_kernel(address.data())) local_ = local->ip;
  }
  state_ = State::open;
  heard_at_ = sent_at_ = now;
}

void TunnelSocket::on_proved() {
  if (descriptor_) set_option(descriptor(), SOL_SOCKET, SO_RCVBUF, receive_buffer_proved);
}

bool TunnelSocket::wants_write() const {
  if (state_ == State::connecting) return true;
  if (state_ == State::handshaking) return tls_->wants_write();
  return state_ == State::open && queued() > 0;
}

std::optional<ReceivedTrain> TunnelSocket::receive(Instant now, MutableByteView buffer) {
  std::array<std::uint8_t, TlsStream::record_max> record;
  for (std::size_t i = 0; state_ == State::open; ++i) {
    if (const auto train = reader_.next(buffer.first(tunnel_datagram_max))) {
      heard_at_ = now;
      counters_.datagrams_received += datagrams_in(train->size, train->segment_size);
      counters_.bytes_received += train->size;
      return ReceivedTrain{remote_, local_, train->size, train->segment_size, Ecn::not_ect};
    }
    if (reader_.broken()) {
      fail(TunnelErrc::bad_frame);
      break;
    }
    if (i == records_for_a_frame) break;
    std::size_t received = 0;
    const TlsStream::Step step = tls_->receive(record, received);
    if (step == TlsStream::Step::later) break;
    if (step == TlsStream::Step::ended) {
      fail(TunnelErrc::ended);
    } else if (step == TlsStream::Step::failed) {
      fail(TunnelErrc::connection_lost);
    } else {
      bytes_read_ += received;
      reader_.append(ByteView(record).first(received));
    }
  }
  return std::nullopt;
}

void TunnelSocket::send(Instant now, const Transmit& transmit, ByteView data) {
  const std::size_t segment = transmit.segment_size;
  if (state_ != State::open) {
    counters_.dropped_closed += datagrams_in(transmit.size, segment);
    return;
  }
  const bool waited = queued() > 0;
  if (!waited) sent_at_ = now;
  for (std::size_t at = 0; at < transmit.size; at += segment) {
    const std::size_t size = std::min(segment, transmit.size - at);
    const std::size_t framed = size + tunnel_frame_header_size;
    if (size > tunnel_datagram_max || queued() + framed > budget_.queue_limit()) {
      ++counters_.dropped_full;
      continue;
    }
    append_tunnel_frame(queue_, data.subspan(at, size));
    budget_.add(framed);
    ++counters_.datagrams_sent;
    counters_.bytes_sent += size;
  }
  if (!waited) flush(now);
}

void TunnelSocket::flush(Instant now) {
  while (queued() > 0) {
    std::size_t sent = 0;
    const auto step = tls_->send(ByteView(queue_).subspan(queue_front_), sent);
    if (step == TlsStream::Step::later) return;
    if (step != TlsStream::Step::done) return fail(TunnelErrc::connection_lost);
    pop_queue(sent);
    sent_at_ = now;
  }
}

void TunnelSocket::pop_queue(std::size_t bytes) {
  queue_front_ += bytes;
  budget_.remove(bytes);
  if (queue_front_ == queue_.size()) {
    queue_.clear();
    queue_front_ = 0;
    if (queue_.capacity() > queue_kept) queue_ = {};
  } else if (queue_front_ >= queued()) {
    // What was sent is as much as what waits: moving that costs no more than sending it did.
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(queue_front_));
    queue_front_ = 0;
  }
}

Instant TunnelSocket::deadline() const {
  switch (state_) {
    case State::connecting:
    case State::handshaking:
      return began_ + handshake_patience;
    case State::open:
      return std::min(heard_at_ + idle_patience, queued() > 0 ? sent_at_ + stall_patience : never);
    case State::closed:
      break;
  }
  return never;
}

void TunnelSocket::handle_timeout(Instant now) {
  if (deadline() > now) return;
  if (state_ != State::open) return fail(TunnelErrc::no_answer);
  fail(heard_at_ + idle_patience <= now ? TunnelErrc::idle : TunnelErrc::stalled);
}

}  // namespace quicmesh::io
