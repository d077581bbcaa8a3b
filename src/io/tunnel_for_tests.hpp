// Sets of tunnels and plain TCP clients on loopback, driven by hand: readiness comes from the
// kernel, the time from the test.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <vector>

#include "crypto/system_rng.hpp"
#include "io/sockaddr.hpp"
#include "io/tunnel_set.hpp"

namespace quicmesh::io {

inline const Instant tunnel_test_start{100s};

/// One node's tunnels, and what came through them.
struct TunnelEnd {
  struct Datagram {
    NetworkPath path;
    Bytes data;
  };

  explicit TunnelEnd(const TunnelLimits& limits = {})
      : set(TunnelSet::create(identity, rng, limits).value()) {}

  void turn() {
    set->handle_ready(now);
    set->handle_timeout(now, live ? *live : every_tunnel());
    while (const auto arrival = set->receive(now, buffer)) {
      const ReceivedTrain& train = arrival->train;
      ++trains;
      for (std::size_t at = 0; at < train.size; at += train.segment_size) {
        const ByteView data =
            ByteView(buffer).subspan(at, std::min(train.segment_size, train.size - at));
        bytes += data.size();
        if (on_data) {
          on_data(data);
        } else {
          received.push_back({arrival->path, to_bytes(data)});
        }
      }
    }
    while (auto event = set->poll_event())
      events.push_back(std::move(*event));
  }

  static const std::vector<SocketId>& every_tunnel() {
    static const std::vector<SocketId> all = [] {
      std::vector<SocketId> ids;
      for (auto id = std::to_underlying(first_tunnel_socket);
           id <= std::to_underlying(last_tunnel_socket); ++id)
        ids.push_back(SocketId{id});
      return ids;
    }();
    return all;
  }

  void send(const NetworkPath& path, ByteView data, std::size_t segment_size) {
    set->send(now, {path, data.size(), segment_size, Ecn::not_ect}, data);
  }
  void send(const NetworkPath& path, ByteView data) { send(path, data, data.size()); }

  template <class Event>
  [[nodiscard]] const Event* find() const {
    for (const TunnelEvent& event : events) {
      if (const auto* found = std::get_if<Event>(&event)) return found;
    }
    return nullptr;
  }

  Keypair identity = Keypair::generate();
  SystemRng rng;
  std::unique_ptr<TunnelSet> set;
  Instant now = tunnel_test_start;
  Bytes buffer = Bytes(UdpSocket::receive_buffer_size);
  std::vector<Datagram> received;
  std::function<void(ByteView)> on_data;
  std::optional<std::vector<SocketId>> live;  // behind which there is a client; all without it
  std::size_t trains = 0;
  std::size_t bytes = 0;
  std::vector<TunnelEvent> events;
};

/// Turns all `ends` until `done`, sleeping while none is ready. False after 30 s: a guard against
/// hanging, no measure.
inline bool turn_until(std::initializer_list<TunnelEnd*> ends, const std::function<bool()>& done) {
  int idle_ms = 0;
  while (!done()) {
    if (idle_ms > 30'000) return false;
    std::vector<pollfd> waiting;
    for (TunnelEnd* end : ends) {
      end->turn();
      waiting.push_back({end->set->descriptor(), POLLIN, 0});
    }
    if (done()) return true;
    if (::poll(waiting.data(), waiting.size(), 10) == 0) idle_ms += 10;
  }
  return true;
}

/// Goes on for a while, to see that something does not happen.
inline void turn_some(std::initializer_list<TunnelEnd*> ends) {
  int turns = 0;
  (void)turn_until(ends, [&turns] { return ++turns > 5; });
}

/// A TCP client in nobody's service.
class RawClient {
 public:
  explicit RawClient(const SocketAddress& server, std::optional<IpAddress> source = std::nullopt)
      : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (source) {
      const KernelAddress from = to_kernel({*source, 0});
      EXPECT_EQ(::bind(descriptor(), from.data(), from.size), 0);
    }
    const KernelAddress to = to_kernel(server);
    connected_ = ::connect(descriptor(), to.data(), to.size) == 0;
  }

  [[nodiscard]] int descriptor() const { return descriptor_.get(); }
  [[nodiscard]] bool connected() const { return connected_; }
  void write(std::string_view text) {
    (void)!::send(descriptor(), text.data(), text.size(), MSG_NOSIGNAL);
  }
  /// The server has closed the connection: what it still says is read and thrown away.
  [[nodiscard]] bool closed_by_server() {
    char text[512];
    for (;;) {
      const ssize_t size = ::recv(descriptor(), text, sizeof text, MSG_DONTWAIT);
      if (size == 0) return true;
      if (size < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
    }
  }
  void close() { descriptor_ = {}; }
  /// The other end's kernel has all that was written. False after 30 s: a guard against hanging.
  [[nodiscard]] bool all_arrived() const {
    for (int i = 0; i < 30'000; ++i) {
      int unacknowledged = 0;
      if (::ioctl(descriptor(), SIOCOUTQ, &unacknowledged) == 0 && unacknowledged == 0) return true;
      (void)::poll(nullptr, 0, 1);
    }
    return false;
  }

 private:
  FileDescriptor descriptor_;
  bool connected_ = false;
};

/// A client that shakes hands and then writes whatever the test wants into TLS.
class TlsClient {
 public:
  TlsClient(const Keypair& identity, const SocketAddress& server)
      : tcp_(server),
        context_(TlsContext::create(identity, {.priorities = "NORMAL:-VERS-ALL:+VERS-TLS1.3",
                                               .certificate_chain = {},
                                               .private_key = {},
                                               .present_certificate = false})
                     .value()) {
    (void)::fcntl(tcp_.descriptor(), F_SETFL, O_NONBLOCK);
    stream = TlsStream::create(*context_, TlsRole::dialler, tcp_.descriptor());
  }

  bool shake_hands(TunnelEnd& server) {
    auto step = TlsStream::Step::later;
    (void)turn_until({&server}, [&] {
      if (step == TlsStream::Step::later) step = stream->handshake();
      return step != TlsStream::Step::later;
    });
    return step == TlsStream::Step::done;
  }
  bool write(ByteView bytes) {
    std::size_t sent = 0;
    return stream->send(bytes, sent) == TlsStream::Step::done && sent == bytes.size();
  }
  [[nodiscard]] bool all_arrived() const { return tcp_.all_arrived(); }
  /// Ends the TCP connection at once, without a goodbye.
  void reset() {
    const linger at_once{1, 0};
    (void)::setsockopt(tcp_.descriptor(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    tcp_.close();
  }
  [[nodiscard]] bool closed_by_server() {
    Bytes record(TlsStream::record_max);
    std::size_t received = 0;
    auto step = TlsStream::Step::done;
    while (step == TlsStream::Step::done)
      step = stream->receive(record, received);
    return step != TlsStream::Step::later;
  }

 private:
  RawClient tcp_;
  std::unique_ptr<TlsContext> context_;

 public:
  std::unique_ptr<TlsStream> stream;  // goes before what it uses
};

}  // namespace quicmesh::io
