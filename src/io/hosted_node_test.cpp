// Two nodes with real sockets on loopback, driven by hand: what a full socket does not take is
// kept.
#include "io/hosted_node.hpp"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <functional>

#include "io/event_loop.hpp"
#include "io/stream_state.hpp"
#include "io/tunnel_for_tests.hpp"

namespace quicmesh::io {
namespace {

/// Sends `to_send` on one stream as soon as there is a connection, and collects what arrives.
class TransferClient final : public NodeClient {
 public:
  void apply(Instant, HostedNode&) override {}

  bool deliver(Instant now, HostedNode& node) override {
    bool changed = false;
    while (auto event = node.core().poll_event()) {
      if (std::holds_alternative<PeerConnected>(*event) && !to_send.empty()) {
        const NodeId peer = std::get<PeerConnected>(*event).peer;
        const auto key = node.core().open_stream(now, peer, "transfer/1");
        EXPECT_TRUE(key.has_value());
        Bytes data = to_send;
        EXPECT_TRUE(node.core().connectivity().write(*key, data, true).has_value());
        changed = true;
      } else if (auto* data = std::get_if<PeerStreamData>(&*event)) {
        node.core().connectivity().credit(data->stream, data->data.size());
        received.insert(received.end(), data->data.begin(), data->data.end());
        ended |= data->end;
        changed = true;
      }
    }
    return changed;
  }

  [[nodiscard]] Instant deadline() const override { return never; }
  [[nodiscard]] bool over() const override { return false; }
  void on_removed() override {}

  Bytes to_send;
  Bytes received;
  bool ended = false;
};

struct End {
  std::unique_ptr<HostedNode> node;
  std::shared_ptr<TransferClient> client = std::make_shared<TransferClient>();
  NodeId id;

  explicit End(UdpSocket::SendFunction send) {
    std::vector<UdpSocket> sockets;
    sockets.push_back(UdpSocket::open({IpAddress::loopback(IpFamily::v4), 0}).value());
    sockets[0].set_send_function(std::move(send));
    Keypair identity = Keypair::generate();
    id = identity.node_id();
    node = HostedNode::create(QuicConfig(), std::move(identity), std::move(sockets)).value();
    node->set_client(client);
    EXPECT_TRUE(node->core().add_protocol("transfer/1").has_value());
  }

  UdpSocket& socket() { return *node->sockets().find(SocketId{0}); }
};

/// Drives both until `b` has everything; readiness and deadlines as the network thread has them.
void transfer(End& a, End& b) {
  Bytes buffer(transmit_buffer_size);
  const NetworkPath path{SocketId{0}, IpAddress::any(IpFamily::v4), b.socket().local()};
  const std::vector<NetworkPath> paths(1, path);
  ASSERT_TRUE(a.node->core().connect(EventLoop::now(), b.id, paths).has_value());
  for (int turn = 0; turn < 200'000 && !b.client->ended; ++turn) {
    std::vector<pollfd> waiting;
    Instant deadline = EventLoop::now() + 10ms;
    for (End* end : {&a, &b}) {
      end->node->receive(SocketId{0}, buffer);
      end->node->settle(buffer);
      short events = POLLIN;
      if (end->node->full_socket()) events |= POLLOUT;
      waiting.push_back({end->socket().descriptor(), events, 0});
      deadline = std::min(deadline, end->node->deadline());
    }
    const Duration left = std::max(Duration{}, deadline - EventLoop::now());
    const timespec timeout{0, static_cast<long>(left.count())};
    (void)::ppoll(waiting.data(), waiting.size(), &timeout, nullptr);
    if ((waiting[0].revents & POLLOUT) != 0) a.node->on_writable();
    if ((waiting[1].revents & POLLOUT) != 0) b.node->on_writable();
  }
}

Bytes megabytes(std::size_t count) {
  Bytes bytes(count << 20);
  std::uint32_t state = 1;
  for (auto& byte : bytes) {
    state = state * 1'664'525u + 1'013'904'223u;
    byte = static_cast<std::uint8_t>(state >> 24);
  }
  return bytes;
}

TEST(HostedNode, transfer_survives_a_socket_that_is_often_full) {
  int calls = 0;
  End a([&calls](int descriptor, const msghdr* message, int flags) -> ssize_t {
    ++calls;
    if (calls % 3 == 0) {
      errno = calls % 2 == 0 ? EAGAIN : ENOBUFS;
      return -1;
    }
    return ::sendmsg(descriptor, message, flags);
  });
  End b(nullptr);
  a.client->to_send = megabytes(2);
  transfer(a, b);
  EXPECT_EQ(b.client->received, a.client->to_send);
  const UdpCounters counters = a.node->counters();
  EXPECT_GT(counters.delayed, 3u);
  EXPECT_EQ(counters.failed, 0u);
}

TEST(HostedNode, transfer_goes_on_without_gso) {
  End a([](int descriptor, const msghdr* message, int flags) -> ssize_t {
    const cmsghdr* header = CMSG_FIRSTHDR(message);
    if (header != nullptr && header->cmsg_level == IPPROTO_UDP &&
        header->cmsg_type == UDP_SEGMENT) {
      errno = EIO;
      return -1;
    }
    return ::sendmsg(descriptor, message, flags);
  });
  End b(nullptr);
  a.client->to_send = megabytes(2);
  transfer(a, b);
  EXPECT_EQ(b.client->received, a.client->to_send);
  EXPECT_EQ(a.node->counters().refused_gso, 1u);
  EXPECT_FALSE(a.socket().gso());
}

TEST(HostedNode, tunnel_is_proved_by_the_connection_inside) {
  End relay(nullptr);
  const SocketAddress address =
      relay.node->listen_for_tunnels({IpAddress::loopback(IpFamily::v4), 0}).value();
  TunnelEnd tunnels;
  const auto client = NodeCore::create(QuicConfig(), tunnels.identity, tunnels.rng, Rng(1)).value();
  tunnels.set->open(EventLoop::now(), TunnelRequestId{1}, address);
  Bytes buffer(HostedNode::buffer_size);
  const auto turn = [&] {
    tunnels.now = EventLoop::now();
    tunnels.received.clear();
    tunnels.turn();
    for (TunnelEnd::Datagram& datagram : tunnels.received)
      client->handle_datagram(tunnels.now, datagram.path, Ecn::not_ect, datagram.data);
    client->handle_timeout(tunnels.now);
    while (const auto transmit = client->poll_transmit(tunnels.now, buffer))
      tunnels.set->send(tunnels.now, *transmit, ByteView(buffer).first(transmit->size));
    relay.node->receive_from_tunnels(buffer);
    relay.node->settle(buffer);
    (void)::poll(nullptr, 0, 1);
  };
  const auto turn_until = [&](const std::function<bool()>& done) {
    const Instant give_up = EventLoop::now() + 30s;  // a guard against hanging, no measure
    while (!done() && EventLoop::now() < give_up)
      turn();
    return done();
  };
  ASSERT_TRUE(turn_until([&] { return relay.node->tunnels()->unproved() == 1; }));
  ASSERT_TRUE(turn_until([&] { return tunnels.find<TunnelOpened>() != nullptr; }));
  EXPECT_TRUE(relay.node->live_tunnels().empty());
  const std::vector<NetworkPath> paths(1, tunnels.find<TunnelOpened>()->path);
  ASSERT_TRUE(client->connect(EventLoop::now(), relay.id, paths).has_value());
  ASSERT_TRUE(turn_until([&] { return !relay.node->live_tunnels().empty(); }));
  EXPECT_TRUE(turn_until([&] { return relay.node->tunnels()->unproved() == 0; }));
  EXPECT_EQ(relay.node->tunnels()->count(), 1u);

  client->disconnect(EventLoop::now(), relay.id, "over");
  EXPECT_TRUE(turn_until([&] { return relay.node->live_tunnels().empty(); }));
}

}  // namespace
}  // namespace quicmesh::io
